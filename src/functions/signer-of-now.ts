import { PromoterError } from '../oci/index.js';
import { failingSigner, type Signer, type SignerSource } from '../signing/index.js';

/** One signer for a whole call. What signs nothing goes on if there is none at the moment. */
export async function signerOfNow(source: SignerSource | undefined, signal: AbortSignal): Promise<Signer | undefined> {
  try {
    return await source?.current(signal);
  } catch (error) {
    if (!(error instanceof PromoterError)) throw error;
    return failingSigner(error);
  }
}
