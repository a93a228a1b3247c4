import { InputError, parseManifest, type Descriptor, type ReadableRepository } from '../oci/index.js';
import type { Sbom, SbomGenerator, SbomInput } from './generator.js';
import type { SbomFormat } from './tool.js';

/** The SBOMs of an image. */
export interface Generated {
  subject: Descriptor;
  sboms: Sbom[];
}

/**
 * Makes the SBOMs of one image by streaming its layers once.
 * @param name of the root component
 * @throws InputError `NOT_AN_IMAGE`; as the generator
 */
export async function generateSboms(
  generator: SbomGenerator,
  {
    repository,
    name,
    image,
    formats,
    manifests = repository,
    ...how
  }: Pick<SbomInput, 'layers' | 'layersAtOnce'> & {
    repository: ReadableRepository;
    name: string;
    image: Descriptor;
    formats: readonly SbomFormat[];
    /** Returns the manifests that this run has read already. Default: the repository. */
    manifests?: Pick<ReadableRepository, 'fetchManifest'>;
  },
  signal: AbortSignal,
  onProgress: (done: number, total: number) => void,
): Promise<Generated> {
  const reference = `${name}@${image.digest}`;
  const { bytes, descriptor } = await manifests.fetchManifest(image, { signal });
  const manifest = parseManifest(bytes, descriptor.mediaType, reference);
  if (manifest.kind !== 'image') {
    throw new InputError('NOT_AN_IMAGE', `${reference} is not an image`, {
      remedy: 'Name one of the images of the index: only an image has layers to look into.',
    });
  }
  const sboms = await generator.generate({
    ...how,
    name,
    descriptor,
    manifest,
    formats,
    // The config is collected, the layers are streamed.
    openBlob: (blob, blobSignal) =>
      repository.openBlob(blob, { signal: blobSignal, freesChunks: blob !== manifest.config }),
    hasBlob: (blob, blobSignal) => repository.hasBlob(blob, { signal: blobSignal }),
    signal,
    onProgress,
  });
  return { subject: descriptor, sboms };
}

/** One line: the packages that were found and the files that could not be read. */
export function describeSbom({ counts, gaps }: Pick<Sbom, 'counts' | 'gaps'>): string {
  const counted = Object.entries(counts).map(([type, count]) => `${count} ${type}`);
  const missing = gaps.map(({ cause, count, examples: [example = ''] }) => `${count} ${cause}: ${example}`);
  return [counted.length === 0 ? 'no components' : counted.join(', '), ...missing].join('; ');
}
