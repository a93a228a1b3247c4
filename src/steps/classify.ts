import {
  DOCKER_IMAGE_CONFIG,
  InputError,
  OCI_IMAGE_CONFIG,
  formatPlatform,
  isManifestMediaType,
  mapConcurrently,
  parseManifest,
  type Descriptor,
  type Digest,
  type Manifest,
  type ReadableRepository,
} from '../oci/index.js';
import type { Image } from './contracts.js';
import { STEP_LIMITS } from './limits.js';

/** buildx marks its provenance so, beside a platform of unknown/unknown. */
const ATTESTATION_ANNOTATION = 'vnd.docker.reference.type';

function isAttestation(descriptor: Descriptor): boolean {
  return (
    descriptor.annotations?.[ATTESTATION_ANNOTATION] === 'attestation-manifest' ||
    (descriptor.platform?.os === 'unknown' && descriptor.platform.architecture === 'unknown')
  );
}

function bare({ mediaType, digest, size }: Descriptor): Pick<Descriptor, 'mediaType' | 'digest' | 'size'> {
  return { mediaType, digest, size };
}

/** One manifest: an image, which gets an SBOM, or something else, with the reason why it gets none. */
function classifyManifest(descriptor: Descriptor, manifest: Manifest, label: string): Image {
  // A type is whatever its maker wrote there.
  const none = (kind: string, why: string): Image => ({
    ...bare(descriptor),
    label: kind.slice(0, STEP_LIMITS.labelCharacters),
    sbom: false,
    why: why.slice(0, 2 * STEP_LIMITS.labelCharacters),
  });
  switch (manifest.kind) {
    case 'index':
      return none('index', 'an index: its images get one each');
    case 'artifact':
      return none(manifest.artifactType ?? 'artifact', 'an artifact manifest, no image');
    case 'image': {
      const type = manifest.config.mediaType;
      if (type !== OCI_IMAGE_CONFIG && type !== DOCKER_IMAGE_CONFIG) {
        return none(manifest.artifactType ?? type, `no image: its config is ${type}`);
      }
      return { ...bare(descriptor), label, sbom: true };
    }
  }
}

async function read(repository: ReadableRepository, descriptor: Descriptor, signal: AbortSignal): Promise<Manifest> {
  const { bytes, descriptor: fetched } = await repository.fetchManifest(descriptor, { signal });
  return parseManifest(bytes, fetched.mediaType, `${repository.name}@${descriptor.digest}`);
}

/** A manifest, and the manifests that it lists. */
interface Looked {
  image: Image;
  manifest?: Manifest;
}

/**
 * What is promoted under a root, root first, then level by level: each manifest with a label of its own, and whether it gets an
 * SBOM.
 * @throws InputError `TOO_MANY_IMAGES`
 */
export async function classifyGraph(
  repository: ReadableRepository,
  root: Descriptor,
  signal: AbortSignal,
): Promise<{ root: Manifest; images: Image[] }> {
  const manifest = await read(repository, root, signal);
  // An index may name one manifest twice.
  const images = new Map<Digest, Image>([[root.digest, classifyManifest(root, manifest, 'image')]]);
  let open = manifestsOf(manifest);
  while (open.length > 0) {
    const fresh = [...new Map(open.map((child) => [child.digest, child])).values()].filter(
      ({ digest }) => !images.has(digest),
    );
    if (images.size + fresh.length - 1 > STEP_LIMITS.images) {
      throw new InputError(
        'TOO_MANY_IMAGES',
        `${repository.name}@${root.digest} has ${images.size + fresh.length - 1} children or more; the most is ${STEP_LIMITS.images}`,
        { remedy: 'Split the index.' },
      );
    }
    const looked = await mapConcurrently(fresh, STEP_LIMITS.lookedAtOnce, (child) =>
      classifyChild(repository, child, signal),
    );
    for (const { image } of looked) images.set(image.digest, image);
    open = looked.flatMap(({ manifest: inner }) => (inner === undefined ? [] : manifestsOf(inner)));
  }
  return { root: manifest, images: withLabelsApart([...images.values()]) };
}

function manifestsOf(manifest: Manifest): Descriptor[] {
  return manifest.kind === 'index' ? manifest.manifests.filter((child) => isManifestMediaType(child.mediaType)) : [];
}

/** By its label a step of a run is told from another: two of one platform have their digests in theirs. */
function withLabelsApart(images: readonly Image[]): Image[] {
  const counts = new Map<string, number>();
  for (const { label } of images) counts.set(label, (counts.get(label) ?? 0) + 1);
  return images.map((image) =>
    counts.get(image.label) === 1
      ? image
      : { ...image, label: `${image.label} ${image.digest.slice(0, 'sha256:'.length + 12)}` },
  );
}

async function classifyChild(repository: ReadableRepository, child: Descriptor, signal: AbortSignal): Promise<Looked> {
  if (isAttestation(child)) {
    return { image: { ...bare(child), label: 'attestation', sbom: false, why: 'an attestation manifest, no image' } };
  }
  const label = child.platform === undefined ? 'image' : formatPlatform(child.platform);
  const manifest = await read(repository, child, signal);
  return { image: classifyManifest(child, manifest, label.slice(0, STEP_LIMITS.labelCharacters)), manifest };
}
