import { z } from 'zod';
import { PromoterError } from '../oci/index.js';
import { matchRules } from '../rules/match.js';
import type { Rule } from '../rules/rule.js';
import { jobInstanceOf } from '../rows/job-instance.js';
import { isUntold } from '../rows/filters.js';
import type { PromotionRow } from '../rows/promotion-row.js';
import type { RunSummary } from '../rows/run-row.js';
import type { Standing } from '../rows/subject-index.js';
import { pageFrom } from './page-from.js';
import type { Ports } from '../ports/ports.js';
import { isOfOneRow } from './scan.js';
import type { StorePort } from '../ports/store.js';
import type { IgnoredEvents } from '../ports/ignored-events.js';
import type { Notes } from '../ports/notes.js';
import type { PromotionLists } from '../ports/promotion-lists.js';
import type { Promotions } from '../ports/promotions.js';
import type { RunLists } from '../ports/run-lists.js';
import type { SubjectIndex } from '../ports/subject-index.js';

/** Runs, and promotions, and ignored events, that one tick looks at to remove them. */
const HOUSE_PAGE = 100;
/** Pages of ignored events that one tick removes: there may be more of them than of anything else. */
const MOST_IGNORED_PAGES = 10;
/** How long ignored events are kept, in milliseconds. */
const IGNORED_MS = 7 * 24 * 3_600_000;
/** How much time must have come over RUN_RETENTION_DAYS before its engine instances are looked for, in milliseconds. */
const FORGET_EVERY_MS = 3_600_000;

type HousePorts = Pick<Ports, 'engine' | 'documents' | 'rules' | 'retentionDays' | 'now'> &
  StorePort<Promotions & PromotionLists & RunLists & SubjectIndex & IgnoredEvents & Notes>;

const DAY_MS = 24 * 3_600_000;
const NOTE = 'housekeeping';
/** Until when the engine's instances are forgotten; where in the lists the next tick goes on. */
const noteSchema = z.object({
  instancesUntil: z.string().optional(),
  runsFrom: z.string().optional(),
  promotionsFrom: z.string().optional(),
  standingsFrom: z.string().optional(),
});
type Note = z.infer<typeof noteSchema>;

/** What was removed. */
export interface Removed {
  runs: number;
  promotions: number;
  standings: number;
  ignored: number;
  instances: number;
}

/** One tick's work, as far as it has come. */
interface House {
  ports: HousePorts;
  note: Note;
  cutoff: Date;
  /** What went wrong, and kept the rest from nothing. */
  failures: unknown[];
}

/** How many were removed of a page, and where the next one begins. */
interface Page {
  removed: number;
  next: string | undefined;
}

/**
 * Removes what ended longer than RUN_RETENTION_DAYS ago: histories, documents, steps and rows of runs, and the rows of promotions
 * that nobody wants any more; what promotions stand on no longer; ignored events after a week. A page of each at a time, whatever
 * there is: the next tick goes on. May be done any number of times, and by several at once: what leads to the rest is removed last.
 * @throws the first of what went wrong, when all the rest is done
 */
export async function keepHouse(ports: HousePorts): Promise<Removed> {
  const kept = await ports.store.getNote(NOTE);
  const note = noteOf(kept?.value);
  const now = ports.now().getTime();
  const house: House = { ports, note, cutoff: new Date(now - ports.retentionDays * DAY_MS), failures: [] };
  const part = async <T>(work: Promise<T>, otherwise: T): Promise<T> =>
    work.catch((error: unknown) => {
      house.failures.push(error);
      return otherwise;
    });
  const ignored = await part(removeIgnored(ports, new Date(now - IGNORED_MS)), 0);
  const instances = await part(forgetInstances(house), { removed: 0, until: note.instancesUntil });
  const runs = await part(removeRuns(house), { removed: 0, next: note.runsFrom });
  const promotions = await part(removePromotions(house), { removed: 0, next: note.promotionsFrom });
  const standings = await part(removeStandings(house), { removed: 0, next: note.standingsFrom });
  // Where another tick was faster, its note is as good as ours.
  const next: Note = {
    ...(instances.until !== undefined && { instancesUntil: instances.until }),
    ...(runs.next !== undefined && { runsFrom: runs.next }),
    ...(promotions.next !== undefined && { promotionsFrom: promotions.next }),
    ...(standings.next !== undefined && { standingsFrom: standings.next }),
  };
  await ports.store.putNote(NOTE, JSON.stringify(next), kept?.version);
  const [failure] = house.failures;
  if (failure !== undefined) throw failure;
  return {
    runs: runs.removed,
    promotions: promotions.removed,
    standings: standings.removed,
    ignored,
    instances: instances.removed,
  };
}

/** @param remove @returns whether it is gone. What is wrong with one keeps the others from nothing */
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
      if (!isOfOneRow(error)) throw error;
      failures.push(error);
    }
  }
  return removed;
}

async function removeIgnored({ store }: HousePorts, before: Date): Promise<number> {
  let removed = 0;
  for (let page = 0; page < MOST_IGNORED_PAGES; page += 1) {
    const count = await store.removeIgnored(before, HOUSE_PAGE);
    removed += count;
    if (count < HOUSE_PAGE) break;
  }
  return removed;
}

