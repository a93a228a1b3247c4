import type { StoredDigest } from './stored-digest.js';

/**
 * Records which manifests this app attached. Neither their push events nor the schedule may trigger the promotion that
 * attached them.
 */
export interface Attachments {
  /** Records, before the push, that this app attaches this manifest, and in which run. */
  markOurs(manifest: StoredDigest, runId?: string): Promise<void>;
  /**
   * The run that attached the manifest last. If no run was recorded, a text that is no run's id. Undefined if this app
   * did not attach it.
   */
  attachedBy(manifest: StoredDigest): Promise<string | undefined>;
}
