import { createCipheriv, createHash } from 'node:crypto';
import {
  encodeManifest,
  OCI_IMAGE_MANIFEST,
  packArtifact,
  pushPacked,
  type Descriptor,
  type Digest,
  type WritableRepository,
} from 'acr-promoter/oci';

const PIECE = Buffer.alloc(1024 * 1024);

/** Bytes that look random and are the same each time: the key stream of a seed. */
function* bytesOf(seed: number, sizeBytes: number): Generator<Uint8Array> {
  const cipher = createCipheriv('aes-128-ctr', createHash('md5').update(`seed ${seed}`).digest(), Buffer.alloc(16));
  for (let rest = sizeBytes; rest > 0; rest -= PIECE.length) {
    yield cipher.update(rest >= PIECE.length ? PIECE : PIECE.subarray(0, rest));
  }
}

async function pushBytes(
  repository: WritableRepository,
  mediaType: string,
  content: { seed: number; sizeBytes: number },
): Promise<Descriptor> {
  const { seed, sizeBytes } = content;
  const hash = createHash('sha256');
  for (const piece of bytesOf(seed, sizeBytes)) hash.update(piece);
  const digest: Digest = `sha256:${hash.digest('hex')}`;
  const descriptor = { mediaType, digest, size: sizeBytes };
  await repository.pushBlob(descriptor, async function* () {
    yield* bytesOf(seed, sizeBytes);
  });
  return descriptor;
}

export interface ImageSpec {
  tag: string;
  layers: number;
  layerBytes: number;
  /** SBOMs, signatures: small artifacts that refer to it. */
  referrers: number;
  /** Makes images differ. */
  seed?: number;
}

/** Pushes an image and what refers to it. @returns the image's digest */
export async function pushImage(repository: WritableRepository, spec: ImageSpec): Promise<Digest> {
  const { layers, layerBytes, referrers, seed = 0 } = spec;
  const config = await pushBytes(repository, 'application/vnd.oci.image.config.v1+json', { seed, sizeBytes: 400 });
  const pushed: Descriptor[] = [];
  for (let layer = 0; layer < layers; layer += 1) {
    const content = { seed: seed + layer + 1, sizeBytes: layerBytes };
    pushed.push(await pushBytes(repository, 'application/vnd.oci.image.layer.v1.tar+gzip', content));
  }
  const manifest = { schemaVersion: 2, mediaType: OCI_IMAGE_MANIFEST, config, layers: pushed };
  const subject = await repository.pushManifest(encodeManifest(manifest), OCI_IMAGE_MANIFEST, { tag: spec.tag });
  const push = async (index: number): Promise<void> => {
    const bytes = new TextEncoder().encode(`${spec.tag} ${seed} referrer ${index} `.repeat(60));
    const layer = { mediaType: 'application/spdx+json', bytes };
    const annotations = { 'org.opencontainers.image.created': '2026-01-01T00:00:00Z' };
    const artifactType = `application/vnd.example.evidence.${index % 5}`;
    await pushPacked(repository, packArtifact({ artifactType, layers: [layer], subject, annotations }));
  };
  const [first, ...others] = Array.from({ length: referrers }, (_, index) => index);
  // The empty config is there before the others look: docker-registry does not know a blob while it is pushed a second time.
  if (first !== undefined) await push(first);
  await Promise.all(others.map(push));
  return subject.digest;
}
