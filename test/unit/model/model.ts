import type { PromotionRow } from '../../../src/rows/promotion-row.js';
import { isRunsToDecide, resyncTurnOf } from '../../../src/rows/lists.js';
import { currentRule } from '../../../src/rules/match.js';
import { App } from './app.js';
import type { Guard } from './guards.js';
import { Happenings } from './happenings.js';
import type { History } from './history.js';
import { START_MS } from './images.js';
import { isWanted, leftAlone, problemsOf } from './oracle.js';
import { Simulation } from './simulation.js';
import { inVirtualTime } from './virtual-time.js';

// What must hold, whatever happens.
//
// At every moment (watches.ts):
// - A run is opened by a rule as it stands, or as it stood when the caller that opens it began to work.
// - A run of a rule that observes writes to no registry; one of a rule that attaches at the destination doesn't write to the source.
// - The schedule opens no run of a promotion that was stopped, observed or refused (EVIDENCE_MISSING, DESTINATION_TAKEN,
//   DESTINATION_LOCKED and RULE_GONE apart), while digest and rule are what its last run saw and nothing else was wanted. A referrer
//   that no trigger has reported to its row is looked for once, even if the last run has found it: the row has no list of all of them.
// - Housekeeping takes no run, and no promotion, that isn't at rest, or hasn't been for so long.
// - A run that has ended is not ended again, nor opened again; a step that begins later writes to no registry and no promotion's row.
// - A promotion's row is written by the run that it names, or by the caller that opens the next one; it goes back to none that it named before.
// - Nine runs at most follow one another where nothing more is wanted.
// - No time goes by while a run waits for news that there are.
// - A destination tag goes back to a digest that was replaced only if the source tag has gone back, or has read as it was before.
// - No run ends because the rules cannot be read.
//
// At rest (oracle.ts), all rules as they are then:
// 1. When all events are delivered and nobody does anything any more, before the schedule looks: unless something happened that
//    no event reports (an event that is lost, a change of rules, a worker that slept, an instance that was lost), a run failed or was
//    cancelled after a push that it had not read, or its tag was locked.
// 2. When the schedule finds nothing to do any more.
// 3. When somebody has asked again for what the schedule leaves alone, and it finds nothing to do.
// Of each tag that a rule takes:
// - `enforce`: the destination has the tag's digest with all that it consists of and all that refers to it, listed; one SBOM and one
//   signature of ours for each image of it, at the source too where they are attached there. Where evidence is lacking it has not.
//   In 1 and 2, what was stopped is left as it is, if nothing was wanted since.
// - `observe`: the last run saw the tag's digest, by the rule as it is.
// - `existing: ignore`: a tag that was there when its repository was first scanned, and that nobody touched, is left alone.
// Of all: nothing of ours is anywhere twice; no run and no instance is open; nothing is wanted and not answered; each result event
// says what its row says, and each ended run has one; nothing is poison, unless it waited for more than a day.
//
// A replica may be late, for ten minutes: only the schedule sees to that, unless a history is `strict` (late.test.ts).
//
// The engine may cut off turns, lose what it has begun, begin anew what has ended, and hang: interrupted.ts says what becomes of the
// runs. Registries may fail in whatever way, locks and permissions may be lacking: when that is over, all is made good.

/** Steps for which a moment is waited for that perhaps never comes. */
const MOST_AWAITED = 300;

const TICK_MS = 5 * 60_000;
const MOST_TICKS = 72;
/** So many come soon; then each after an hour, since failures are tried again with growing pauses; then after half a day. */
const SOON_TICKS = 12;
const HOURLY_TICKS = 36;

/** What came of a history. */
export interface Played {
  /** What is wrong; empty: nothing. */
  problems: string[];
  trace: string[];
  steps: number;
  /** How its runs ended, and how often. */
  ends: ReadonlyMap<string, number>;
}

/** Plays a history to its end. */
export async function play(history: History, without?: Guard): Promise<Played> {
  const simulation = new Simulation(START_MS, history.choices);
  return inVirtualTime(simulation, async () => {
    const app = new App(simulation, history, without);
    let problems: string[];
    try {
      problems = await new Model(app, history).play();
    } catch (error) {
      problems = [error instanceof Error ? (error.stack ?? error.message) : String(error)];
    }
    const { trace, steps } = simulation;
    const { ends, interruptions } = app.watches;
    return { problems: [...problems, ...interruptions.problems], trace, steps, ends };
  });
}

/** Plays one history: what happens in between, then until all is quiet, and holds it against the rules. */
class Model {
  readonly #simulation: Simulation;
  readonly #history: History;
  readonly #app: App;
  readonly #happenings: Happenings;
  readonly #problems: string[] = [];

  constructor(app: App, history: History) {
    this.#simulation = app.simulation;
    this.#history = history;
    this.#app = app;
    this.#happenings = new Happenings(app);
  }

