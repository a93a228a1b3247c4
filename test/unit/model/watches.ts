import { isDeepStrictEqual } from 'node:util';
import { type Rule, fingerprint } from '../../../src/rules/rule.js';
import type { PromotionRow } from '../../../src/rows/promotion-row.js';
import type { RunRow, SourceTag } from '../../../src/rows/run-row.js';
import type { World } from '../../support/world.js';
import { Interruptions } from './interrupted.js';
import type { Simulation, Task } from './simulation.js';

type Store = World['store'];

/** How long what has ended is kept. */
export const RETENTION_MS = 24 * 3_600_000;

/** Runs that may follow one another though nothing more was wanted. */
const MOST_RUNS = 8;

/** What must hold at each write, whatever else is under way. */
export class Watches {
  readonly problems = new Set<string>();
  readonly interruptions = new Interruptions();
  /** Runs and promotions that housekeeping has taken. */
  readonly removedRuns = new Set<string>();
  readonly removedPromotions = new Set<string>();
  /** Runs in the order in which they were opened. */
  readonly opened: string[] = [];
  /** How runs ended, and how often. */
  readonly ends = new Map<string, number>();
  /** What was `generation` when a row was written as waiting, by promotion. */
  readonly waitingSince = new Map<string, number>();
  readonly #simulation: Simulation;
  readonly #store: Store;
  readonly #digestOf: (tag: SourceTag) => string | undefined;
  /** The rules as they were, each with the step at which they came. */
  readonly #rules: { from: number; rules: readonly Rule[] }[] = [];
  /** By repository, the step at which one of its tags was written last; by promotion, the step at which its row was closed. */
  readonly #movedAt = new Map<string, number>();
  readonly #restedAt = new Map<string, number>();
  /** By source tag, `registry/repository:tag`: each digest that it was set to, and at which step. */
  readonly #digests = new Map<string, { step: number; digest: string }[]>();
  /** Tags were read as they had been: a destination may have gone back. */
  readsOld = false;
  /** Whose call a registry is asked by just now. */
  writer: Task | undefined;
  /** Runs that followed one another, by promotion. */
  readonly #times = new Map<string, number>();
  /** By run, the step at which its row ended; by promotion, the runs that it ever named. */
  readonly #endedAt = new Map<string, number>();
  readonly #named = new Map<string, Set<string>>();

  /** @param digestOf what stands under a tag */
  constructor(simulation: Simulation, store: Store, digestOf: (tag: SourceTag) => string | undefined) {
    this.#simulation = simulation;
    this.#store = store;
    this.#digestOf = digestOf;
  }

  ruled(rules: readonly Rule[]): void {
    this.#rules.push({ from: this.#simulation.steps, rules });
  }

  moved(registry: string, repository: string): void {
    this.#movedAt.set(`${registry}/${repository}`, this.#simulation.steps);
  }

  /** A tag was set, by whomever. */
  tagged({ registry, repository, tag }: SourceTag, digest: string): void {
    const name = `${registry}/${repository}:${tag}`;
    const before = this.#digests.get(name) ?? [];
    this.#digests.set(name, [...before, { step: this.#simulation.steps, digest }]);
  }

