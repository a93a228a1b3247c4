import type { DestinationOwner } from '../rows/claims.js';
import type { Versioned } from './versioned.js';

/** Which promotion owns a destination tag. */
export interface Claims {
  /** Makes `owner` the owner of a destination tag where it has none; @returns who owns it now. */
  claimDestination(destination: string, owner: DestinationOwner): Promise<Versioned<DestinationOwner>>;
  /** @returns false where the row is no longer at `version`. */
  replaceDestinationOwner(destination: string, owner: DestinationOwner, version: string): Promise<boolean>;
}
