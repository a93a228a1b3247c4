import { InputError, IntegrityError, RegistryError, type Descriptor, type ReadableRepository } from '../oci/index.js';
import { thumbprintsOf, type Signer } from '../signing/index.js';
import { isThere } from '../transfer/is-there.js';
import { isSignedByUs, leafThumbprint } from './our-signature-check.js';
import type { Ports } from '../ports/ports.js';
import { recordedSignature } from './recorded-signature.js';
import type { SignedClaim } from './signed-claim.js';
import { fetchSignature, listSignatures, type FetchedSignature } from './signature-list.js';

/** Signatures of one subject that are read to find our own, where none is recorded. */
const MOST_OWN_SIGNATURES = 100;

/**
 * The signature over a claim that our present certificate made and that verifies. The one that is recorded is looked up by its digest,
 * so that no number of others hides it. Where none is recorded (it was made by another store, or on a command line), a bounded number
 * of those that name our certificate, or none, are read: what is not found is made, and recorded.
 */
export async function findOurSignature(
  ports: Pick<Ports, 'documents' | 'now'>,
  repository: ReadableRepository,
  claim: SignedClaim,
  signer: Signer,
  signal: AbortSignal,
): Promise<Pick<Descriptor, 'digest'> | undefined> {
  const { subject } = claim;
  const listed = await listSignatures(repository, subject, signal);
  if (listed.length === 0) return undefined;
  const recorded = (await recordedSignature(ports, claim, signer))?.descriptor;
  if (recorded !== undefined && listed.some(({ digest }) => digest === recorded.digest)) {
    if (await isThere(repository, recorded, signal)) return recorded;
  }
  const own = leafThumbprint(signer);
  const rankOf = (entry: Descriptor): number => (thumbprintsOf(entry).length === 0 ? 1 : 0);
  const candidates = listed
    .filter((entry) => rankOf(entry) === 1 || thumbprintsOf(entry)[0] === own)
    .sort((a, b) => rankOf(a) - rankOf(b));
  for (const descriptor of candidates.slice(0, MOST_OWN_SIGNATURES)) {
    const signature = await fetchReadable(repository, subject, descriptor, signal);
    if (signature !== undefined && (await isSignedByUs(claim, signature, signer, ports.now()))) return descriptor;
  }
  return undefined;
}

/** Undefined for what is malformed, not what its digest says, or gone since it was listed: it hides no good one. */
async function fetchReadable(
  repository: ReadableRepository,
  subject: Pick<Descriptor, 'digest'>,
  descriptor: Descriptor,
  signal: AbortSignal,
): Promise<FetchedSignature | undefined> {
  try {
    return (await fetchSignature(repository, subject, descriptor, signal)).signature;
  } catch (error) {
    const isUnreadable = error instanceof InputError || error instanceof IntegrityError;
    if (isUnreadable || (error instanceof RegistryError && error.notFound)) return undefined;
    throw error;
  }
}
