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

/**
 * Maximum bytes of a manifest or index: 4 MiB, the limit of ACR and the minimum that the specification recommends.
 * `TOO_LARGE`
 */
export const MANIFEST_BYTES = 4 * 1024 * 1024;
/** Maximum entries of one list in a manifest. `MANIFEST_INVALID` */
export const MOST_MANIFEST_ENTRIES = 20_000;

interface Common {
  /** The manifest's own `mediaType`, or the one that its fields imply. */
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

/** The retired artifact manifest, which has `blobs` instead of config and layers. */
export interface ArtifactManifest extends Common {
  kind: 'artifact';
  blobs: Descriptor[];
}

/** Any supported manifest. `kind` tells them apart. */
export type Manifest = ImageManifest | ImageIndex | ArtifactManifest;

const MANIFEST_KINDS: ReadonlyMap<string, Manifest['kind']> = new Map([
  [OCI_IMAGE_MANIFEST, 'image'],
  [DOCKER_MANIFEST, 'image'],
  [OCI_IMAGE_INDEX, 'index'],
  [DOCKER_MANIFEST_LIST, 'index'],
  [OCI_ARTIFACT_MANIFEST, 'artifact'],
]);

/** True for the media type of a manifest or an index. */
export function isManifestMediaType(mediaType: string): boolean {
  return MANIFEST_KINDS.has(mediaType);
}

/** True for an OCI index or Docker manifest list. */
export function isIndexMediaType(mediaType: string): boolean {
  return MANIFEST_KINDS.get(mediaType) === 'index';
}

/** True for Docker schema 1, signed or not. It is retired, and refused with `SCHEMA1_UNSUPPORTED`. */
export function isSchema1MediaType(mediaType: string): boolean {
  return mediaType === DOCKER_MANIFEST_V1 || mediaType === DOCKER_MANIFEST_V1_SIGNED;
}

/**
 * Creates the error `SCHEMA1_UNSUPPORTED`.
 * @param where names the manifest
 */
export function schema1Error(where: string): InputError {
  return new InputError('SCHEMA1_UNSUPPORTED', `${where} is a Docker schema 1 manifest, which is retired`, {
    remedy: 'Pull and push the image with a current client; it converts the manifest.',
  });
}

function descriptors(value: unknown, where: string): Descriptor[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw new InputError('MANIFEST_INVALID', `${where} is not a list`);
  if (value.length > MOST_MANIFEST_ENTRIES) {
    throw new InputError(
      'MANIFEST_INVALID',
      `${where} has ${value.length} entries; the maximum is ${MOST_MANIFEST_ENTRIES}`,
    );
  }
  return value.map((entry, index) => parseDescriptor(entry, `${where}[${index}]`));
}

/** The media type of a Content-Type header, in lower case and without parameters. */
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
  throw new InputError('MANIFEST_INVALID', `${where} (${mediaType || 'no media type'}) is not a supported manifest`);
}

/** All kinds that a manifest could be read as, judged by its fields and not by its media type. */
function shapesOf({ config, layers, manifests, blobs, fsLayers }: Record<string, unknown>): string[] {
  const shapes = { image: [config, layers], index: [manifests], artifact: [blobs], 'schema 1': [fsLayers] };
  return Object.entries(shapes).flatMap(([shape, fields]) => (fields.some(isGiven) ? [shape] : []));
}

function isGiven(field: unknown): boolean {
  return field !== undefined && field !== null;
}

/** Options of {@link parseManifest}. */
export interface ManifestReading {
  /**
   * Accepts field names that clients read differently. For stores that keep what others push, as registries do.
   * Default: false.
   */
  lenient?: boolean;
}

/**
 * Parses a manifest. Refuses a manifest whose `mediaType` differs from `contentType` (the specification says that they
 * MUST match) and one that two clients would read differently. A missing `mediaType` is allowed.
 * @param contentType the media type from the registry's answer or from the descriptor
 * @param where names the manifest in errors
 * @throws InputError `MANIFEST_INVALID`, `MANIFEST_AMBIGUOUS`, `SCHEMA1_UNSUPPORTED`, `DESCRIPTOR_INVALID`
 * @see https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md#image-manifest-property-descriptions
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
    // Go refuses a byte order mark, so it is not skipped here either.
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
    throw new InputError('MANIFEST_INVALID', `${where} has mediaType ${own} but is served as ${declared}`);
  }
  const kind = kindOf(json, own || declared, where);
  // A client that reads it as an image and one that reads it as an index would see different content under one digest
  // (CVE-2021-41190).
  const other = shapesOf(json).find((shape) => shape !== kind);
  if (other !== undefined) {
    throw new InputError('MANIFEST_INVALID', `${where} has the fields of two kinds of manifest, ${kind} and ${other}`);
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

/**
 * The content that a manifest lists, without its subject: the manifests of an index; config and layers of an image
 * manifest; blobs of an artifact manifest.
 */
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
 * The artifact type in a list of referrers: `artifactType`, or else the config's media type.
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers
 */
export function artifactTypeOf(manifest: Manifest): string | undefined {
  if (manifest.artifactType !== undefined) return manifest.artifactType;
  return manifest.kind === 'image' ? manifest.config.mediaType : undefined;
}

/** The descriptor of a manifest as a list of referrers has it: with its artifact type and annotations. */
export function asReferrer(descriptor: Descriptor, manifest: Manifest): Descriptor {
  const artifactType = artifactTypeOf(manifest);
  const { annotations } = manifest;
  return { ...descriptor, ...(artifactType !== undefined && { artifactType }), ...(annotations && { annotations }) };
}