  /** A destination tag never goes back to a digest that was replaced at the source, unless the source has gone back, too. */
  async retagged({ mode, label, beganAt }: Task, destination: string, before: string, digest: string): Promise<void> {
    // What a dead or sleeping process had asked for lands whenever it does.
    if (mode !== 'live' || before === digest || this.readsOld) return;
    for (const { source } of (await this.#store.listPromotions({ filter: { destination } })).items) {
      const digests = this.#digests.get(`${source.registry}/${source.repository}:${source.tag}`) ?? [];
      const last = digests.findLastIndex((each) => each.digest === digest);
      const next = digests[last + 1];
      if (last < 0 || next === undefined || next.step >= beganAt) continue;
      if (digests.slice(last).some((each) => each.digest === before))
        this.problems.add(`${label} moves ${destination} back to ${digest}, which was replaced`);
    }
  }

  /** A registry is written to, by a task that may work for a run. */
  async writing(task: Task, registry: string, repository: string): Promise<void> {
    const { runId } = task;
    if (this.#isLate(task)) this.problems.add(`${task.label}: run ${runId}, which has ended, writes to ${repository}`);
    const run = runId === undefined ? undefined : (await this.#store.getRun(runId))?.value;
    if (run?.input.kind !== 'promotion') return;
    const { rule, source } = run.input;
    const place = `${registry}/${repository}`;
    if (rule.mode === 'observe') this.problems.add(`run ${run.id} of a rule that observes writes to ${place}`);
    if (rule.attachTo === 'destination' && place === `${source.registry}/${source.repository}`)
      this.problems.add(`run ${run.id} of a rule that attaches at the destination writes to ${place}`);
  }

  /** The store as a task has it. */
  storeOf(task: Task): Store {
    const store = this.#store;
    const watched = Object.create(store) as Store;
    watched.insertRun = async (row) => {
      const inserted = await store.insertRun(row);
      if (inserted) this.#opens(row, task);
      return inserted;
    };
    watched.replaceRun = async (row, version) => {
      const before = (await store.getRun(row.id))?.value;
      const written = await store.replaceRun(row, version);
      if (!written) return false;
      if (before?.state === 'ended') this.#staysEnded(before, row, task);
      else if (row.state === 'ended') this.#ended(row);
      return true;
    };
    watched.insertPromotion = async (row) => {
      const inserted = await store.insertPromotion(row);
      if (inserted) this.#names(row);
      return inserted;
    };
    watched.replacePromotion = async (row, version) => {
      const before = await store.getPromotion(row.id);
      const written = await store.replacePromotion(row, version);
      if (!written || before === undefined) return written;
      this.#changes(before.value, row, task);
      this.interruptions.changes(before.value, row, (await store.getRun(before.value.runId ?? ''))?.value);
      return true;
    };
    watched.removePromotion = async (row) => {
      const current = (await store.getPromotion(row.id))?.value;
      const removed = await store.removePromotion(row);
      if (removed) this.removedPromotions.add(row.id);
      const isOld = isAtRest(current) && this.#isOld(current?.last?.finishedAt);
      if (removed && current !== undefined && !isOld)
        this.problems.add(`promotion ${row.id} was removed, and is not at rest for long`);
      return removed;
    };
    watched.removeRun = async (run) => {
      const current = (await store.getRun(run.id))?.value;
      const row = run.promotionId === undefined ? undefined : (await store.getPromotion(run.promotionId))?.value;
      await store.removeRun(run);
      this.removedRuns.add(run.id);
      const isOld = current?.state === 'ended' && this.#isOld(current.finishedAt);
      if (current !== undefined && (!isOld || (row?.runId === run.id && row.runOpen)))
        this.problems.add(`run ${run.id} was removed, and has not ended long ago`);
    };
    return watched;
  }

  /** A run that has ended is not ended again, nor opened again. */
  #staysEnded(before: RunRow, row: RunRow, { label }: Task): void {
    const [was, is] = [endOf(before), row.state === 'ended' ? endOf(row) : row.state];
    if (was !== is) this.problems.add(`${label}: run ${row.id} had ended as ${was}, and is written as ${is}`);
  }

  /** True if the task began after its run's row had ended: it must do nothing. The steps that close may be done twice. */
  #isLate({ runId, beganAt, label }: Task): boolean {
    const endedAt = runId === undefined ? undefined : this.#endedAt.get(runId);
    return endedAt !== undefined && endedAt < beganAt && !/ close(?:Run|Job)\b/.test(label);
  }

  /** @returns whether the promotion named the run before */
  #names({ id, runId }: PromotionRow): boolean {
    const named = this.#named.get(id) ?? new Set();
    this.#named.set(id, named);
    const isKnown = runId !== undefined && named.has(runId);
    if (runId !== undefined) named.add(runId);
    return isKnown;
  }

