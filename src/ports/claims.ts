import type { DestinationClaim } from '../rows/claims.js';
import type { Versioned } from './versioned.js';

/** Which promotion owns a destination tag. */
export interface Claims {
  /** Makes `owner` the owner of a destination tag where it has none; @returns who owns it now. */
  claimDestination(destination: string, claim: DestinationClaim): Promise<Versioned<DestinationClaim>>;
  /** @returns false where the row is no longer at `version`. */
  replaceClaim(destination: string, claim: DestinationClaim, version: string): Promise<boolean>;
}
