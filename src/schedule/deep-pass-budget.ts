import { PromoterError } from '../oci/index.js';
import type { PromotionRow } from '../rows/promotion-row.js';
import { CountedRegistries } from './counted-registries.js';
import type { Scan } from './scan.js';
import { tookTooLong } from './within.js';

/** Requests of one tick, as far as its first pass leaves some to the deep pass. */
const TICK_REQUESTS = 60;
/**
 * Requests of one deep pass: what is left to it in any case, and to one registry where nothing is known of its limits; and however much
 * the first pass made.
 */
export const DEEP_PASS_REQUESTS = 16;
const MOST_DEEP_PASS_REQUESTS = 500;
/** Requests to one registry for one promotion, where a pass may not make more anyway; a larger one is a run's to look at. */
export const DEEP_PASS_ROW_REQUESTS = 200;
/** Those that were too much, and are known to be; of more the oldest are looked at anew. */
const MOST_TOO_MUCH = 200;

/** Calls by registry. */
export type Calls = Readonly<Record<string, number>>;

/** Promotions that were too much for one look, each with its run then: until it has another they are not looked at. */
export type TooMuch = Readonly<Record<string, string>>;

/** What a deep pass may still ask of each registry. */
export class DeepPassBudget {
  readonly counted: CountedRegistries;
  readonly #scan: Scan;
  readonly #before: Calls;
  readonly #asked = new Set<string>();
  readonly #tooMuch: Map<string, string>;
  /** What the dearest promotion so far has cost. */
  #dearest = 0;
  #dearestInAll = 0;

  /** @param before what earlier ticks asked beyond their budget; @param tooMuch what they found */
  constructor(scan: Scan, before: Calls, tooMuch: TooMuch) {
    this.#before = before;
    this.#tooMuch = new Map(Object.entries(tooMuch));
    this.#scan = scan;
    this.counted = new CountedRegistries(scan.ports.registries);
  }

  /** Half of what the registry allows in a minute, for a tick that comes every few: the runs need the rest. */
  #most(registry: string): number {
    const perMinute = this.#perMinute(registry);
    if (perMinute === undefined) return DEEP_PASS_REQUESTS;
    return Math.min(Math.floor(perMinute / 2), this.#mostInAll());
  }

  /**
   * What the first pass has left of a tick's requests; a third of what it made, where that is more, so that a round takes about as many
   * ticks however much there is; and enough to get on.
   */
  #mostInAll(): number {
    const asked = [...this.#scan.asked.values()].reduce((sum, requests) => sum + requests, 0);
    const most = Math.max(TICK_REQUESTS - asked, Math.floor(asked / 3), DEEP_PASS_REQUESTS);
    return Math.min(most, MOST_DEEP_PASS_REQUESTS);
  }

  #perMinute(registry: string): number | undefined {
    try {
      return this.#scan.ports.listing.registry(registry).requestsPerMinute();
    } catch (error) {
      // One that may not be asked (any more): whoever looks at its promotions is told.
      if (!(error instanceof PromoterError)) throw error;
      return undefined;
    }
  }

  /** One promotion is looked at in any case, once nothing is owed: a pass always gets on. */
  allows(registries: readonly string[]): boolean {
    const inAll = this.counted.total();
    if (inAll > 0 && inAll + this.#dearestInAll > this.#mostInAll()) return false;
    return registries.every((registry) => {
      const spent = this.#spent(registry);
      return spent === 0 || spent + this.#dearest <= this.#most(registry);
    });
  }

  #spent(registry: string): number {
    return (this.#before[registry] ?? 0) + this.counted.calls(registry);
  }

  /** What the ticks to come have to pay back; each pays something. */
  owed(): Calls {
    const all = [...new Set([...Object.keys(this.#before), ...this.#asked])];
    const owed = all.map((name) => [name, this.#spent(name) - Math.max(1, this.#most(name))] as const);
    return Object.fromEntries(owed.filter(([, calls]) => calls > 0));
  }

  /** For the ticks to come; of many the latest. */
  tooMuch(): TooMuch {
    return Object.fromEntries([...this.#tooMuch].slice(-MOST_TOO_MUCH));
  }

  /**
   * Looks at one promotion, within what one may cost at most.
   * @returns what `look` does, or that it is too much, by this look or an earlier one; one that took too long is too much as well
   */
  async spend<T>(
    { id, runId = '' }: PromotionRow,
    registries: readonly string[],
    look: (signal: AbortSignal) => Promise<T>,
  ): Promise<{ done: T } | 'too much'> {
    if (this.#tooMuch.get(id) === runId) return 'too much';
    this.#tooMuch.delete(id);
    for (const registry of registries) this.#asked.add(registry);
    const spent = (): number[] => registries.map((registry) => this.counted.calls(registry));
    const most = (registry: string): number => Math.max(DEEP_PASS_ROW_REQUESTS, this.#most(registry));
    const before = spent();
    const beforeInAll = this.counted.total();
    try {
      const looked = await this.counted.within(new Map(registries.map((name) => [name, most(name)])), look);
      if (looked === 'too much') this.#tooMuch.set(id, runId);
      return looked;
    } catch (error) {
      if (tookTooLong(error)) this.#tooMuch.set(id, runId);
      throw error;
    } finally {
      const cost = spent().map((calls, index) => calls - (before[index] ?? 0));
      this.#dearest = Math.max(this.#dearest, ...cost);
      this.#dearestInAll = Math.max(this.#dearestInAll, this.counted.total() - beforeInAll);
    }
  }
}
