import type { RegistryEvent } from '../messages/registry-event.js';
import type { Ports } from '../ports/ports.js';

export type EventPorts = Pick<Ports, 'store' | 'registries' | 'engine' | 'rules' | 'paused' | 'now' | 'jobPolicy'>;

/** A push or deletion of a tag or a manifest, reported by an event or found by a change scan. */
export interface Change {
  kind: RegistryEvent['kind'];
  registry: string;
  repository: string;
  tag?: string | undefined;
  digest?: string | undefined;
  /** The time by the registry's clock. */
  at: string;
  /** Only rules with this trigger are checked. */
  by: 'push' | 'schedule';
  /** The id of the event, if there is one. */
  id?: string | undefined;
}

/** The result of a change. */
export interface Handled {
  /**
   * - `done`: nothing is left to do.
   * - `unreadable`: the manifest, or one of its subjects, is missing; a replica may be stale. Handle the change again.
   * - `more`: there are more promotions than one call triggers. Handle the change again, starting at `next`.
   */
  state: 'done' | 'unreadable' | 'more';
  next?: string | undefined;
  /** The promotions that were triggered, without those that knew of the change already. */
  incremented: string[];
  /** The runs that answer the change: opened by it, or open before. */
  runs: string[];
  /** Why no promotion was triggered, if no rule matches. */
  ignored?: string;
  /** The log line. */
  text: string;
}
