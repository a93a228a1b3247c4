import { InputError, PromoterError, describeError } from '../oci/index.js';
import { failurePauseMs } from '../rules/decide.js';
import { destinationOf, currentRule } from '../rules/match.js';
import type { Rule } from '../rules/rule.js';
import { incrementGeneration } from '../rows/generation.js';
import type { PromotionRow } from '../rows/promotion-row.js';
import { DAILY_MS, isRunsToDecide, resyncTurnOf, type ResyncLane, type ResyncTurn } from '../rows/lists.js';
import type { Ports } from '../ports/ports.js';
import type { Versioned } from '../ports/versioned.js';
import { CrashMarker } from './crash-marker.js';
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
  const marker = await CrashMarker.open(ports);
  const [suspect, ...others] = marker.before;
  if (suspect !== undefined && others.length === 0) await recordCrash(scan, suspect);
  const isAlone = others.length > 0;
  const lanes = await Promise.all(lanesOf(rules).map((lane) => readLane(scan, lane)));
  const due = lanes.flatMap(({ urgent, all }) => [...urgent, ...all].map(({ id }) => id));
  if (due.length === 0 && marker.before.length === 0) return;
  if (!(await marker.mark(isAlone ? [] : due))) return;
  try {
    if (isAlone)
      for (const lane of lanes) await new LaneResync(scan, rules, lane, isAlone ? marker : undefined).compareAll();
    else
      await Promise.all(
        lanes.map((lane) => new LaneResync(scan, rules, lane, isAlone ? marker : undefined).compareAll()),
      );
  } finally {
    await marker.clear();
  }
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

/** Records that a tick crashed while this was the only promotion that it compared. */
async function recordCrash(scan: Resync, id: string): Promise<void> {
  const current = await scan.ports.store.getPromotion(id);
  if (current === undefined || resyncTurnOf(current.value) === undefined) return;
  addProblemText(
    scan,
    `promotion ${id}: a schedule tick crashed while it compared this promotion; it is tried again later`,
  );
  await recordFailure(scan, current);
}

async function recordFailure({ ports }: Resync, { value: row, version }: Versioned<PromotionRow>): Promise<void> {
  const times = failuresInARow(row) + 1;
  const retryAt = new Date(ports.now().getTime() + failurePauseMs(times)).toISOString();
  await ports.store.replacePromotion(withResync(row, { ...row.resync, trouble: { times, retryAt } }), version);
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
  /** Set if each comparison must be recorded before it begins. */
  readonly #marker: CrashMarker | undefined;
  #troubles = 0;
  /** Requests of the current comparison. */
  #asked = 0;

  constructor(scan: Resync, rules: readonly Rule[], lane: DueLane, marker: CrashMarker | undefined) {
    this.#scan = scan;
    this.#rules = rules;
    this.#lane = lane;
    this.#marker = marker;
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
      if (this.#marker !== undefined && !(await this.#marker.mark([row.id]))) return;
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

  async #compare(id: string): Promise<void> {
    const { ports } = this.#scan;
    const current = await ports.store.getPromotion(id);
    if (current === undefined || !isDue(ports.now(), resyncTurnOf(current.value))) return;
    const row = current.value;
    const rule = currentRule(this.#rules, row.rule, row.source);
    this.#scan.checked += 1;
    try {
      if (rule !== undefined && (isRunsToDecide(row) || (await this.#differs(rule, row))))
        await this.#increment(rule, row);
      else await ports.store.replacePromotion(withResync(row, this.#seen(row)), current.version);
    } catch (error) {
      this.#scan.signal.throwIfAborted();
      await this.#recordFailure(current, error);
    }
  }

  #seen({ resync }: PromotionRow): { at: string; tooLarge?: string } {
    const at = this.#scan.ports.now().toISOString();
    return { at, ...(resync?.tooLarge !== undefined && { tooLarge: resync.tooLarge }) };
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

  async #recordFailure(current: Versioned<PromotionRow>, error: unknown): Promise<void> {
    const { value: row, version } = current;
    const isSlow = tookTooLong(error) && this.#asked >= SLOW_LOOK_REQUESTS && failuresInARow(row) + 1 >= SLOW_LOOKS;
    if (error instanceof TooLarge || isSlow) {
      const tooLarge = row.last?.digest;
      const known = { ...this.#seen(row), ...(tooLarge !== undefined && { tooLarge }) };
      await this.#scan.ports.store.replacePromotion(withResync(row, known), version);
    } else await recordFailure(this.#scan, current);
    if (error instanceof TooLarge) return;
    const { code, message } = describeError(error);
    // A refusal costs little and says nothing about the other promotions.
    if (error instanceof PromoterError && error.transient) this.#troubles += 1;
    addProblemText(this.#scan, `${row.destination}: ${code}: ${message}`);
  }
}

class TooLarge extends Error {}
