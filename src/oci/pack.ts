import { isRecord, type Descriptor } from './descriptor.js';
import { digestOf } from './digest.js';
import { RegistryError } from './errors.js';
import { OCI_EMPTY, OCI_IMAGE_MANIFEST } from './media-types.js';
import type { CallOptions, WritableRepository } from './store.js';

/** Content with the descriptor that names it. */
export interface PackedBlob {
  descriptor: Descriptor;
  bytes: Uint8Array;
}

export interface PackInput {
  artifactType: string;
  /** None: the empty descriptor is the one layer, as image-spec wants it. */
  layers: { mediaType: string; bytes: Uint8Array; annotations?: Record<string, string> }[];
  /** What the artifact refers to. Only its media type, digest and size are written. */
  subject?: Descriptor;
  annotations?: Record<string, string>;
}

/** A manifest ready to be pushed: the same input gives the same bytes. */
export interface PackedArtifact extends PackedBlob {
  /** Config and layers, each digest once. */
  blobs: PackedBlob[];
}

const EMPTY_BYTES = new TextEncoder().encode('{}');

/**
 * The descriptor of `{}`, with the two bytes in it.
 * @see https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md#guidance-for-an-empty-descriptor
 */
export const EMPTY_DESCRIPTOR: Descriptor = {
  mediaType: OCI_EMPTY,
  digest: digestOf(EMPTY_BYTES),
  size: EMPTY_BYTES.length,
  data: 'e30=',
};

/** Byte order of the keys, as Go writes maps. */
function sortedByKey(record: Record<string, string>): Record<string, string> {
  const sorted: Record<string, string> = {};
  for (const key of Object.keys(record).sort()) {
    Object.defineProperty(sorted, key, { value: record[key], enumerable: true, configurable: true, writable: true });
  }
  return sorted;
}

/**
 * JSON in the field order of the Go clients: what is packed from the same parts is the same bytes as theirs, and stays the
 * same digest from one version of ours to the next. Annotations are sorted by key.
 */
export function encodeManifest(manifest: Record<string, unknown>): Uint8Array {
  const ordered = JSON.stringify(manifest, (key, value: unknown) =>
    key === 'annotations' && isRecord(value) ? sortedByKey(value as Record<string, string>) : value,
  );
  return new TextEncoder().encode(ordered);
}

/** Packs bytes as an image manifest v1.1 with an empty config. Nothing is pushed; nothing is added to the annotations. */
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

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

/** Tries of a push whose blobs a registry says it does not know, just after it took them. */
const PUSH_TRIES = 3;

/**
 * Pushes the blobs, then the manifest, under `tag` too where one is given. What is there already is not sent again. Where others
 * push the same blob at the same moment, as all artifacts do with the empty config, some registries lose sight of it for a
 * while (Docker's, on a file system): then it is done again.
 */
export async function pushPacked(
  repository: WritableRepository,
  packed: PackedArtifact,
  options: CallOptions & { tag?: string } = {},
): Promise<Descriptor> {
  const call: CallOptions = options.signal ? { signal: options.signal } : {};
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
