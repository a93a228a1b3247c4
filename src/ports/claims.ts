import type { DestinationClaim } from '../rows/claims.js';
import type { Versioned } from './versioned.js';

/** Which promotion owns a destination tag. */
export interface Claims {
  getClaim(destination: string): Promise<Versioned<DestinationClaim> | undefined>;
  /**
   * Makes `owner` the owner of a destination tag that has none.
   * @returns the current owner
   */
  claimDestination(destination: string, claim: DestinationClaim): Promise<Versioned<DestinationClaim>>;
  /** @returns false if the row is no longer at `version` */
  replaceClaim(destination: string, claim: DestinationClaim, version: string): Promise<boolean>;
}
