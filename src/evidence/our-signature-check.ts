import { PromoterError } from '../oci/index.js';
import { thumbprint, verifyNotary, type Signer, type VerifiedSignature } from '../signing/index.js';
import { isClaimed, type SignedClaim } from './signed-claim.js';

/** Lower-case hex SHA-256 of the signer's leaf certificate. */
export function leafThumbprint({ certificates: [leaf] }: Signer): string {
  return leaf === undefined ? '' : thumbprint(leaf);
}

/** True for a signature that verifies, was made with our present certificate, and claims what it should. */
export async function isSignedByUs(
  claim: SignedClaim,
  { mediaType, envelope }: { mediaType: string; envelope: Uint8Array },
  signer: Signer,
  now: Date,
): Promise<boolean> {
  const root = signer.certificates.at(-1);
  if (root === undefined) return false;
  let verified: VerifiedSignature;
  try {
    const trust = { certificates: [root], identities: ['*'] };
    verified = await verifyNotary({ envelope, mediaType, subject: claim.subject, trust, now });
  } catch (error) {
    if (error instanceof PromoterError && !error.transient) return false;
    throw error;
  }
  return verified.certificateThumbprint === leafThumbprint(signer) && isClaimed(verified.metadata, claim);
}
