import type { Descriptor } from '../oci/index.js';

/** What our signatures may say of what they sign, as Notary user metadata. Nothing else may begin so. */
const OURS = 'io.acr-promoter.';
const ROLE = `${OURS}role`;
const IMAGE = `${OURS}image`;

/** What one of our signatures is over, and what it says of it. */
export interface SignedClaim {
  /** Media type, digest and size as fetched. */
  subject: Pick<Descriptor, 'mediaType' | 'digest' | 'size'>;
  metadata: Readonly<Record<string, string>>;
}

/** A signature that says no more than that it is ours: of an image, an index, an artifact. */
export function plainClaim(subject: SignedClaim['subject']): SignedClaim {
  return { subject, metadata: {} };
}

/** That a manifest is the SBOM that we made of an image. */
export function sbomClaim(sbom: SignedClaim['subject'], image: Pick<Descriptor, 'digest'>): SignedClaim {
  return { subject: sbom, metadata: { [ROLE]: 'sbom', [IMAGE]: image.digest } };
}

/** True if the metadata of a signature is this claim, no more and no less; keys of others do not count. */
export function isClaimed(signed: Readonly<Record<string, string>>, { metadata }: SignedClaim): boolean {
  const own = Object.keys(signed).filter((key) => key.startsWith(OURS));
  return own.length === Object.keys(metadata).length && own.every((key) => signed[key] === metadata[key]);
}
