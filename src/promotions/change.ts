import type { RegistryEvent } from '../messages/registry-event.js';
import type { Attachments } from '../ports/attachments.js';
import type { IgnoredEvents } from '../ports/ignored-events.js';
import type { Ports } from '../ports/ports.js';
import type { Progress } from '../ports/progress.js';
import type { PromotionLists } from '../ports/promotion-lists.js';
import type { Promotions } from '../ports/promotions.js';
import type { Runs } from '../ports/runs.js';
import type { StorePort } from '../ports/store.js';
import type { SubjectIndex } from '../ports/subject-index.js';

export type EventPorts = Pick<Ports, 'registries' | 'engine' | 'rules' | 'paused' | 'now' | 'jobPolicy'> &
  StorePort<Promotions & Runs & Progress & PromotionLists & SubjectIndex & Attachments & IgnoredEvents>;

/** A tag or a manifest was pushed or deleted, by whomever that is told: an event, or a scan of what is new. */
export interface Change {
  kind: RegistryEvent['kind'];
  registry: string;
  repository: string;
  tag?: string;
  digest?: string;
  /** When, by the registry's clock. */
  at: string;
  /** Rules with this trigger are asked. */
  by: 'push' | 'schedule';
  /** Of an event. */
  id?: string;
}

/** What came of a change. */
export interface Handled {
  /**
   * - `done`: nothing more is to be done.
   * - `unreadable`: the manifest, or one above it, is not there: a replica may be late. To be handled again.
   * - `more`: there are more promotions than one call raises. To be handled again, from `next` on.
   */
  state: 'done' | 'unreadable' | 'more';
  next?: string;
  /** The promotions that were raised: not those that knew of it. */
  incremented: string[];
  /** The runs that see to it: opened by this, or open before. */
  runs: string[];
  /** Why nothing was raised, if no rule matches it. */
  ignored?: string;
  /** For the log. */
  text: string;
}
