import type { Attachments } from './attachments.js';
import type { Claims } from './claims.js';
import type { IgnoredEvents } from './ignored-events.js';
import type { JobIds } from './job-ids.js';
import type { Notes } from './notes.js';
import type { Progress } from './progress.js';
import type { PromotionLists } from './promotion-lists.js';
import type { Promotions } from './promotions.js';
import type { RunLists } from './run-lists.js';
import type { Runs } from './runs.js';
import type { ScanRows } from './scan-rows.js';
import type { SubjectIndex } from './subject-index.js';

/**
 * All tables together, as an adapter implements them. Every call can be repeated. Each caller names the part that it
 * needs.
 */
export interface Store
  extends
    Promotions,
    PromotionLists,
    Runs,
    RunLists,
    Progress,
    SubjectIndex,
    Claims,
    Attachments,
    JobIds,
    IgnoredEvents,
    Notes,
    ScanRows {}

/** The part of the store that a step needs. */
export interface StorePort<Part> {
  store: Part;
}
