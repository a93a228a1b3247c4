import {
  DOCKER_IMAGE_CONFIG,
  InputError,
  OCI_IMAGE_CONFIG,
  formatPlatform,
  isManifestMediaType,
  parseManifest,
  type Descriptor,
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
  const none = (kind: string, why: string): Image => ({ ...bare(descriptor), label: kind, sbom: false, why });
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

/**
 * What is promoted under a root, root first: each manifest with a label, and whether it gets an SBOM.
 * @throws InputError `TOO_MANY_IMAGES`
 */
export async function classifyGraph(
  repository: ReadableRepository,
  root: Descriptor,
  signal: AbortSignal,
): Promise<{ root: Manifest; images: Image[] }> {
  const manifest = await read(repository, root, signal);
  const images = [classifyManifest(root, manifest, 'image')];
  if (manifest.kind === 'index') {
    if (manifest.manifests.length > STEP_LIMITS.images) {
      throw new InputError(
        'TOO_MANY_IMAGES',
        `${repository.name}@${root.digest} has ${manifest.manifests.length} children; the most is ${STEP_LIMITS.images}`,
        { remedy: 'Split the index.' },
      );
    }
    const children = manifest.manifests.filter((child) => isManifestMediaType(child.mediaType));
    images.push(...(await Promise.all(children.map((child) => classifyChild(repository, child, signal)))));
  }
  // An index may name one manifest twice.
  const unique = new Map(images.map((image) => [image.digest, image]));
  return { root: manifest, images: [...unique.values()] };
}

async function classifyChild(repository: ReadableRepository, child: Descriptor, signal: AbortSignal): Promise<Image> {
  if (isAttestation(child)) {
    return { ...bare(child), label: 'attestation', sbom: false, why: 'an attestation manifest, no image' };
  }
  const label = child.platform === undefined ? 'image' : formatPlatform(child.platform);
  return classifyManifest(child, await read(repository, child, signal), label);
}
