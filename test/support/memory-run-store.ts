import { isDeepStrictEqual } from 'node:util';
import { InputError } from '../../src/oci/index.js';
import { globPrefix } from '../../src/rules/match.js';
import { needsResultEvent, matchesPromotion, matchesRun, resyncTurnOf, summaryOfRun } from '../../src/rows/lists.js';
import { isAlike, mergedIgnored, nameOfIgnored, type IgnoredEvent } from '../../src/rows/ignored-event.js';
import type { Page, PageOptions } from '../../src/ports/page.js';
import type { Store } from '../../src/ports/store.js';
import type { StoredDigest } from '../../src/ports/stored-digest.js';
import type { DestinationClaim } from '../../src/rows/claims.js';
import type { PromotionRow } from '../../src/rows/promotion-row.js';
import type { RunRow, RunSummary } from '../../src/rows/run-row.js';
import type { ScanRow } from '../../src/rows/scan-row.js';
import type { SubjectIndexEntry } from '../../src/rows/subject-index.js';
import type { StepProgress } from '../../src/rows/step-progress.js';
import type { Versioned } from '../../src/ports/versioned.js';

interface Kept {
  json: string;
  version: string;
}

/** Rows as JSON text with a version, so that nobody shares an object with the store and `undefined` is dropped as there. */
class Rows<T> {
  readonly #rows = new Map<string, Kept>();
  readonly #mapped = new WeakMap<Kept, { made: unknown }>();
  #writes = 0;

  get(key: string): Versioned<T> | undefined {
    const row = this.#rows.get(key);
    return row && { value: JSON.parse(row.json) as T, version: row.version };
  }

  /** `version` undefined: only where the key isn't there. */
  put(key: string, value: T, version: string | undefined): boolean {
    if (this.#rows.get(key)?.version !== version) {
      return false;
    }
    this.set(key, value);
    return true;
  }

  set(key: string, value: T): void {
    this.#writes += 1;
    this.#rows.set(key, { json: JSON.stringify(value), version: `v${this.#writes}` });
  }

  claim(key: string, value: T): Versioned<T> {
    this.put(key, value, undefined);
    const row = this.get(key);
    if (row === undefined) {
      throw new Error('a row that was just put is gone');
    }
    return row;
  }

  delete(key: string): void {
    this.#rows.delete(key);
  }

  /** What each row makes, which is made once for each version of it. */
  mapped<M>(make: (value: T) => M): { key: string; mapped: M }[] {
    return [...this.#rows].map(([key, row]) => {
      const mapped = (this.#mapped.get(row) as { made: M } | undefined) ?? { made: make(JSON.parse(row.json) as T) };
      this.#mapped.set(row, mapped);
      return { key, mapped: mapped.made };
    });
  }