/** A note of another version: from the start again. */
function noteOf(text: string | undefined): Note {
  try {
    return noteSchema.parse(JSON.parse(text ?? '{}'));
  } catch {
    return {};
  }
}

/**
 * Instances that no row leads to (one that began after its run's row was removed) are found by the time at which they were made, a
 * day's worth at a time.
 */
async function forgetInstances({
  ports: { engine },
  note: { instancesUntil },
  cutoff,
}: House): Promise<{ removed: number; until: string | undefined }> {
  const from = instancesUntil === undefined ? new Date(0) : new Date(instancesUntil);
  if (cutoff.getTime() - from.getTime() < FORGET_EVERY_MS) return { removed: 0, until: from.toISOString() };
  const isFirst = instancesUntil === undefined;
  const to = isFirst ? cutoff : new Date(Math.min(from.getTime() + DAY_MS, cutoff.getTime()));
  return { removed: await engine.purgeEnded(from, to), until: to.toISOString() };
}

async function removeRuns(house: House): Promise<Page> {
  const { ports, note, cutoff } = house;
  const filter = { openedBefore: cutoff.toISOString() };
  const page = await pageFrom(note.runsFrom, (from) =>
    ports.store.listRuns({ size: HOUSE_PAGE, filter, ...(from !== undefined && { from }) }),
  );
  const removed = await removeEach(house, page.items, async (run) => {
    if (!(await isDone(ports, run, cutoff))) return false;
    const instances = run.startedAgainAt === undefined ? [run.id] : [run.id, jobInstanceOf(run)];
    for (const instance of instances) {
      const { state } = await ports.engine.state(instance);
      // Its row has ended and it hasn't: it is somebody's to look at.
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

/** Ended long enough ago, told, and not what its promotion stands on, unless that is at rest for as long. */
async function isDone(ports: HousePorts, run: RunSummary, cutoff: Date): Promise<boolean> {
  if (run.state !== 'ended' || isUntold(run) || !isBefore(run.finishedAt, cutoff)) return false;
  const row = run.promotionId === undefined ? undefined : (await ports.store.getPromotion(run.promotionId))?.value;
  if (row === undefined) return true;
  const named = [row.runId, row.previousRunId, row.last?.runId].includes(run.id);
  return !named || isAtRest(row, cutoff);
}

function isAtRest(row: PromotionRow, cutoff: Date): boolean {
  return (
    !row.runOpen &&
    row.wanted <= row.answered &&
    isBefore(row.wantedAt, cutoff) &&
    isBefore(row.last?.finishedAt, cutoff)
  );
}

function isBefore(time: string | undefined, cutoff: Date): boolean {
  return time !== undefined && Date.parse(time) < cutoff.getTime();
}

async function removePromotions(house: House): Promise<Page> {
  const { ports, note, cutoff } = house;
  let rules: readonly Rule[];
  try {
    rules = await ports.rules.load();
  } catch (error) {
    // Rules that can't be read say of no promotion that nobody wants it.
    if (!(error instanceof PromoterError)) throw error;
    return { removed: 0, next: note.promotionsFrom };
  }
  const page = await pageFrom(note.promotionsFrom, (from) =>
    ports.store.listPromotions({ size: HOUSE_PAGE, ...(from !== undefined && { from }) }),
  );
  const removed = await removeEach(house, page.items, async (row) => {
    if (!isAtRest(row, cutoff) || isWanted(rules, row)) return false;
    return ports.store.removePromotion(row);
  });
  return { removed, next: page.next };
}

/** Its rule takes the tag, and the tag was there when it was last looked at. */
function isWanted(rules: readonly Rule[], { rule, source, last }: PromotionRow): boolean {
  const named = rules.filter(({ name }) => name === rule);
  return matchRules(named, source).rules.length > 0 && last?.code !== 'SOURCE_GONE';
}

/** What promotions stood on, and stand on no longer: those that are gone, and digests that their tags have left. */
async function removeStandings(house: House): Promise<Page> {
  const {
    ports: { store },
    note,
    cutoff,
  } = house;
  const page = await pageFrom(note.standingsFrom, (from) =>
    store.listStandings({ size: HOUSE_PAGE, ...(from !== undefined && { from }) }),
  );
  const removed = await removeEach(house, page.items, async (standing) => {
    const row = (await store.getPromotion(standing.promotionId))?.value;
    return isLeft(standing, row, cutoff) && store.removeStanding(standing);
  });
  return { removed, next: page.next };
}

/** Seen long ago, and under another digest than the one that its tag stands on. */
function isLeft({ root, at }: Standing, row: PromotionRow | undefined, cutoff: Date): boolean {
  // A promotion is removed when it has been at rest for long.
  if (row === undefined) return at === undefined || isBefore(at, cutoff);
  if (row.runOpen || row.wanted > row.answered) return false;
  const standsOn = row.last?.digest;
  return root !== undefined && standsOn !== undefined && standsOn !== root && isBefore(at, cutoff);
}
