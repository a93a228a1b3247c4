import { isRecord, parseAnnotations, parseDescriptor, type Descriptor } from './descriptor.js';
import { InputError } from './errors.js';
import { refuseFoldedInManifest } from './manifest-names.js';
import { refuseRepeatedNames } from './strict-json.js';
import {
  DOCKER_MANIFEST,
  DOCKER_MANIFEST_LIST,
  DOCKER_MANIFEST_V1,
  DOCKER_MANIFEST_V1_SIGNED,
  OCI_ARTIFACT_MANIFEST,
  OCI_IMAGE_INDEX,
  OCI_IMAGE_MANIFEST,
} from './media-types.js';

/** Bytes of a manifest or index (ACR and the specification's recommendation: 4 MiB). `TOO_LARGE` */
export const MANIFEST_BYTES = 4 * 1024 * 1024;
/** Entries of one list in a manifest. `MANIFEST_INVALID` */
export const MOST_MANIFEST_ENTRIES = 20_000;

interface Common {
  /** The one in the manifest, or what its fields show it to be. */
  mediaType: string;
  annotations?: Record<string, string>;
  artifactType?: string;
  subject?: Descriptor;
}

/** @see https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md */
export interface ImageManifest extends Common {
  kind: 'image';
  config: Descriptor;
  layers: Descriptor[];
}

/** @see https://github.com/opencontainers/image-spec/blob/v1.1.1/image-index.md */
export interface ImageIndex extends Common {
  kind: 'index';
  manifests: Descriptor[];
}

/** The retired artifact manifest: `blobs` instead of config and layers. */
export interface ArtifactManifest extends Common {
  kind: 'artifact';
  blobs: Descriptor[];
}

export type Manifest = ImageManifest | ImageIndex | ArtifactManifest;

const MANIFEST_KINDS: ReadonlyMap<string, Manifest['kind']> = new Map([
  [OCI_IMAGE_MANIFEST, 'image'],
  [DOCKER_MANIFEST, 'image'],
  [OCI_IMAGE_INDEX, 'index'],
  [DOCKER_MANIFEST_LIST, 'index'],
  [OCI_ARTIFACT_MANIFEST, 'artifact'],
]);

/** True for a media type that names a manifest or an index, and so a node that has children of its own. */
export function isManifestMediaType(mediaType: string): boolean {
  return MANIFEST_KINDS.has(mediaType);
}

/** True for an OCI index or Docker manifest list. */
export function isIndexMediaType(mediaType: string): boolean {
  return MANIFEST_KINDS.get(mediaType) === 'index';
}

/** True for Docker's schema 1, signed or not: retired, and refused by name. */
export function isSchema1MediaType(mediaType: string): boolean {
  return mediaType === DOCKER_MANIFEST_V1 || mediaType === DOCKER_MANIFEST_V1_SIGNED;
}

/** `SCHEMA1_UNSUPPORTED` for what `where` names. */
export function schema1Error(where: string): InputError {
  return new InputError('SCHEMA1_UNSUPPORTED', `${where} is a Docker schema 1 manifest, which has been retired`, {
    remedy: 'Pull and push the image with a current client, which converts it.',
  });
}

function descriptors(value: unknown, where: string): Descriptor[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw new InputError('MANIFEST_INVALID', `${where} is not a list`);
  if (value.length > MOST_MANIFEST_ENTRIES) {
    throw new InputError(
      'MANIFEST_INVALID',
      `${where} has ${value.length} entries; the most is ${MOST_MANIFEST_ENTRIES}`,
    );
  }
  return value.map((entry, index) => parseDescriptor(entry, `${where}[${index}]`));
}

/** The bare media type of a Content-Type header: lower case, without parameters. */
export function bareMediaType(contentType: string): string {
  return (contentType.split(';', 1)[0] ?? '').trim().toLowerCase();
}

function kindOf(json: Record<string, unknown>, mediaType: string, where: string): Manifest['kind'] {
  if (isSchema1MediaType(mediaType) || json.schemaVersion === 1) throw schema1Error(where);
  const known = MANIFEST_KINDS.get(mediaType);
  if (known !== undefined) return known;
  if (isRecord(json.config)) return 'image';
  if (Array.isArray(json.manifests)) return 'index';
  if (Array.isArray(json.blobs)) return 'artifact';
  throw new InputError(
    'MANIFEST_INVALID',
    `${where} (${mediaType || 'no media type'}) is no manifest that is known here`,
  );
}

