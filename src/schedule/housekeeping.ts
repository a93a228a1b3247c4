import { z } from 'zod';
import { PromoterError } from '../oci/index.js';
import { matchRules } from '../rules/match.js';
import type { Rule } from '../rules/rule.js';
import { jobInstanceOf } from '../rows/job-instance.js';
import { needsResultEvent } from '../rows/lists.js';
import type { PromotionRow } from '../rows/promotion-row.js';
import type { RunSummary } from '../rows/run-row.js';
import type { SubjectIndexEntry } from '../rows/subject-index.js';
import { readNote } from './notes.js';
import { pageFrom } from './pages.js';
import type { Ports } from '../ports/ports.js';
import { isRowError } from './scan.js';

/** Runs, promotions and ignored events checked per tick. */
const HOUSE_PAGE = 100;
/** Pages of ignored events removed per tick. There may be more of these than of anything else. */
const MOST_IGNORED_PAGES = 10;
/** How long ignored events are kept, in milliseconds. */
const IGNORED_MS = 7 * 24 * 3_600_000;
/** How often ended engine instances without a row are purged, in milliseconds. */
const FORGET_EVERY_MS = 3_600_000;

type HousePorts = Pick<Ports, 'store' | 'engine' | 'documents' | 'rules' | 'retentionDays' | 'now'>;

const DAY_MS = 24 * 3_600_000;
const NOTE = 'housekeeping';
/** For each kind, where the next tick continues. */
const noteSchema = z.object({
  instances: z.string().optional(),
  runs: z.string().optional(),
  promotions: z.string().optional(),
  subjectIndex: z.string().optional(),
});

/** State of one tick's housekeeping. */
interface House {
  ports: HousePorts;
  now: number;
  cutoff: Date;
  /** Errors that did not stop the rest. */
  failures: unknown[];
}

/** How many of one kind were removed, and where the next tick continues. */
interface Done {
  removed: number;
  next?: string | undefined;
}

/** Removes old things of one kind. @param from `next` of the tick before */
type Chore = (house: House, from: string | undefined) => Promise<Done>;

/** The kinds of old things, in the order in which they are removed. */
const CHORES = {
  ignored: removeIgnored,
  instances: forgetInstances,
  runs: removeRuns,
  promotions: removePromotions,
  subjectIndex: removeFromIndex,
} satisfies Record<string, Chore>;

/** For each chore, how many things it removed. */
export type Removed = Record<keyof typeof CHORES, number>;

/**
 * Removes what finished more than RUN_RETENTION_DAYS ago: histories, documents, steps and rows of runs, promotion rows
 * that no rule matches, outdated entries of the subject index; and ignored events after a week. Each tick handles one
 * page of each list, and the next tick continues. Safe to repeat, and safe on several hosts at once: the row that leads
 * to everything else is removed last.
 * @throws the first error, after everything else is done
 */
export async function removeOld(ports: HousePorts): Promise<Removed> {
  const kept = await readNote(ports.store, NOTE, noteSchema);
  const now = ports.now().getTime();
  const house: House = { ports, now, cutoff: new Date(now - ports.retentionDays * DAY_MS), failures: [] };
  const next: Record<string, string | undefined> = { ...kept?.value };
  const removed = { ignored: 0, instances: 0, runs: 0, promotions: 0, subjectIndex: 0 };
  for (const [kind, chore] of Object.entries<Chore>(CHORES)) {
    try {
      const done = await chore(house, next[kind]);
      Object.assign(removed, { [kind]: done.removed });
      next[kind] = done.next;
    } catch (error) {
      house.failures.push(error);
    }
  }
  // If another tick wrote its note first, that note is as good as ours.
  await ports.store.putNote(NOTE, JSON.stringify(next), kept?.version);
  const [failure] = house.failures;
  if (failure !== undefined) throw failure;
  return removed;
}

/** Removes items one by one. An error in one item does not stop the others. @returns how many were removed */
async function removeEach<T>(
  { failures }: House,
  items: readonly T[],
  remove: (item: T) => Promise<boolean>,
): Promise<number> {
  let removed = 0;
  for (const item of items) {
    try {
      if (await remove(item)) removed += 1;
    } catch (error) {
      if (!isRowError(error)) throw error;
      failures.push(error);
    }
  }
  return removed;
}

async function removeIgnored({ ports: { store }, now }: House): Promise<Done> {
  let removed = 0;
  for (let page = 0; page < MOST_IGNORED_PAGES; page += 1) {
    const count = await store.removeIgnored(new Date(now - IGNORED_MS), HOUSE_PAGE);
    removed += count;
    if (count < HOUSE_PAGE) break;
  }
  return { removed };
}

