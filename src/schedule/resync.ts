import { InputError, PromoterError, describeError } from '../oci/index.js';
import { failurePauseMs } from '../rules/decide.js';
import { destinationOf, currentRule } from '../rules/match.js';
import type { Rule } from '../rules/rule.js';
import { incrementGeneration } from '../rows/generation.js';
import type { PromotionRow } from '../rows/promotion-row.js';
import { DAILY_MS, isRunsToDecide, resyncTurnOf, type ResyncLane, type ResyncTurn } from '../rows/lists.js';
import type { Ports } from '../ports/ports.js';
import { hasDifference } from './promotion-difference.js';
import { addProblemText, isRunLimitReached, isTimeOver, type Scan } from './scan.js';
import type { Share } from './request-shares.js';
import { tookTooLong, within } from './time-limit.js';

/** Promotions read from each list per tick. How many of them are compared depends on the request share. */
const LEAST_TURNS = 10;
const MOST_TURNS = 100;
/** Limits of one comparison. A promotion that needs more is compared by a run, once a day. */
export const LOOK_REQUESTS = 200;
const LOOK_MS = 10_000;
/** Failed comparisons in a row after which the tick stops comparing this list: its registries may be down. */
const MOST_TROUBLES = 2;
/**
 * After this many timeouts in a row the promotion is left to a run, if each time at least SLOW_LOOK_REQUESTS were sent.
 * With fewer, the registry was slow.
 */
const SLOW_LOOKS = 3;
const SLOW_LOOK_REQUESTS = 20;

export interface Resync extends Pick<Scan, 'signal' | 'until' | 'started' | 'maxStarted' | 'checked' | 'problems'> {
  ports: Pick<Ports, 'store' | 'engine' | 'rules' | 'documents' | 'signer' | 'paused' | 'now'>;
  /** How many requests it may still send to each registry. */
  share: Share;
}

/**
 * Compares promotions in depth, including the referrers on both sides. The one whose last comparison or run is the
 * oldest comes first, and the share of requests decides how many follow. A comparison that fails does not count: the
 * promotion is tried again after a pause and delays no other. See docs/decisions/schedule.md.
 */
export async function resync(scan: Resync): Promise<void> {
  const { ports } = scan;
  if (ports.paused) return;
  const rules = (await ports.rules.load()).filter((rule) => rule.triggers.includes('schedule'));
  const lanes = await Promise.all(lanesOf(rules).map((lane) => readLane(scan, lane)));
  await Promise.all(lanes.map((lane) => new LaneResync(scan, rules, lane).compareAll()));
}

/** The pairs of source and destination registries of all rules. Each pair is a lane. */
function lanesOf(rules: readonly Rule[]): ResyncLane[] {
  const lanes = new Map<string, ResyncLane>();
  for (const rule of rules) {
    try {
      const { registry } = destinationOf(rule, { repository: 'any', tag: 'any' });
      lanes.set(`${rule.source.registry} ${registry}`, { source: rule.source.registry, destination: registry });
    } catch (error) {
      // This destination cannot be formed from the name.
      if (!(error instanceof InputError)) throw error;
    }
  }
  return [...lanes.values()];
}

interface DueLane extends ResyncLane {
  urgent: PromotionRow[];
  all: PromotionRow[];
}

/** Reads the promotions of a lane that are due, as many as one tick can compare. Costs two table requests. */
async function readLane({ ports, share }: Resync, lane: ResyncLane): Promise<DueLane> {
  const left = Math.min(share.left(lane.source), share.left(lane.destination));
  if (left <= 0) return { ...lane, urgent: [], all: [] };
  const turns = Math.min(MOST_TURNS, Math.max(LEAST_TURNS, Math.ceil(left)));
  const read = async (list: ResyncTurn['list']): Promise<PromotionRow[]> => {
    const rows = await ports.store.listResync(lane, list, turns);
    return rows.filter((row) => isDue(ports.now(), resyncTurnOf(row)));
  };
  const [urgent, all] = await Promise.all([read('urgent'), read('all')]);
  return { ...lane, urgent, all };
}

/** True if due. A time more than two days ahead came from a wrong clock and counts as due. */
function isDue(now: Date, turn: ResyncTurn | undefined): boolean {
  if (turn === undefined) return false;
  const inMs = Date.parse(turn.at) - now.getTime();
  return inMs <= 0 || inMs > 2 * DAILY_MS;
}

/** The number of failed resyncs in a row since the promotion's last run. */
function failuresInARow({ resync: known, runId }: PromotionRow): number {
  return known?.runId === runId ? (known?.trouble?.times ?? 0) : 0;
}

