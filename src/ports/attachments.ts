import type { StoredDigest } from './stored-digest.js';

/** What we attached ourselves, so that neither its event nor a look at the registry triggers the promotion that did. */
export interface Attachments {
  /** Notes that we attached this manifest ourselves, before it is pushed, and in which run. */
  markOurs(manifest: StoredDigest, runId?: string): Promise<void>;
  /** The run that attached it last; something that is no run's id where that wasn't noted, undefined where it isn't ours. */
  attachedBy(manifest: StoredDigest): Promise<string | undefined>;
}