/**
 * Purges engine instances that no row leads to, for example one that started after its run's row was removed. Finds
 * them by their creation time, one day at a time.
 */
async function forgetInstances({ ports: { engine }, cutoff }: House, until: string | undefined): Promise<Done> {
  const from = new Date(until ?? 0);
  if (cutoff.getTime() - from.getTime() < FORGET_EVERY_MS) return { removed: 0, next: from.toISOString() };
  const to = until === undefined ? cutoff : new Date(Math.min(from.getTime() + DAY_MS, cutoff.getTime()));
  return { removed: await engine.purgeEnded(from, to), next: to.toISOString() };
}

async function removeRuns(house: House, begin: string | undefined): Promise<Done> {
  const { ports, cutoff } = house;
  const filter = { openedBefore: cutoff.toISOString() };
  const page = await pageFrom(begin, (from) => ports.store.listRuns({ size: HOUSE_PAGE, filter, from }));
  const removed = await removeEach(house, page.items, async (run) => {
    if (!(await isDone(ports, run, cutoff))) return false;
    const instances = run.startedAgainAt === undefined ? [run.id] : [run.id, jobInstanceOf(run)];
    for (const instance of instances) {
      const { state } = await ports.engine.state(instance);
      // The row has ended but the instance has not. Keep it for an operator to investigate.
      if (state === 'running' || state === 'pending') return false;
      await ports.engine.purge(instance);
    }
    for (const kind of ['plans', 'results', 'deletes'])
      await ports.documents.removeAll('documents', `${kind}/${run.id}`);
    await ports.store.removeRun(run);
    return true;
  });
  return { removed, next: page.next };
}

/** True if the run finished long enough ago, its result event is sent, and its promotion no longer needs it. */
async function isDone(ports: HousePorts, run: RunSummary, cutoff: Date): Promise<boolean> {
  if (run.state !== 'ended' || needsResultEvent(run) || !isBefore(run.finishedAt, cutoff)) return false;
  const row = run.promotionId === undefined ? undefined : (await ports.store.getPromotion(run.promotionId))?.value;
  if (row === undefined) return true;
  const named = [row.runId, row.previousRunId, row.last?.runId].includes(run.id);
  return !named || isAtRest(row, cutoff);
}

function isAtRest(row: PromotionRow, cutoff: Date): boolean {
  return (
    !row.runOpen &&
    row.generation <= row.observedGeneration &&
    isBefore(row.incrementedAt, cutoff) &&
    isBefore(row.last?.finishedAt, cutoff)
  );
}

function isBefore(time: string | undefined, cutoff: Date): boolean {
  return time !== undefined && Date.parse(time) < cutoff.getTime();
}

async function removePromotions(house: House, begin: string | undefined): Promise<Done> {
  const { ports, cutoff } = house;
  let rules: readonly Rule[];
  try {
    rules = await ports.rules.load();
  } catch (error) {
    // If the rules cannot be read, no promotion counts as unmatched.
    if (!(error instanceof PromoterError)) throw error;
    return { removed: 0, next: begin };
  }
  const page = await pageFrom(begin, (from) => ports.store.listPromotions({ size: HOUSE_PAGE, from }));
  const removed = await removeEach(house, page.items, async (row) => {
    if (!isAtRest(row, cutoff) || isWanted(rules, row)) return false;
    return ports.store.removePromotion(row);
  });
  return { removed, next: page.next };
}

/** True if the rule matches the tag, and the tag existed when it was last read. */
function isWanted(rules: readonly Rule[], { rule, source, last }: PromotionRow): boolean {
  const named = rules.filter(({ name }) => name === rule);
  return matchRules(named, source).rules.length > 0 && last?.code !== 'SOURCE_GONE';
}

/** Removes subject index entries of deleted promotions, and of digests that a promotion's tag no longer has. */
async function removeFromIndex(house: House, begin: string | undefined): Promise<Done> {
  const { store } = house.ports;
  const page = await pageFrom(begin, (from) => store.listSubjectIndex({ size: HOUSE_PAGE, from }));
  const removed = await removeEach(house, page.items, async (entry) => {
    const row = (await store.getPromotion(entry.promotionId))?.value;
    return isLeft(entry, row, house.cutoff) && store.removeFromSubjectIndex(entry);
  });
  return { removed, next: page.next };
}

/** True if the entry is old and belongs to another digest than the promotion's tag. */
function isLeft({ root, at }: SubjectIndexEntry, row: PromotionRow | undefined, cutoff: Date): boolean {
  if (row === undefined) return isBefore(at, cutoff);
  if (row.runOpen || row.generation > row.observedGeneration) return false;
  const standsOn = row.last?.digest;
  return standsOn !== undefined && standsOn !== root && isBefore(at, cutoff);
}