function withResync(row: PromotionRow, known: Omit<NonNullable<PromotionRow['resync']>, 'runId'>): PromotionRow {
  return { ...row, resync: { ...known, runId: row.runId ?? '' } };
}

/** Compares the promotions of one lane, one after another. */
class LaneResync {
  readonly #scan: Resync;
  readonly #rules: readonly Rule[];
  readonly #lane: DueLane;
  #troubles = 0;
  /** Requests of the current comparison. */
  #asked = 0;

  constructor(scan: Resync, rules: readonly Rule[], lane: DueLane) {
    this.#scan = scan;
    this.#rules = rules;
    this.#lane = lane;
  }

  /**
   * Urgent promotions come first. They get half of the share while others are due, because they are due again and
   * again.
   */
  async compareAll(): Promise<void> {
    const { urgent, all } = this.#lane;
    const half = this.#left() / 2;
    while (!this.#isEnough()) {
      const row = all.length === 0 || this.#left() > half ? (urgent.shift() ?? all.shift()) : all.shift();
      if (row === undefined) return;
      await this.#compare(row.id);
    }
  }

  #left(): number {
    const { source, destination } = this.#lane;
    return Math.min(this.#scan.share.left(source), this.#scan.share.left(destination));
  }

  #isEnough(): boolean {
    return (
      this.#left() <= 0 || this.#troubles >= MOST_TROUBLES || isTimeOver(this.#scan) || isRunLimitReached(this.#scan)
    );
  }

  /**
   * The comparison counts as failed until it ends. So a promotion whose comparison ends the process is tried again
   * after a pause, and of two ticks only one compares it.
   */
  async #compare(id: string): Promise<void> {
    const { store, now } = this.#scan.ports;
    const current = await store.getPromotion(id);
    if (current === undefined || !isDue(now(), resyncTurnOf(current.value))) return;
    const row = current.value;
    const rule = currentRule(this.#rules, row.rule, row.source);
    const times = failuresInARow(row) + 1;
    const retryAt = new Date(now().getTime() + failurePauseMs(times)).toISOString();
    const failed = withResync(row, { ...row.resync, trouble: { times, retryAt } });
    if (!(await store.replacePromotion(failed, current.version))) return;
    const claimed = await store.getPromotion(id);
    if (claimed === undefined || claimed.value.runId !== row.runId) return;
    this.#scan.checked += 1;
    const end = (ended: PromotionRow): Promise<boolean> => store.replacePromotion(ended, claimed.version);
    try {
      if (rule !== undefined && (isRunsToDecide(row) || (await this.#differs(rule, row))))
        await this.#increment(rule, row);
      else await end(withResync(row, this.#seen(row)));
    } catch (error) {
      if (this.#scan.signal.aborted) {
        await end(row);
        throw error;
      }
      await this.#reportFailure(row, error, end);
    }
  }

  #seen({ resync }: PromotionRow): { at: string; tooLarge: string | undefined } {
    return { at: this.#scan.ports.now().toISOString(), tooLarge: resync?.tooLarge };
  }

  async #differs(rule: Rule, row: PromotionRow): Promise<boolean> {
    const { ports, share } = this.#scan;
    const enough = new AbortController();
    this.#asked = 0;
    const { registries } = share.counted(() => {
      this.#asked += 1;
      if (this.#asked > LOOK_REQUESTS) enough.abort(new TooLarge());
      enough.signal.throwIfAborted();
    });
    const signal = AbortSignal.any([this.#scan.signal, enough.signal]);
    try {
      return await within(signal, LOOK_MS, row.destination, (bound) =>
        hasDifference({ ...ports, registries }, rule, row, bound),
      );
    } catch (error) {
      enough.signal.throwIfAborted();
      throw error;
    }
  }

  async #increment(rule: Rule, { source }: PromotionRow): Promise<void> {
    await incrementGeneration(this.#scan.ports, rule, source, { kind: 'schedule' });
    this.#scan.started += 1;
  }

  async #reportFailure(
    row: PromotionRow,
    error: unknown,
    end: (ended: PromotionRow) => Promise<boolean>,
  ): Promise<void> {
    const isSlow = tookTooLong(error) && this.#asked >= SLOW_LOOK_REQUESTS && failuresInARow(row) + 1 >= SLOW_LOOKS;
    if (error instanceof TooLarge || isSlow)
      await end(withResync(row, { ...this.#seen(row), tooLarge: row.last?.digest ?? row.resync?.tooLarge }));
    if (error instanceof TooLarge) return;
    const { code, message } = describeError(error);
    // A refusal costs little and says nothing about the other promotions.
    if (error instanceof PromoterError && error.transient) this.#troubles += 1;
    addProblemText(this.#scan, `${row.destination}: ${code}: ${message}`);
  }
}

class TooLarge extends Error {}
