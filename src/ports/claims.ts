import type { DestinationClaim } from '../rows/claims.js';
import type { Versioned } from './versioned.js';

/** Which promotion owns a destination tag. */
export interface Claims {
  /**
   * Makes `owner` the owner of a destination tag that has none.
   * @returns the current owner
   */
  claimDestination(destination: string, claim: DestinationClaim): Promise<Versioned<DestinationClaim>>;
  /** @returns false if the row is no longer at `version` */
  replaceClaim(destination: string, claim: DestinationClaim, version: string): Promise<boolean>;
}