  async play(): Promise<string[]> {
    await this.#playHappenings();
    this.#happenings.end();
    await this.#settle();
    const app = this.#app;
    const { items } = await app.world.store.listPromotions({ size: 100 });
    const isLeftToSchedule = app.needsSchedule || items.some(isTriedAgain) || (await this.#isPushCancelled(items));
    if (!isLeftToSchedule) await this.#look('before any tick');
    if (this.#problems.length > 0) return this.#problems;
    await this.#tickUntilQuiet();
    await this.#look('when the schedule has looked');
    const left = await leftAlone(app);
    if (this.#problems.length > 0 || left.length === 0) return this.#problems;
    for (const { id } of left) await app.ask('runPromotion', id);
    await this.#settle();
    await this.#tickUntilQuiet();
    await this.#look('in the end', true);
    return this.#problems;
  }

  async #look(when: string, asked = false): Promise<void> {
    const problems = await problemsOf({ app: this.#app, known: this.#happenings.known, asked });
    this.#problems.push(...problems.map((problem) => `${when}: ${problem}`));
  }

  async #playHappenings(): Promise<void> {
    const left = [...this.#history.happenings];
    let wait = left[0]?.after ?? 0;
    let isIdle = false;
    for (;;) {
      const next = left[0];
      const isAwaited = next?.at !== undefined && wait > -MOST_AWAITED && !this.#happenings.askingFor(next.at);
      if (next !== undefined && wait <= 0 && (isIdle || !isAwaited)) {
        isIdle = false;
        left.shift();
        wait = left[0]?.after ?? 0;
        const run = (): Promise<void> => this.#happenings.happen(next);
        await this.#simulation.does({ label: `** ${JSON.stringify(next)}`, run });
        if (left.length === 0) this.#app.troubles.endEndless();
        continue;
      }
      wait -= 1;
      if (await this.#simulation.step(next === undefined)) continue;
      if ((next === undefined || this.#simulation.isNapping) && (await this.#letTimePass())) continue;
      if (next === undefined) return;
      wait = 0;
      isIdle = true;
    }
  }

  /** To the next timer. @returns false where there is none */
  async #letTimePass(): Promise<boolean> {
    const { nextTimerMs } = this.#simulation;
    if (nextTimerMs === undefined) return false;
    await this.#nobodySleepsOverNews();
    await this.#simulation.advanceTo(nextTimerMs);
    return true;
  }

  async #settle(): Promise<void> {
    while ((await this.#simulation.step()) || (await this.#letTimePass()));
  }

  async #tickUntilQuiet(): Promise<void> {
    const app = this.#app;
    let quiet = 0;
    let quietFromMs = this.#simulation.nowMs;
    const isOver = async (): Promise<boolean> =>
      quiet >= 2 && !(await this.#isResyncDue()) && (await this.#areScannedSince(quietFromMs));
    for (let tick = 0; !(await isOver()); tick += 1) {
      if (tick > MOST_TICKS) {
        this.#problems.push('the schedule finds something to do at each tick');
        return;
      }
      // What only full scans see is found within six hours.
      const pause = tick < SOON_TICKS && quiet < 2 ? 1 : tick < HOURLY_TICKS ? 12 : 144;
      await this.#simulation.advanceTo(this.#simulation.nowMs + pause * TICK_MS);
      const before = app.engine.starts.length;
      await app.tick();
      await this.#settle();
      const isQuiet = app.engine.starts.length === before;
      const { items } = await app.world.store.listPromotions({ size: 100 });
      // Whose tag is gone is left as it failed.
      const isOpen = items.some((row) => row.runOpen || (isTriedAgain(row) && isWanted(app, row)));
      quiet = isQuiet && !isOpen ? quiet + 1 : 0;
      if (quiet < 2) quietFromMs = this.#simulation.nowMs;
    }
  }

  /** True if a run was cancelled after a push that it had not read: the cancel answers that push, and the next scan sees another digest. */
  async #isPushCancelled(rows: readonly PromotionRow[]): Promise<boolean> {
    const runs = await Promise.all(rows.map(({ last }) => this.#app.world.store.getRun(last?.runId ?? '')));
    return runs.some((run) => (run?.value.cancel?.generation ?? 0) > (run?.value.generation ?? Infinity));
  }

  /** True if each repository had a full scan since then. */
  async #areScannedSince(ms: number): Promise<boolean> {
    const { items } = await this.#app.world.store.listScanRows();
    return items.every(({ value: { state } }) => Date.parse(state.lastFullScanAt ?? '') >= ms);
  }

  /** True until each promotion was compared once since its last run: resync leaves it alone for a quarter of an hour. */
  async #isResyncDue(): Promise<boolean> {
    const { items } = await this.#app.world.store.listPromotions({ size: 100 });
    const rules = this.#app.rules.filter(({ triggers }) => triggers.includes('schedule'));
    return items.some((row) => {
      const isOurs = currentRule(rules, row.rule, row.source) !== undefined && resyncTurnOf(row) !== undefined;
      return isOurs && !isRunsToDecide(row) && (row.resync?.runId !== row.runId || row.resync?.at === undefined);
    });
  }

  /** A row that waits and was raised since is woken: nobody leaves that to the timer. */
  async #nobodySleepsOverNews(): Promise<void> {
    const { mail, engine, world, watches } = this.#app;
    if (!mail.isEmpty || this.#simulation.tasks.length > 0) return;
    for (const row of (await world.store.listPromotions({ size: 100 })).items) {
      const since = watches.waitingSince.get(row.id);
      if (row.waitingFor === undefined || since === undefined || row.generation <= since) continue;
      const instance = row.runId === undefined ? undefined : engine.instances.get(row.runId);
      if (instance?.stalled === true) continue;
      if (instance?.state === 'running' && instance.retrying === 0 && engine.deliveries.length === 0) {
        throw new Error(
          `promotion ${row.id} waits for ${row.waitingFor} though ${row.generation} is wanted, more than ${since}`,
        );
      }
    }
  }
}

/** The schedule will. */
function isTriedAgain({ state, last }: PromotionRow): boolean {
  return state === 'failed' || last?.code === 'DESTINATION_LOCKED';
}
