import { isRecord, parseDescriptor, type Descriptor } from '../descriptor.js';
import { InputError } from '../errors.js';
import { refuseFoldedInManifest } from '../manifest-names.js';
import { OCI_IMAGE_INDEX } from '../media-types.js';
import { refuseRepeatedNames } from '../strict-json.js';
import type { LayoutFiles } from './folder-files.js';

/** Maximum bytes of index.json, which lists every manifest of the layout. `TOO_LARGE` */
const INDEX_BYTES = 64 * 1024 * 1024;
/** Maximum bytes of the file `oci-layout`. `TOO_LARGE` */
const MARKER_BYTES = 4096;

/** The annotation that contains the tag of an entry. */
const REF_NAME = 'org.opencontainers.image.ref.name';
export const INDEX_FILE = 'index.json';
export const MARKER_FILE = 'oci-layout';
/** @see https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md#oci-layout-file */
export const MARKER = '{"imageLayoutVersion":"1.0.0"}';
const REMEDY = 'Use a folder or tar archive that contains oci-layout, index.json and blobs/.';

/** @throws InputError `LAYOUT_INVALID`, `MANIFEST_AMBIGUOUS` */
function parseJson(bytes: Uint8Array, where: string): Record<string, unknown> {
  let json: unknown;
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    json = JSON.parse(text);
  } catch (cause) {
    throw new InputError('LAYOUT_INVALID', `${where} is not JSON`, { cause, remedy: REMEDY });
  }
  if (isRecord(json)) {
    refuseRepeatedNames(text, where);
    refuseFoldedInManifest(json, where);
    return json;
  }
  throw new InputError('LAYOUT_INVALID', `${where} is not a JSON object`, { remedy: REMEDY });
}

/**
 * Checks the file `oci-layout`.
 * @throws InputError `LAYOUT_INVALID` if it is not a layout of version 1
 */
export async function checkMarker(files: LayoutFiles, path: string): Promise<void> {
  const bytes = await files.read(MARKER_FILE, MARKER_BYTES);
  if (!bytes) {
    throw new InputError('LAYOUT_INVALID', `${path} is not an OCI image layout: it has no file oci-layout`, {
      remedy: REMEDY,
    });
  }
  const { imageLayoutVersion: version } = parseJson(bytes, `${path}/oci-layout`);
  if (typeof version !== 'string' || !/^1\.\d+\.\d+$/.test(version)) {
    throw new InputError(
      'LAYOUT_INVALID',
      `${path} is an OCI image layout of an unsupported version; 1.0.0 is supported`,
    );
  }
}

/** The descriptors in index.json, in order. Empty if there is no index.json. */
export async function readIndex(files: LayoutFiles, path: string): Promise<Descriptor[]> {
  const bytes = await files.read(INDEX_FILE, INDEX_BYTES);
  if (!bytes) return [];
  const where = `${path}/${INDEX_FILE}`;
  const { manifests } = parseJson(bytes, where);
  // oras writes null after the last manifest was deleted.
  if (manifests === null) return [];
  if (!Array.isArray(manifests)) throw new InputError('LAYOUT_INVALID', `${where} has no list "manifests"`);
  return manifests.map((entry, index) => parseDescriptor(entry, `${where} manifests[${index}]`));
}

/**
 * Encodes index.json.
 * @see https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md#indexjson-file
 */
export function encodeIndex(manifests: readonly Descriptor[]): string {
  return JSON.stringify({ schemaVersion: 2, mediaType: OCI_IMAGE_INDEX, manifests });
}

/** The tag of an entry in index.json; undefined if it has none. */
export function tagOf(entry: Descriptor): string | undefined {
  return entry.annotations?.[REF_NAME];
}

function untagged({ annotations = {}, ...entry }: Descriptor): Descriptor {
  const others = Object.entries(annotations).filter(([key]) => key !== REF_NAME);
  return others.length === 0 ? entry : { ...entry, annotations: Object.fromEntries(others) };
}

/**
 * Adds a manifest to the entries. With a tag, the tag moves to it; the manifest that had the tag before stays without a
 * tag. An entry keeps the annotations that were given when its tag was set.
 */
export function withManifest(entries: readonly Descriptor[], manifest: Descriptor, tag?: string): Descriptor[] {
  if (tag === undefined) {
    return entries.some((entry) => entry.digest === manifest.digest) ? [...entries] : [...entries, untagged(manifest)];
  }
  const tagged = { ...manifest, annotations: { ...manifest.annotations, [REF_NAME]: tag } };
  const kept = entries.filter(
    (entry) => tagOf(entry) !== tag && !(entry.digest === manifest.digest && tagOf(entry) === undefined),
  );
  const moved = entries.filter((entry) => tagOf(entry) === tag && entry.digest !== manifest.digest);
  const left = moved.filter(({ digest }) => !kept.some((entry) => entry.digest === digest));
  return [...kept, ...left.map(untagged), tagged];
}
