import { gunzipSync } from 'node:zlib';
import {
  OCI_IMAGE_CONFIG,
  OCI_IMAGE_INDEX,
  OCI_IMAGE_MANIFEST,
  digestOf,
  encodeManifest,
  packArtifact,
  pushPacked,
  type Descriptor,
  type Repository,
} from '../../src/oci/index.js';
import { NOTARY_SIGNATURE, notaryAnnotations, signNotary, type Signer } from '../../src/signing/index.js';
import { layerOf, npmPackage, type Entry, type Layer } from './sbom-image.js';

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

async function pushBytes(repository: Repository, mediaType: string, bytes: Uint8Array): Promise<Descriptor> {
  const descriptor = { mediaType, digest: digestOf(bytes), size: bytes.length };
  await repository.pushBlob(descriptor, () => once(bytes));
  return descriptor;
}

const layers = new Map<string, Promise<Layer>>();
/** The same entries are the same bytes, though an archive holds the time at which it was made. */
function layer(entries: Entry[]): Promise<Layer> {
  const key = JSON.stringify(entries);
  const made = layers.get(key) ?? layerOf(...entries);
  layers.set(key, made);
  return made;
}

/** An image of one layer with one npm package. `content` tells one from another. */
export async function pushImage(
  repository: Repository,
  options: { tag?: string; content?: string; entries?: Entry[] } = {},
): Promise<Descriptor> {
  const { content = 'one', entries = [npmPackage('app/node_modules/left', 'left', '1.0.0')] } = options;
  const made = await layer([['app/index.js', content], ...entries]);
  const config = {
    architecture: 'amd64',
    os: 'linux',
    created: '2026-01-01T00:00:00Z',
    rootfs: { type: 'layers', diff_ids: [digestOf(gunzipSync(made.bytes))] },
  };
  const bytes = encodeManifest({
    schemaVersion: 2,
    mediaType: OCI_IMAGE_MANIFEST,
    config: await pushBytes(repository, OCI_IMAGE_CONFIG, Buffer.from(JSON.stringify(config))),
    layers: [await pushBytes(repository, made.mediaType, made.bytes)],
  });
  return repository.pushManifest(bytes, OCI_IMAGE_MANIFEST, options.tag === undefined ? {} : { tag: options.tag });
}

export async function pushIndex(
  repository: Repository,
  manifests: readonly Descriptor[],
  options: { tag?: string } = {},
): Promise<Descriptor> {
  const bytes = encodeManifest({ schemaVersion: 2, mediaType: OCI_IMAGE_INDEX, manifests });
  return repository.pushManifest(bytes, OCI_IMAGE_INDEX, options);
}

/** What buildx puts beside the images of an index. */
async function pushAttestation(repository: Repository, subject: Descriptor): Promise<Descriptor> {
  const layer = Buffer.from(JSON.stringify({ _type: 'https://in-toto.io/Statement/v1', subject: subject.digest }));
  const bytes = encodeManifest({
    schemaVersion: 2,
    mediaType: OCI_IMAGE_MANIFEST,
    config: await pushBytes(repository, OCI_IMAGE_CONFIG, Buffer.from('{"architecture":"unknown","os":"unknown"}')),
    layers: [await pushBytes(repository, 'application/vnd.in-toto+json', layer)],
  });
  return {
    ...(await repository.pushManifest(bytes, OCI_IMAGE_MANIFEST)),
    platform: { os: 'unknown', architecture: 'unknown' },
    annotations: {
      'vnd.docker.reference.type': 'attestation-manifest',
      'vnd.docker.reference.digest': subject.digest,
    },
  };
}

/** An index over two platforms and an attestation, as buildx makes it. */
export async function pushMultiPlatform(
  repository: Repository,
  tag: string,
): Promise<{ root: Descriptor; amd64: Descriptor; arm64: Descriptor; attestation: Descriptor }> {
  const amd64 = await pushImage(repository, { content: 'amd64' });
  const arm64 = await pushImage(repository, { content: 'arm64' });
  const attestation = await pushAttestation(repository, amd64);
  const root = await pushIndex(
    repository,
    [
      { ...amd64, platform: { os: 'linux', architecture: 'amd64' } },
      { ...arm64, platform: { os: 'linux', architecture: 'arm64', variant: 'v8' } },
      attestation,
    ],
    { tag },
  );
  return { root, amd64, arm64, attestation };
}

/** An artifact that refers to `subject`, or to nothing. */
export function pushArtifact(
  repository: Repository,
  artifactType: string,
  options: { subject?: Descriptor; tag?: string; text?: string; mediaType?: string } = {},
): Promise<Descriptor> {
  const { subject, tag, text = 'text', mediaType = artifactType } = options;
  const layers = [{ mediaType, bytes: Buffer.from(text) }];
  const packed = packArtifact({ artifactType, layers, ...(subject && { subject }) });
  return pushPacked(repository, packed, tag === undefined ? {} : { tag });
}

/** A Helm chart: an image manifest whose config is no image's. */
export async function pushChart(repository: Repository, tag: string): Promise<Descriptor> {
  const bytes = encodeManifest({
    schemaVersion: 2,
    mediaType: OCI_IMAGE_MANIFEST,
    config: await pushBytes(repository, 'application/vnd.cncf.helm.config.v1+json', Buffer.from('{"name":"chart"}')),
    layers: [
      await pushBytes(repository, 'application/vnd.cncf.helm.chart.content.v1.tar+gzip', Buffer.from('not looked at')),
    ],
  });
  return repository.pushManifest(bytes, OCI_IMAGE_MANIFEST, { tag });
}

/** A Notary signature by somebody. */
export async function pushSignature(
  repository: Repository,
  subject: Descriptor,
  signer: Signer,
  signingTime = new Date(),
): Promise<Descriptor> {
  const { artifactType, layer, annotations } = await signNotary(subject, signer, { signingTime });
  const packed = packArtifact({ artifactType, layers: [layer], subject, annotations });
  return pushPacked(repository, packed);
}

/** Signatures that are none: of each the envelope is other bytes. @param like whose thumbprints they carry; nobody's by default */
export async function pushJunkSignatures(
  repository: Repository,
  subject: Descriptor,
  { count, like, bytes = 20 }: { count: number; like?: Signer | undefined; bytes?: number },
): Promise<void> {
  for (let number = 0; number < count; number += 1) {
    const envelope = Buffer.from(`junk ${number} `.padEnd(bytes, '.'));
    const layers = [{ mediaType: 'application/jose+json', bytes: envelope }];
    const annotations = like === undefined ? {} : notaryAnnotations(like);
    await pushPacked(repository, packArtifact({ artifactType: NOTARY_SIGNATURE, layers, subject, annotations }));
  }
}

export async function countReferrers(
  repository: Repository,
  subject: Descriptor,
  artifactType: string,
): Promise<number> {
  return (await repository.listReferrers(subject.digest, { artifactType })).length;
}
export { NOTARY_SIGNATURE };
