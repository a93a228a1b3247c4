import {
  digestOf,
  encodeManifest,
  OCI_IMAGE_CONFIG,
  OCI_IMAGE_INDEX,
  OCI_IMAGE_MANIFEST,
  packArtifact,
  pushPacked,
  type Descriptor,
  type Repository,
} from 'acr-promoter/oci';

export const text = (value: string): Uint8Array => new TextEncoder().encode(value);

export async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

export async function putBlob(repository: Repository, mediaType: string, bytes: Uint8Array): Promise<Descriptor> {
  const descriptor = { mediaType, digest: digestOf(bytes), size: bytes.length };
  await repository.pushBlob(descriptor, () => once(bytes));
  return descriptor;
}

/** An image whose layers are the given texts. */
export async function putImage(repository: Repository, layers: string[], tag?: string): Promise<Descriptor> {
  const config = await putBlob(repository, OCI_IMAGE_CONFIG, text(digestOf(text(layers.join()))));
  const stored = [];
  for (const layer of layers) {
    stored.push(await putBlob(repository, 'application/vnd.oci.image.layer.v1.tar+gzip', text(layer)));
  }
  const bytes = encodeManifest({ schemaVersion: 2, mediaType: OCI_IMAGE_MANIFEST, config, layers: stored });
  return repository.pushManifest(bytes, OCI_IMAGE_MANIFEST, tag === undefined ? {} : { tag });
}

export async function putIndex(repository: Repository, manifests: Descriptor[], tag?: string): Promise<Descriptor> {
  const listed = manifests.map(({ mediaType, digest, size }) => ({ mediaType, digest, size }));
  const bytes = encodeManifest({ schemaVersion: 2, mediaType: OCI_IMAGE_INDEX, manifests: listed });
  return repository.pushManifest(bytes, OCI_IMAGE_INDEX, tag === undefined ? {} : { tag });
}

export function putReferrer(
  repository: Repository,
  subject: Descriptor,
  content: string,
  artifactType = 'application/spdx+json',
): Promise<Descriptor> {
  const layers = [{ mediaType: artifactType, bytes: text(content) }];
  return pushPacked(repository, packArtifact({ artifactType, layers, subject }));
}

/** A multi-platform image with provenance, an SBOM on each level, and a signature on an SBOM: what a promotion meets. */
export async function putRealGraph(repository: Repository): Promise<{ root: Descriptor; all: Descriptor[] }> {
  const amd = await putImage(repository, ['base', 'amd64']);
  const arm = await putImage(repository, ['base', 'arm64']);
  const provenance = await putImage(repository, ['provenance']);
  const root = await putIndex(repository, [amd, arm, provenance], 'v1');
  const sbomOfRoot = await putReferrer(repository, root, 'sbom of the index');
  const sbomOfAmd = await putReferrer(repository, amd, 'sbom of amd64');
  const signature = await putReferrer(repository, sbomOfAmd, 'signature', 'application/vnd.cncf.notary.signature');
  const signatureOfRoot = await putReferrer(repository, root, 'root', 'application/vnd.cncf.notary.signature');
  return { root, all: [amd, arm, provenance, root, sbomOfRoot, sbomOfAmd, signature, signatureOfRoot] };
}

/** An image that a runtime would run: its config lists its layer. */
export async function putRunnable(
  repository: Repository,
  content: string,
  options: { tag?: string; subject?: Descriptor; artifactType?: string } = {},
): Promise<Descriptor> {
  const { tag, subject, artifactType } = options;
  const layer = await putBlob(repository, 'application/vnd.oci.image.layer.v1.tar+gzip', text(content));
  const rootfs = { type: 'layers', diff_ids: [digestOf(text(`unpacked ${content}`))] };
  const config = JSON.stringify({ architecture: 'amd64', os: 'linux', rootfs });
  const bytes = encodeManifest({
    schemaVersion: 2,
    mediaType: OCI_IMAGE_MANIFEST,
    ...(artifactType !== undefined && { artifactType }),
    config: await putBlob(repository, OCI_IMAGE_CONFIG, text(config)),
    layers: [layer],
    ...(subject && { subject: { mediaType: subject.mediaType, digest: subject.digest, size: subject.size } }),
  });
  return repository.pushManifest(bytes, OCI_IMAGE_MANIFEST, tag === undefined ? {} : { tag });
}

/** An index of anything, which may refer to something. Its descriptors are written as they are given. */
export function putIndexOf(
  repository: Repository,
  manifests: readonly object[],
  options: { tag?: string; subject?: Descriptor; artifactType?: string } = {},
): Promise<Descriptor> {
  const { tag, subject, artifactType } = options;
  const bytes = text(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: OCI_IMAGE_INDEX,
      ...(artifactType !== undefined && { artifactType }),
      manifests,
      ...(subject && { subject: { mediaType: subject.mediaType, digest: subject.digest, size: subject.size } }),
    }),
  );
  return repository.pushManifest(bytes, OCI_IMAGE_INDEX, tag === undefined ? {} : { tag });
}
