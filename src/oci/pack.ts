import { isRecord, type Descriptor } from './descriptor.js';
import { digestOf } from './digest.js';
import { RegistryError } from './errors.js';
import { once } from './content.js';
import { OCI_EMPTY, OCI_IMAGE_MANIFEST } from './media-types.js';
import type { CallOptions, WritableRepository } from './repository.js';

/** Bytes and the descriptor that names them. */
export interface PackedBlob {
  descriptor: Descriptor;
  bytes: Uint8Array;
}

/** The content of an artifact. */
export interface PackInput {
  artifactType: string;
  /** With no layers, the manifest has one layer, the empty descriptor, as image-spec requires. */
  layers: { mediaType: string; bytes: Uint8Array; annotations?: Record<string, string> }[];
  /** The manifest that the artifact refers to. Only media type, digest and size are written. */
  subject?: Descriptor;
  annotations?: Record<string, string>;
}

/** A manifest that is ready to be pushed. The same input gives the same bytes. */
export interface PackedArtifact extends PackedBlob {
  /** Config and layers; each digest occurs once. */
  blobs: PackedBlob[];
}

const EMPTY_BYTES = new TextEncoder().encode('{}');

/**
 * The descriptor of `{}`, with its two bytes as `data`.
 * @see https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md#guidance-for-an-empty-descriptor
 */
export const EMPTY_DESCRIPTOR: Descriptor = {
  mediaType: OCI_EMPTY,
  digest: digestOf(EMPTY_BYTES),
  size: EMPTY_BYTES.length,
  data: 'e30=',
};

/** Sorts the keys in byte order, as Go does for maps. */
function sortedByKey(record: Record<string, string>): Record<string, string> {
  const sorted: Record<string, string> = {};
  for (const key of Object.keys(record).sort()) {
    Object.defineProperty(sorted, key, { value: record[key], enumerable: true, configurable: true, writable: true });
  }
  return sorted;
}

/**
 * Encodes a manifest as JSON. Fields are in the given order, annotations are sorted by key. The Go clients do the same,
 * so the same parts give the same digest in their versions and in ours.
 */
export function encodeManifest(manifest: Record<string, unknown>): Uint8Array {
  const ordered = JSON.stringify(manifest, (key, value: unknown) =>
    key === 'annotations' && isRecord(value) ? sortedByKey(value as Record<string, string>) : value,
  );
  return new TextEncoder().encode(ordered);
}

/** Packs bytes into an image manifest with an empty config (image-spec 1.1). Pushes nothing and adds no annotations. */
export function packArtifact(input: PackInput): PackedArtifact {
  const layers: PackedBlob[] = input.layers.map(({ mediaType, bytes, annotations }) => ({
    descriptor: { mediaType, digest: digestOf(bytes), size: bytes.length, ...(annotations && { annotations }) },
    bytes,
  }));
  const empty = { descriptor: EMPTY_DESCRIPTOR, bytes: EMPTY_BYTES };
  const subject = input.subject && {
    mediaType: input.subject.mediaType,
    digest: input.subject.digest,
    size: input.subject.size,
  };
  const annotated = input.annotations !== undefined && Object.keys(input.annotations).length > 0;
  const bytes = encodeManifest({
    schemaVersion: 2,
    mediaType: OCI_IMAGE_MANIFEST,
    artifactType: input.artifactType,
    config: EMPTY_DESCRIPTOR,
    layers: layers.length > 0 ? layers.map((layer) => layer.descriptor) : [EMPTY_DESCRIPTOR],
    ...(subject && { subject }),
    ...(annotated && { annotations: input.annotations }),
  });
  return {
    descriptor: {
      mediaType: OCI_IMAGE_MANIFEST,
      digest: digestOf(bytes),
      size: bytes.length,
      artifactType: input.artifactType,
      ...(annotated && { annotations: input.annotations }),
    },
    bytes,
    blobs: [...new Map([empty, ...layers].map((blob) => [blob.descriptor.digest, blob])).values()],
  };
}

/** Maximum tries of a push if the registry says that it does not know a blob that it has just accepted. */
const PUSH_TRIES = 3;

/**
 * Pushes the blobs, then the manifest, also under `tag` if given. Content that exists is not sent again. Some
 * registries (Docker's, on a file system) lose a blob for a moment when several clients push it at once, as happens
 * with the empty config. The push is then repeated, up to 3 times.
 */
export async function pushPacked(
  repository: WritableRepository,
  packed: PackedArtifact,
  options: CallOptions & { tag?: string } = {},
): Promise<Descriptor> {
  const call: CallOptions = { signal: options.signal };
  for (let tries = 1; ; tries += 1) {
    await Promise.all(
      packed.blobs.map(({ descriptor, bytes }) => repository.pushBlob(descriptor, () => once(bytes), call)),
    );
    try {
      return await repository.pushManifest(packed.bytes, packed.descriptor.mediaType, {
        ...options,
        described: packed.descriptor,
      });
    } catch (error) {
      const isBlobUnknown =
        error instanceof RegistryError && error.info.registryCodes.includes('MANIFEST_BLOB_UNKNOWN');
      if (!isBlobUnknown || tries >= PUSH_TRIES) throw error;
    }
  }
}