  #ended({ id, input: { kind }, result }: RunRow): void {
    this.#endedAt.set(id, this.#simulation.steps);
    // It goes on with the rule that it began with, whatever somebody writes into the rules meanwhile.
    if (result?.code === 'RULES_INVALID') this.problems.add(`${kind} ${id} ends as ${result.outcome} RULES_INVALID`);
    const end = [...(kind === 'job' ? ['job'] : []), result?.outcome, result?.code].filter(Boolean).join(' ');
    this.ends.set(end, (this.ends.get(end) ?? 0) + 1);
  }

  #isOld(time = ''): boolean {
    return this.#simulation.nowMs - Date.parse(time) >= RETENTION_MS;
  }

  /** A run is opened by a rule as it stands. */
  #opens({ id, input }: RunRow, { label, beganAt }: Task): void {
    this.opened.push(id);
    if (input.kind !== 'promotion') return;
    const { rule } = input;
    const since = this.#rules.filter((_, index) => (this.#rules[index + 1]?.from ?? Infinity) >= beganAt);
    if (since.some(({ rules }) => rules.some((each) => isDeepStrictEqual(each, rule)))) return;
    this.problems.add(`${label} opens run ${id} by rule ${rule.name} as it was long before`);
  }

  /** Nothing is tried over and over for one and the same thing. */
  #follows(before: PromotionRow, { id, generation }: PromotionRow): void {
    const times = before.generation === generation ? (this.#times.get(id) ?? 0) + 1 : 0;
    this.#times.set(id, times);
    if (times === MOST_RUNS + 1)
      this.problems.add(`promotion ${id}: ${times} runs, one after the other, and nothing was wanted`);
  }

  /** A promotion's row is written by its own run, or by the caller that opens the next one, increments its generation, or ends an orphaned run. */
  #fenced(before: PromotionRow, row: PromotionRow, task: Task): void {
    const { label, runId } = task;
    const report = (what: string): void => void this.problems.add(`${label}: promotion ${row.id} ${what}`);
    const isKnown = this.#names(row);
    if (row.runId !== before.runId && isKnown) report(`goes back to run ${row.runId}, from ${before.runId}`);
    if (row.runId === before.runId && row.runOpen && !before.runOpen) report(`opens run ${row.runId} again`);
    if (row.last !== undefined && row.last.runId !== before.last?.runId && row.last.runId !== (before.runId ?? ''))
      report(`is answered by run ${row.last.runId}, and its run is ${before.runId}`);
    const isSame = row.runId === before.runId && row.runOpen === before.runOpen && row.generation === before.generation;
    const isOwner = before.runOpen && runId === before.runId;
    // A caller that reconciles the row may note that its run is silent.
    const isNote = !isDeepStrictEqual(row.silent, before.silent);
    if (runId !== undefined && isSame && !isOwner && !isNote)
      report(`is written by run ${runId}, and its run is ${before.runId}`);
    if (this.#isLate(task)) report(`is written for run ${runId}, which has ended`);
  }

  #changes(before: PromotionRow, row: PromotionRow, task: Task): void {
    const { label, beganAt } = task;
    this.#fenced(before, row, task);
    const isNews = before.waitingFor !== row.waitingFor || before.runId !== row.runId;
    if (row.runId !== before.runId) this.#follows(before, row);
    if (row.waitingFor !== undefined && isNews) this.waitingSince.set(row.id, row.generation);
    if (before.runOpen && !row.runOpen) this.#restedAt.set(row.id, this.#simulation.steps);
    if (before.runOpen || !row.runOpen || row.runTrigger?.kind !== 'schedule' || !isLeftAlone(before)) return;
    const { source } = row;
    const since = Math.min(this.#restedAt.get(row.id) ?? 0, beganAt);
    const { digest } = before.last ?? {};
    // What a scan listed may be old.
    const hasMoved =
      (this.#movedAt.get(`${source.registry}/${source.repository}`) ?? -1) >= since ||
      (digest !== undefined && digest !== this.#digestOf(source));
    // Its event came before a run had written the subject index: whether the run has listed it, no row says.
    const isReferrerNew = (row.news?.referrerCount ?? 0) > (before.news?.referrerCount ?? 0);
    const { from = -1, rules = [] } = this.#rules.at(-1) ?? {};
    const rule = rules.find(({ name }) => name === row.rule);
    if (
      !hasMoved &&
      !isReferrerNew &&
      from < beganAt &&
      rule !== undefined &&
      fingerprint(rule) === before.last?.fingerprint
    )
      this.problems.add(`${label} opens a run of promotion ${row.id}, which is ${before.last?.outcome}`);
  }
}

function endOf({ result }: RunRow): string {
  return [result?.outcome, result?.code].filter(Boolean).join(' ');
}

function isAtRest(row: PromotionRow | undefined): boolean {
  return row !== undefined && !row.runOpen && row.generation <= row.observedGeneration;
}

/** What the schedule leaves alone while tag and rule are what they were. */
export function isLeftAlone(row: PromotionRow): boolean {
  const { outcome, code = '' } = row.last ?? {};
  const isFinal = outcome === 'cancelled' || outcome === 'observed' || (outcome === 'refused' && !SEEN_TO.has(code));
  return isFinal && isAtRest(row);
}

/** Refusals that the schedule looks at again. */
const SEEN_TO: ReadonlySet<string> = new Set([
  'EVIDENCE_MISSING',
  'DESTINATION_TAKEN',
  'DESTINATION_LOCKED',
  'RULE_GONE',
]);