  entries(): [key: string, row: Versioned<T>][] {
    return [...this.#rows].map(([key, { json, version }]) => [key, { value: JSON.parse(json) as T, version }]);
  }

  values(): T[] {
    return [...this.#rows.values()].map((row) => JSON.parse(row.json) as T);
  }
}

/** One page of `items`, sorted by `keyOf`; the page's token is the last key it showed. */
function page<T>(items: T[], keyOf: (item: T) => string, options: PageOptions = {}): Page<T> {
  const size = options.size ?? 50;
  if (!Number.isInteger(size) || size < 1 || size > 100) {
    throw new InputError('PAGE_SIZE_INVALID', `a page has 1 to 100 rows, not ${size}`);
  }
  const from = options.from === undefined ? '' : Buffer.from(options.from, 'base64url').toString();
  if (options.from !== undefined && Buffer.from(from).toString('base64url') !== options.from) {
    throw new InputError('PAGE_TOKEN_INVALID', 'that is no token of a page');
  }
  const keyed = items
    .map((item) => ({ key: keyOf(item), item }))
    .filter(({ key }) => key > from)
    .sort((a, b) => (a.key < b.key ? -1 : Number(a.key > b.key)));
  const last = keyed.length > size ? keyed[size - 1] : undefined;
  return {
    items: keyed.slice(0, size).map(({ item }) => item),
    ...(last !== undefined && { next: Buffer.from(last.key).toString('base64url') }),
  };
}

const newestFirst = (at: string): string => String(1e15 - Date.parse(at)).padStart(16, '0');
const scanKey = ({ rule, registry, repository }: ScanRow): string => JSON.stringify([rule, registry, repository]);
const place = (stored: StoredDigest): string => `${stored.registry}/${stored.repository}@${stored.digest}`;
const promotionKey = (row: PromotionRow): string => `${newestFirst(row.runOpenedAt ?? row.incrementedAt)}|${row.id}`;

const isOpen = (row: PromotionRow): boolean => row.runOpen || row.generation > row.observedGeneration;
const isDue = ({ state, retryAt }: PromotionRow, by?: Date): boolean =>
  state === 'failed' && retryAt !== undefined && by !== undefined && Date.parse(retryAt) <= by.getTime();
const isOpenJob = ({ kind, state }: RunSummary): boolean => kind === 'job' && state !== 'ended';

export function memoryRunStore(): Store {
  const promotions = new Rows<PromotionRow>();
  const runs = new Rows<RunRow>();
  const progress = new Rows<StepProgress>();
  const owners = new Rows<DestinationClaim>();
  const jobs = new Rows<string>();
  const notes = new Rows<string>();
  const scans = new Rows<ScanRow>();
  const standing = new Rows<SubjectIndexEntry & { image: string }>();
  const ours = new Map<string, string>();
  const ignored: { key: string; event: IgnoredEvent }[] = [];
  let ignoredWrites = 0;
  return {
    getPromotion: async (id) => promotions.get(id),
    insertPromotion: async (row) => promotions.put(row.id, row, undefined),
    replacePromotion: async (row, version) => promotions.put(row.id, row, version),
    listPromotions: async ({ filter = {}, ...options } = {}) =>
      page(
        promotions.values().filter((row) => matchesPromotion(row, filter)),
        filter.repository === undefined && globPrefix(filter.globs?.repository ?? '') === ''
          ? promotionKey
          : (row) => `${row.source.repository}|${row.source.tag}|${row.id}`,
        options,
      ),
    listDuePromotions: async ({ by, ...options } = {}) =>
      page(
        promotions.values().filter((row) => isOpen(row) || isDue(row, by)),
        (row) => `${isOpen(row) ? '0' : row.retryAt}|${row.id}`,
        options,
      ),

    listResync: async (lane, list, size) =>
      promotions
        .mapped(resyncTurnOf)
        .filter(
          ({ mapped: turn }) =>
            turn?.list === list && turn.source === lane.source && turn.destination === lane.destination,
        )
        .map(({ key, mapped }) => ({ key, at: `${mapped?.at}|${key}` }))
        .sort((a, b) => (a.at < b.at ? -1 : Number(a.at > b.at)))
        .slice(0, size)
        .flatMap(({ key }) => promotions.get(key)?.value ?? []),

    removePromotion: async (row) => {
      const current = promotions.get(row.id)?.value;
      if (current !== undefined && !isDeepStrictEqual(current, row)) return false;
      if (owners.get(row.destination)?.value.promotionId === row.id) owners.delete(row.destination);
      promotions.delete(row.id);
      return true;
    },

    listDueRuns: async (options) =>
      page(
        runs
          .values()
          .map(summaryOfRun)
          .filter((run) => isOpenJob(run) || needsResultEvent(run)),
        (run) => (isOpenJob(run) ? `job|${run.openedAt}|${run.id}` : `result|${run.id}`),
        options,
      ),

    getRun: async (id) => runs.get(id),
    insertRun: async (row) => runs.put(row.id, row, undefined),
    replaceRun: async (row, version) => runs.put(row.id, row, version),
    listRuns: async ({ filter = {}, ...options } = {}) =>
      page(
        runs
          .values()
          .map(summaryOfRun)
          .filter((run) => matchesRun(run, filter)),
        (run) => run.id,
        options,
      ),
    removeRun: async ({ id, jobId = '' }) => {
      for (const { runId, step } of progress.values()) if (runId === id) progress.delete(JSON.stringify([id, step]));
      if (jobs.get(jobId)?.value === id) jobs.delete(jobId);
      if (runs.get(id)?.value.state === 'ended') runs.delete(id);
    },
    putProgress: async (row) => {
      progress.set(JSON.stringify([row.runId, row.step]), row);
    },
    listProgress: async (runId) =>
      progress
        .values()
        .filter((row) => row.runId === runId)
        .sort((a, b) => Date.parse(a.startedAt) - Date.parse(b.startedAt) || (a.step < b.step ? -1 : 1)),

    addToSubjectIndex: async (image, promotionId, seen) => {
      standing.set(JSON.stringify([place(image), promotionId]), { promotionId, image: place(image), ...seen });
    },
    listPromotionsOfSubject: async (image) =>
      standing
        .values()
        .flatMap((each) => (each.image === place(image) ? [each.promotionId] : []))
        .sort(),
    listSubjectIndex: async (options) => {
      const { items, ...rest } = page(standing.values(), (each) => `${each.image}|${each.promotionId}`, options);
      const kept = items.map(({ image, ...each }) => {
        const key = JSON.stringify([image, each.promotionId]);
        return { ...each, key, version: standing.get(key)?.version ?? '' };
      });
      return { items: kept, ...rest };
    },
    removeFromSubjectIndex: async ({ key, version }) => {
      const current = standing.get(key)?.version;
      if (current !== undefined && current !== version) return false;
      standing.delete(key);
      return true;
    },

    getClaim: async (destination) => owners.get(destination),
    claimDestination: async (destination, owner) => owners.claim(destination, owner),
    replaceClaim: async (destination, owner, version) => owners.put(destination, owner, version),

    markOurs: async (manifest, runId) => {
      ours.set(place(manifest), runId ?? manifest.digest);
    },
    attachedBy: async (manifest) => ours.get(place(manifest)),

    claimJob: async (jobId, runId) => jobs.claim(jobId, runId).value,
    findJob: async (jobId) => jobs.get(jobId)?.value,

    addIgnored: async (event) => {
      ignoredWrites += 1;
      const turn = String(ignoredWrites).padStart(9, '0');
      const before = ignored.find((other) => isAlike(other.event, event));
      const merged = before === undefined ? event : mergedIgnored(before.event, event);
      if (before !== undefined) ignored.splice(ignored.indexOf(before), 1);
      ignored.push({ key: `${newestFirst(event.at)}|${turn}`, event: structuredClone(merged) });
    },
    listIgnored: async ({ filter, ...options } = {}) => {
      const { name, since } = filter ?? {};
      const wanted = ignored.filter(
        ({ event }) =>
          (name === undefined || nameOfIgnored(event) === name) &&
          (since === undefined || Date.parse(event.at) >= Date.parse(since)),
      );
      const { items, ...rest } = page(wanted, ({ key }) => key, options);
      return { items: items.map(({ event }) => structuredClone(event)), ...rest };
    },

    removeIgnored: async (before, most) => {
      const old = ignored.filter(({ event }) => Date.parse(event.at) < before.getTime()).slice(0, most);
      for (const each of old) ignored.splice(ignored.indexOf(each), 1);
      return old.length;
    },

    getNote: async (name) => notes.get(name),
    putNote: async (name, text, version) => notes.put(name, text, version),

    listScanRows: async (from = '') => {
      const after = Buffer.from(from, 'base64url').toString();
      const rows = scans.entries().filter(([key]) => key > after);
      const shown = rows.sort(([a], [b]) => (a < b ? -1 : 1)).slice(0, 1_000);
      const [last = ''] = shown.at(-1) ?? [];
      const next = shown.length < rows.length ? { next: Buffer.from(last).toString('base64url') } : {};
      return { items: shown.map(([, row]) => row), ...next };
    },
    insertScanRow: async (row) => scans.put(scanKey(row), row, undefined),
    replaceScanRow: async (row, version) =>
      scans.put(scanKey(row), row, version) ? scans.get(scanKey(row))?.version : undefined,
    removeScanRow: async (row, version) => {
      const current = scans.get(scanKey(row))?.version;
      if (current !== undefined && current !== version) return false;
      scans.delete(scanKey(row));
      return true;
    },
  };
}
