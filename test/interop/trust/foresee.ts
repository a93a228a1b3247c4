import { packArtifact, type Descriptor, type PackedArtifact, type Repository } from '../../../src/oci/index.js';
import { createStreamingSbomGenerator } from '../../../src/sbom/index.js';
import { generateSbom } from '../../../src/evidence/our-sbom.js';

/**
 * The SBOM that the app makes of an image, which anybody can make: the same image of the same source has the same bytes.
 * @param name the repository's, with its registry
 */
export async function foreseeSbom(repository: Repository, name: string, image: Descriptor): Promise<PackedArtifact> {
  const never = new AbortController().signal;
  const generator = { sbom: createStreamingSbomGenerator() };
  const { subject, sbom } = await generateSbom(generator, { repository, name, image }, never, () => {});
  const { mediaType, bytes, created } = sbom;
  const annotations = { 'org.opencontainers.image.title': 'sbom.cdx.json' };
  return packArtifact({
    artifactType: mediaType,
    layers: [{ mediaType, bytes, annotations }],
    subject,
    annotations: { 'org.opencontainers.image.created': created },
  });
}