/** What a manifest could be read as by the fields that it has, whatever its media type. */
function shapesOf({ config, layers, manifests, blobs, fsLayers }: Record<string, unknown>): string[] {
  const shapes = { image: [config, layers], index: [manifests], artifact: [blobs], 'schema 1': [fsLayers] };
  return Object.entries(shapes).flatMap(([shape, fields]) => (fields.some(isGiven) ? [shape] : []));
}

function isGiven(field: unknown): boolean {
  return field !== undefined && field !== null;
}

export interface ManifestReading {
  /** True for a store that keeps what others push, as registries do: names that clients read differently are not refused. */
  lenient?: boolean;
}

/**
 * Reads a manifest. `contentType` is what the registry or the descriptor calls it; a `mediaType` field that says otherwise is
 * refused (image-spec: the two MUST match), a missing one is allowed. So is what two clients would read differently.
 * @throws InputError `MANIFEST_INVALID`, `MANIFEST_AMBIGUOUS`, `SCHEMA1_UNSUPPORTED`, `DESCRIPTOR_INVALID`
 */
export function parseManifest(
  bytes: Uint8Array,
  contentType: string,
  where: string,
  { lenient = false }: ManifestReading = {},
): Manifest {
  let json: unknown;
  let text: string;
  try {
    // A byte order mark, which Go refuses, is not passed over.
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    json = JSON.parse(text);
  } catch (cause) {
    throw new InputError('MANIFEST_INVALID', `${where} is not JSON`, { cause });
  }
  if (!isRecord(json)) throw new InputError('MANIFEST_INVALID', `${where} is not a JSON object`);
  if (!lenient) {
    refuseRepeatedNames(text, where);
    refuseFoldedInManifest(json, where);
  }
  const declared = bareMediaType(contentType);
  const own = typeof json.mediaType === 'string' ? json.mediaType : '';
  if (own !== '' && MANIFEST_KINDS.has(own) && MANIFEST_KINDS.has(declared) && own !== declared) {
    throw new InputError('MANIFEST_INVALID', `${where} calls itself ${own} and is served as ${declared}`);
  }
  const kind = kindOf(json, own || declared, where);
  // Who reads it as an image and who reads it as an index would see different things under one digest (CVE-2021-41190).
  const other = shapesOf(json).find((shape) => shape !== kind);
  if (other !== undefined) {
    throw new InputError('MANIFEST_INVALID', `${where} would be two kinds of manifest at once, ${kind} and ${other}`);
  }
  const annotations = parseAnnotations(json.annotations, where);
  const { artifactType } = json;
  const common = {
    ...(annotations !== undefined && { annotations }),
    ...(typeof artifactType === 'string' && artifactType !== '' && { artifactType }),
    ...(isGiven(json.subject) && { subject: parseDescriptor(json.subject, `${where} subject`) }),
  };
  switch (kind) {
    case 'image':
      return {
        ...common,
        kind,
        mediaType: own || (MANIFEST_KINDS.get(declared) === 'image' ? declared : OCI_IMAGE_MANIFEST),
        config: parseDescriptor(json.config, `${where} config`),
        layers: descriptors(json.layers, `${where} layers`),
      };
    case 'index':
      return {
        ...common,
        kind,
        mediaType: own || (MANIFEST_KINDS.get(declared) === 'index' ? declared : OCI_IMAGE_INDEX),
        manifests: descriptors(json.manifests, `${where} manifests`),
      };
    case 'artifact':
      return { ...common, kind, mediaType: OCI_ARTIFACT_MANIFEST, blobs: descriptors(json.blobs, `${where} blobs`) };
  }
}

/** What a manifest is made of, subject left out: an index's manifests; config and layers; blobs. */
export function childrenOf(manifest: Manifest): Descriptor[] {
  switch (manifest.kind) {
    case 'image':
      return [manifest.config, ...manifest.layers];
    case 'index':
      return manifest.manifests;
    case 'artifact':
      return manifest.blobs;
  }
}

/**
 * The artifact type that the referrers list shows: `artifactType`, or an image manifest's config media type.
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers
 */
export function artifactTypeOf(manifest: Manifest): string | undefined {
  if (manifest.artifactType !== undefined) return manifest.artifactType;
  return manifest.kind === 'image' ? manifest.config.mediaType : undefined;
}
