import { type Descriptor, type PackedArtifact, type Repository } from '../../../src/oci/index.js';
import { createStreamingSbomGenerator, generateSboms } from '../../../src/sbom/index.js';
import { packSbom } from '../../../src/evidence/our-sbom.js';

/**
 * The SBOM that the app makes of an image, which anybody can make: the same image of the same source has the same bytes.
 * @param name the repository's, with its registry
 */
export async function foreseeSbom(repository: Repository, name: string, image: Descriptor): Promise<PackedArtifact> {
  const never = new AbortController().signal;
  const generator = createStreamingSbomGenerator();
  const input = { repository, name, image, formats: ['cyclonedx'] as const };
  const { subject, sboms } = await generateSboms(generator, input, never, () => {});
  const [sbom] = sboms;
  if (sbom === undefined) throw new Error('no SBOM was made');
  return packSbom(sbom, subject);
}
