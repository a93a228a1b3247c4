import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { createStorage, type AzureStorage } from '../../../src/azure/storage.js';
import type { Rule } from '../../../src/rules/rule.js';
import type { PromotionRow } from '../../../src/rows/promotion-row.js';
import { listedTag, type PromotionFilter, type RunFilter } from '../../../src/rows/lists.js';
import type { IgnoredEvent } from '../../../src/rows/ignored-event.js';
import type { ScanRow } from '../../../src/rows/scan-row.js';
import type { RunInput, RunRow } from '../../../src/rows/run-row.js';
import { memoryDocuments, memoryFiles, memoryLease, memoryQueues, memoryRunStore } from '../../support/memory-ports.js';
import { collectPages } from './collect-pages.js';
import { startAzurite, type Azurite } from '../../support/azurite.js';
import { at, sampleDigest, samplePromotion, sampleRun, sampleStep } from './sample-rows.js';

// Long enough for a busy machine.
jest.setTimeout(30_000);

/**
 * Runs the same tests with the fakes of the unit tests and with the real adapters, so that the fakes behave like them.
 */
type Ports = Omit<AzureStorage, 'ensureCreated' | 'queueLengths' | 'sharing'>;

const WITH_ODDITIES = 'ä "quoted" \\ line\nfeed \u{1f600}';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

const event = (seconds: number, reference: string): IgnoredEvent => ({
  at: at(seconds),
  reference,
  reason: 'tag is not in v*',
});

/** @param open makes empty ports */
function portsContract(open: () => Promise<Ports>): void {
  let ports: Ports;
  beforeAll(async () => {
    ports = await open();
  });

  describe('promotions', () => {
    test('a row is inserted once, read back unchanged, and replaced only at its version', async () => {
      const { runs } = ports;
      const row = samplePromotion({ destination: WITH_ODDITIES });
      expect(await runs.getPromotion(row.id)).toBeUndefined();
      expect(await runs.insertPromotion(row)).toBe(true);
      expect(await runs.insertPromotion({ ...row, generation: 9 })).toBe(false);
      const first = await runs.getPromotion(row.id);
      expect(first?.value).toEqual(row);
      const version = first?.version ?? '';
      const full = samplePromotion({
        ...row,
        generation: 2,
        runId: 'r',
        runOpen: true,
        runOpenedAt: at(5),
        runBegun: true,
        previousRunId: 'q',
        waitingFor: 'evidence-2',
        last: { outcome: 'failed', code: 'X', reason: 'y', runId: 'q', finishedAt: at(1), fingerprint: 'h' },
      });
      expect(await runs.replacePromotion(full, version)).toBe(true);
      expect(await runs.replacePromotion({ ...row, generation: 3 }, version)).toBe(false);
      const second = await runs.getPromotion(row.id);
      expect(second?.value).toEqual(full);
      expect(await runs.replacePromotion(samplePromotion(), second?.version ?? '')).toBe(false);
    });

    test('one of 64 writers at the same version wins', async () => {
      const { runs } = ports;
      const row = samplePromotion();
      await runs.insertPromotion(row);
      const version = (await runs.getPromotion(row.id))?.version ?? '';
      const writes = Array.from({ length: 64 }, (_, index) =>
        runs.replacePromotion({ ...row, generation: index + 10, runOpen: index % 2 === 0 }, version),
      );
      const won = (await Promise.all(writes)).flatMap((done, index) => (done ? [index] : []));
      expect(won).toHaveLength(1);
      expect((await runs.getPromotion(row.id))?.value.generation).toBe((won[0] ?? 0) + 10);
    });
  });

  test('a promotion is removed with its list entries and its claim, unless it has changed', async () => {
    const { runs } = await open();
    const row = samplePromotion();
    await runs.insertPromotion(row);
    const owner = { rule: 'staging', promotionId: row.id, source: 'a/b:c' };
    expect(await runs.getClaim(row.destination)).toBeUndefined();
    await runs.claimDestination(row.destination, owner);
    expect((await runs.getClaim(row.destination))?.value).toEqual(owner);
    await runs.claimDestination('taken', { ...owner, promotionId: 'another' });
    expect(await runs.removePromotion({ ...row, generation: 7 })).toBe(false);
    expect((await runs.listPromotions()).items).toEqual([row]);
    expect(await runs.removePromotion(row)).toBe(true);
    expect(await runs.getPromotion(row.id)).toBeUndefined();
    for (const filter of [{}, { rule: row.rule }, { state: row.state }, { destination: row.destination }]) {
      expect((await runs.listPromotions({ filter })).items).toEqual([]);
    }
    const next = { ...owner, promotionId: 'next' };
    expect((await runs.claimDestination(row.destination, next)).value).toEqual(next);
    expect(await runs.removePromotion(row)).toBe(true);
    expect(await runs.insertPromotion({ ...row, destination: 'taken' })).toBe(true);
    expect(await runs.removePromotion({ ...row, destination: 'taken' })).toBe(true);
    expect((await runs.claimDestination('taken', next)).value.promotionId).toBe('another');
  });

  describe('scan rows', () => {
    const row = (repository: string): ScanRow => ({
      rule: 'staging',
      registry: 'r.azurecr.io',
      repository,
      state: {
        failures: 0,
        cursor: { tags: { newestMs: 1, handled: ['a'] }, manifests: { newestMs: 0, handled: [] } },
      },
    });

    test('a row is inserted once, replaced and removed only at its version', async () => {
      const { runs } = await open();
      expect(await runs.insertScanRow(row('a'))).toBe(true);
      expect(await runs.insertScanRow(row('a'))).toBe(false);
      const [first] = (await runs.listScanRows()).items;
      expect(first?.value).toEqual(row('a'));
      const version = first?.version ?? '';
      const claimed = { ...row('a'), state: { failures: 1, triedAt: at(0) } };
      const second = await runs.replaceScanRow(claimed, version);
      expect(await runs.replaceScanRow(row('a'), version)).toBeUndefined();
      expect((await runs.listScanRows()).items).toEqual([{ value: claimed, version: second }]);
      expect(await runs.removeScanRow(claimed, version)).toBe(false);
      expect(await runs.replaceScanRow(row('a'), second ?? '')).toBeDefined();
      const [third] = (await runs.listScanRows()).items;
      expect(await runs.removeScanRow(row('a'), third?.version ?? '')).toBe(true);
      expect(await runs.listScanRows()).toEqual({ items: [] });
      expect(await runs.replaceScanRow(row('a'), third?.version ?? '')).toBeUndefined();
    });

    test('the list returns a thousand rows per request', async () => {
      const { runs } = await open();
      const names = Array.from({ length: 1_003 }, (_, index) => `samples/app${index}`);
      await Promise.all(names.map((name) => runs.insertScanRow(row(name))));
      const first = await runs.listScanRows();
      expect(first.items).toHaveLength(1_000);
      const second = await runs.listScanRows(first.next);
      expect(second.next).toBeUndefined();
      const listed = [...first.items, ...second.items].map(({ value }) => value.repository);
      expect(listed.sort()).toEqual(names.sort());
    });
  });

  test('the list of one repository can start after a tag, or at the tags with the same prefix', async () => {
    const { runs } = await open();
    const tags = ['v', 'v-1', 'v.1', 'v1', 'v1_2', 'v10', 'V2'];
    for (const tag of tags) {
      const row = samplePromotion();
      await runs.insertPromotion({ ...row, source: { ...row.source, repository: 'a/b', tag } });
    }
    const listed = async (begin: { afterTag?: string; fromTag?: string } = {}): Promise<string[]> => {
      const filter = { repository: 'a/b', ...begin };
      const pages = await collectPages((options) => runs.listPromotions({ ...options, filter }), 2);
      return pages.flat().map(({ source }) => source.tag);
    };
    const all = await listed();
    expect(all).toEqual(tags.toSorted((a, b) => (listedTag(a) < listedTag(b) ? -1 : 1)));
    for (const tag of all) expect(await listed({ afterTag: tag })).toEqual(all.slice(all.indexOf(tag) + 1));
    expect(await listed({ afterTag: 'v100' })).toEqual(all.filter((tag) => listedTag(tag) > listedTag('v100')));
    expect(await listed({ fromTag: 'v1' })).toEqual(['v10', 'v1_2', 'v1', 'v']);
  });

  describe('lists of promotions', () => {
    test('the list is sorted by newest run and has pages; open promotions have a list of their own', async () => {
      const { runs } = await open();
      const rows = Array.from({ length: 7 }, (_, index) =>
        samplePromotion({ runId: `r${index}`, runOpen: index % 2 === 0, runOpenedAt: at(index), rule: `n${index}` }),
      );
      for (const row of rows) {
        await runs.insertPromotion(row);
      }
      await runs.insertPromotion(samplePromotion({ incrementedAt: at(3.5), rule: 'never-ran', observedGeneration: 1 }));
      const names = async (size: number): Promise<string[][]> =>
        (await collectPages((options) => runs.listPromotions(options), size)).map((page) =>
          page.map((row) => row.rule),
        );
      expect(await names(3)).toEqual([
        ['n6', 'n5', 'n4'],
        ['never-ran', 'n3', 'n2'],
        ['n1', 'n0'],
      ]);
      expect(await names(8)).toHaveLength(1);
      const oldest = rows[0] ?? samplePromotion();
      const version = (await runs.getPromotion(oldest.id))?.version ?? '';
      const moved = { ...oldest, runOpenedAt: at(100), runOpen: false, state: 'in_sync' as const };
      expect(await runs.replacePromotion(moved, version)).toBe(true);
      const listed = (await runs.listPromotions()).items;
      expect(listed).toHaveLength(8);
      expect(listed[0]).toEqual(moved);
      const opened = (await collectPages((options) => runs.listDuePromotions(options), 2)).flat();
      expect(opened.map((row) => row.rule).sort()).toEqual(['n2', 'n4', 'n6']);
      // A row that a second writer reopens is listed again, one that it closes is not.
      const again = await runs.getPromotion(oldest.id);
      await runs.replacePromotion({ ...moved, runOpen: true }, again?.version ?? '');
      expect((await runs.listDuePromotions()).items).toHaveLength(4);
    });

    test('failed rows are due at their retry time, earliest first, after rows with an open or due run', async () => {
      const { runs } = await open();
      const failed = (rule: string, seconds: number) =>
        samplePromotion({
          rule,
          id: rule,
          state: 'failed',
          runOpen: false,
          generation: 1,
          observedGeneration: 1,
          retryAt: at(seconds),
        });
      const rows = [failed('late', 30), failed('early', 10), failed('middle', 20)];
      for (const row of rows) await runs.insertPromotion(row);
      await runs.insertPromotion(samplePromotion({ rule: 'open', id: 'open', runOpen: true }));
      const due = async (seconds?: number) => {
        const by = seconds === undefined ? {} : { by: new Date(at(seconds)) };
        const pages = await collectPages((options) => runs.listDuePromotions({ ...options, ...by }), 2);
        return pages.flat().map(({ rule }) => rule);
      };
      expect(await due()).toEqual(['open']);
      expect(await due(9)).toEqual(['open']);
      expect(await due(20)).toEqual(['open', 'early', 'middle']);
      // It was retried and failed again.
      const current = await runs.getPromotion('early');
      const again = { ...failed('early', 40), runOpen: true, state: 'working' as const };
      expect(await runs.replacePromotion(again, current?.version ?? '')).toBe(true);
      expect((await due(35)).toSorted()).toEqual(['early', 'late', 'middle', 'open']);
      const open2 = await runs.getPromotion('early');
      expect(await runs.replacePromotion(failed('early', 40), open2?.version ?? '')).toBe(true);
      expect(await due(35)).toEqual(['open', 'middle', 'late']);
    });

    test('a row whose generation is ahead is listed as open until a run has observed it', async () => {
      const { runs } = await open();
      const row = samplePromotion({ generation: 2, observedGeneration: 1 });
      await runs.insertPromotion(row);
      expect((await runs.listDuePromotions()).items).toEqual([row]);
      const version = (await runs.getPromotion(row.id))?.version ?? '';
      expect(await runs.replacePromotion({ ...row, observedGeneration: 2 }, version)).toBe(true);
      expect((await runs.listDuePromotions()).items).toEqual([]);
    });

    test('resync’s lists contain the promotions by due time and follow changes of the rows', async () => {
      const { runs } = await open();
      const lane = { source: 'localhost:5100', destination: 'localhost:5101' };
      const inSync = (seconds: number, changes: Partial<PromotionRow> = {}): PromotionRow => {
        const last = { outcome: 'promoted', runId: 'r', finishedAt: at(seconds), fingerprint: 'h' } as const;
        return samplePromotion({ state: 'in_sync', runId: 'r', last, ...changes });
      };
      const refused = { outcome: 'refused', code: 'EVIDENCE_MISSING' } as const;
      const rows = [
        inSync(9),
        inSync(3),
        inSync(5, { resync: { runId: 'r', at: at(20) } }),
        // Its last run was after that comparison.
        inSync(6, { resync: { runId: 'q', at: at(1) } }),
        inSync(7, { destination: 'elsewhere.io/app:v1' }),
        inSync(1, { runOpen: true }),
        inSync(2, { generation: 2 }),
        samplePromotion({ state: 'observed' }),
      ];
      const urgent = [
        inSync(8, { state: 'refused', last: { ...refused, runId: 'r', finishedAt: at(8), fingerprint: 'h' } }),
        inSync(4, { resync: { runId: 'r', trouble: { times: 1, retryAt: at(2) } } }),
      ];
      for (const row of [...rows, ...urgent]) await runs.insertPromotion(row);
      const [nine, three, five, six] = rows;
      expect(await runs.listResync(lane, 'all', 10)).toEqual([three, six, nine, five]);
      expect(await runs.listResync(lane, 'all', 2)).toEqual([three, six]);
      expect(await runs.listResync(lane, 'urgent', 10)).toEqual([urgent[1], urgent[0]]);
      expect(await runs.listResync({ ...lane, destination: 'elsewhere.io' }, 'all', 10)).toEqual([rows[4]]);
      expect(await runs.listResync({ source: lane.destination, destination: lane.source }, 'all', 10)).toEqual([]);
      const looked = { ...inSync(3), ...three, resync: { runId: 'r', at: at(30) } };
      const version = (await runs.getPromotion(looked.id))?.version ?? '';
      expect(await runs.replacePromotion(looked, version)).toBe(true);
      expect(await runs.listResync(lane, 'all', 10)).toEqual([six, nine, five, looked]);
      expect(await runs.removePromotion(looked)).toBe(true);
      expect(await runs.listResync(lane, 'all', 10)).toEqual([six, nine, five]);
    });

    test('a filtered list follows changes of the rows', async () => {
      const { runs } = await open();
      const source = { registry: 'localhost:5100', repository: 'samples/b', tag: 'v1' };
      const rows = [
        samplePromotion({ rule: 'one', incrementedAt: at(1) }),
        samplePromotion({ rule: 'one', incrementedAt: at(2), source, destination: 'localhost:5101/b:v1' }),
        samplePromotion({ rule: 'two', incrementedAt: at(3), source: { ...source, tag: 'a/?' } }),
        samplePromotion({ rule: 'two', incrementedAt: at(4), source: { ...source, registry: 'elsewhere.io' } }),
      ];
      for (const row of rows) await runs.insertPromotion(row);
      const found = async (filter: PromotionFilter): Promise<string[]> =>
        (await collectPages((options) => runs.listPromotions({ ...options, filter }), 1))
          .flat()
          .map(({ incrementedAt }) => incrementedAt);
      expect(await found({ rule: 'one' })).toEqual([2, 1].map(at));
      expect(await found({ rule: 'on' })).toEqual([]);
      expect(await found({ state: 'working' })).toEqual([4, 3, 2, 1].map(at));
      expect(await found({ repository: 'samples/b', registry: 'localhost:5100' })).toEqual([3, 2].map(at));
      expect(await found({ repository: 'samples/b', tag: 'a/?' })).toEqual([at(3)]);
      expect(await found({ destination: 'localhost:5101/b:v1' })).toEqual([at(2)]);
      expect(await found({ tag: 'v1', rule: 'two' })).toEqual([at(4)]);
      expect((await found({ globs: { repository: 'samples/*' } })).sort()).toEqual([1, 2, 3, 4].map(at));
      expect((await found({ globs: { repository: 'samples/b*' }, registry: 'localhost:5100' })).sort()).toEqual(
        [2, 3].map(at),
      );
      expect(await found({ globs: { repository: 'other/*' } })).toEqual([]);
      expect(await found({ globs: { repository: '*' } })).toEqual([]);
      expect((await found({ repository: 'samples/b', globs: { tag: 'v*' } })).sort()).toEqual([2, 4].map(at));
      expect(await found({ globs: { rule: 't*', registry: 'elsewhere.*' } })).toEqual([at(4)]);
      expect(await found({ globs: { destination: 'localhost:5101/b:*' } })).toEqual([at(2)]);
      expect(await found({ since: at(3) })).toEqual([4, 3].map(at));
      expect(await found({ since: at(2), rule: 'one' })).toEqual([at(2)]);
      expect((await found({ since: at(3), repository: 'samples/b' })).sort()).toEqual([3, 4].map(at));
      const first = await runs.getPromotion(rows[0]?.id ?? '');
      if (first === undefined) throw new Error('it was inserted');
      const moved = {
        ...first.value,
        state: 'refused' as const,
        runOpenedAt: at(9),
        destination: 'localhost:5101/c:v1',
      };
      expect(await runs.replacePromotion(moved, first.version)).toBe(true);
      expect(await found({ state: 'working' })).toEqual([4, 3, 2].map(at));
      expect(await found({ state: 'refused' })).toEqual([at(1)]);
      expect(await found({ rule: 'one' })).toEqual([1, 2].map(at));
      expect((await found({ destination: first.value.destination })).sort()).toEqual([3, 4].map(at));
      expect(await found({ destination: moved.destination })).toEqual([at(1)]);
    });

    test('a page has 1 to 100 rows, and a token of another list is refused', async () => {
      const { runs } = ports;
      for (const size of [0, 101, 1.5]) {
        await expect(runs.listPromotions({ size })).rejects.toMatchObject({ code: 'PAGE_SIZE_INVALID' });
      }
      await expect(runs.listRuns({ from: "' or '1" })).rejects.toMatchObject({ code: 'PAGE_TOKEN_INVALID' });
    });
  });

  describe('runs', () => {
    test('a run is inserted once and replaced only at its version', async () => {
      const { runs } = ports;
      const row = sampleRun(1);
      expect(await runs.getRun(row.id)).toBeUndefined();
      expect(await runs.insertRun(row)).toBe(true);
      expect(await runs.insertRun(row)).toBe(false);
      const first = await runs.getRun(row.id);
      expect(first?.value).toEqual(row);
      const ended = {
        ...row,
        state: 'ended' as const,
        finishedAt: at(3),
        cancel: { at: at(2), by: WITH_ODDITIES, reason: 'y', generation: 3 },
        result: { outcome: 'refused' as const, code: 'X', reason: WITH_ODDITIES, remedy: 'z', digest: 'sha256:1' },
      };
      expect(await runs.replaceRun(ended, first?.version ?? '')).toBe(true);
      expect(await runs.replaceRun(row, first?.version ?? '')).toBe(false);
      expect((await runs.getRun(row.id))?.value).toEqual(ended);
    });

    test('runs are listed newest first, page by page', async () => {
      const { runs } = await open();
      const rows = [3, 1, 2, 5, 4].map((seconds) => sampleRun(seconds));
      await Promise.all(rows.map((row) => runs.insertRun(row)));
      const pages = await collectPages((options) => runs.listRuns(options), 2);
      expect(pages.map((page) => page.map((row) => row.openedAt))).toEqual([[at(5), at(4)], [at(3), at(2)], [at(1)]]);
    });

    test('a filtered list contains exactly the matching runs, newest first, page by page', async () => {
      const { runs } = await open();
      const digest = sampleDigest().digest;
      const job = { operation: 'resolve', id: 'j1', reference: `localhost:5100/samples/other@${digest}` } as const;
      const rows = [
        sampleRun(1),
        sampleRun(2, { state: 'running', digest }),
        sampleRun(3, { input: { kind: 'job', runId: 'x', job } }),
        sampleRun(4),
        sampleRun(5),
      ];
      for (const row of rows) await runs.insertRun(row);
      const end = async (index: number, outcome: 'failed' | 'promoted'): Promise<void> => {
        const current = await runs.getRun(rows[index]?.id ?? '');
        if (current === undefined) throw new Error('it was inserted');
        const result = { outcome, digest };
        await runs.replaceRun({ ...current.value, state: 'ended', finishedAt: at(9), result }, current.version);
      };
      await end(0, 'failed');
      await end(3, 'promoted');
      const { rule } = sampleRun(0).input as { rule: Rule };
      await runs.insertRun(
        sampleRun(6, { input: { ...(sampleRun(6).input as object), rule: { ...rule, name: 'other' } } as RunInput }),
      );
      const found = async (filter: RunFilter): Promise<string[]> =>
        (await collectPages((options) => runs.listRuns({ ...options, filter }), 2))
          .flat()
          .map(({ openedAt }) => openedAt);
      expect(await found({})).toEqual([6, 5, 4, 3, 2, 1].map(at));
      expect(await found({ state: 'open' })).toEqual([6, 5, 3, 2].map(at));
      expect(await found({ state: 'pending' })).toEqual([6, 5, 3].map(at));
      expect(await found({ state: 'running' })).toEqual([at(2)]);
      expect(await found({ state: 'ended' })).toEqual([4, 1].map(at));
      expect(await found({ state: 'failed' })).toEqual([at(1)]);
      expect(await found({ state: 'cancelled' })).toEqual([]);
      expect(await found({ digest })).toEqual([4, 3, 2, 1].map(at));
      expect(await found({ digest, state: 'promoted' })).toEqual([at(4)]);
      expect(await found({ digest: digest.slice(0, 19) })).toEqual([4, 3, 2, 1].map(at));
      expect(await found({ digest: 'sha256:0000000' })).toEqual([]);
      expect(await found({ kind: 'job' })).toEqual([at(3)]);
      expect(await found({ kind: 'job', operation: 'copy' })).toEqual([]);
      expect(await found({ globs: { repository: 'samples/o*' } })).toEqual([at(3)]);
      expect(await found({ globs: { rule: 'st*' }, state: 'open' })).toEqual([5, 2].map(at));
      expect(await found({ since: at(4) })).toEqual([6, 5, 4].map(at));
      expect(await found({ since: at(2), state: 'failed' })).toEqual([]);
      expect(await found({ repository: 'samples/other' })).toEqual([at(3)]);
      expect(await found({ repository: 'samples/app', tag: 'v1', rule: 'other' })).toEqual([at(6)]);
      expect(await found({ repository: 'samples/app', registry: 'elsewhere.io' })).toEqual([]);
      expect(await found({ rule: 'staging', state: 'open' })).toEqual([5, 2].map(at));
      expect((await runs.listRuns({ filter: { digest } })).items[1]).toEqual({
        id: rows[2]?.id,
        kind: 'job',
        state: 'pending',
        openedAt: at(3),
        jobId: 'j1',
        operation: 'resolve',
        source: { registry: 'localhost:5100', repository: 'samples/other' },
        digest,
      });
    });

    test('the list of due runs has open jobs, oldest first, then ended runs with an unsent result event', async () => {
      const { runs } = await open();
      const job = { operation: 'resolve', id: 'j1', reference: 'localhost:5100/samples/app:v1' } as const;
      const ofJob = (seconds: number) => sampleRun(seconds, { input: { kind: 'job', runId: 'x', job } });
      const jobs = [3, 1, 2, 4].map(ofJob);
      for (const row of [...jobs, sampleRun(0), sampleRun(5)]) await runs.insertRun(row);
      const listed = async () =>
        (await collectPages((options) => runs.listDueRuns(options), 2)).map((page) =>
          page.map(({ openedAt }) => openedAt),
        );
      expect(await listed()).toEqual([
        [at(1), at(2)],
        [at(3), at(4)],
      ]);
      const change = async (index: number, changed: Partial<RunRow>): Promise<void> => {
        const current = await runs.getRun(jobs[index]?.id ?? '');
        if (current === undefined) throw new Error('it was inserted');
        expect(await runs.replaceRun({ ...current.value, ...changed }, current.version)).toBe(true);
        expect(await runs.replaceRun({ ...current.value, state: 'pending' }, current.version)).toBe(false);
      };
      await change(1, { state: 'ended', finishedAt: at(9), result: { outcome: 'completed' } });
      await change(2, { state: 'running' });
      await change(0, { state: 'pending', startedAgainAt: at(8) });
      expect(await listed()).toEqual([
        [at(2), at(3)],
        [at(4), at(1)],
      ]);
      expect((await runs.listDueRuns()).items[1]).toMatchObject({ id: jobs[0]?.id, startedAgainAt: at(8) });
      await change(1, { eventSentAt: at(9) });
      expect(await listed()).toEqual([[at(2), at(3)], [at(4)]]);
    });

    test('the runs opened before a time can be listed', async () => {
      const { runs } = await open();
      await Promise.all([1, 2, 3, 4, 5].map((seconds) => runs.insertRun(sampleRun(seconds))));
      const filter = { openedBefore: at(4) };
      const pages = await collectPages((options) => runs.listRuns({ ...options, filter }), 2);
      expect(pages.map((page) => page.map((row) => row.openedAt))).toEqual([[at(3), at(2)], [at(1)]]);
      const digest = sampleDigest().digest;
      await runs.insertRun(sampleRun(0, { digest }));
      expect((await runs.listRuns({ filter: { ...filter, digest } })).items).toHaveLength(1);
    });

    test('an ended run is removed from every list, an open one stays', async () => {
      const { runs } = await open();
      const [ended, open_] = [sampleRun(1, { digest: 'sha256:d' }), sampleRun(2)];
      for (const row of [ended, open_]) {
        await runs.insertRun(row);
        for (let step = 0; step < 120; step += 1) await runs.putProgress(sampleStep(row.id, `s${step}`, 1));
      }
      const version = (await runs.getRun(ended.id))?.version ?? '';
      const result = { outcome: 'promoted' as const };
      await runs.replaceRun({ ...ended, state: 'ended', finishedAt: at(3), result }, version);
      const listed = (await runs.listRuns()).items;
      for (const run of listed) await runs.removeRun(run);
      expect(await runs.getRun(ended.id)).toBeUndefined();
      expect(await runs.listProgress(ended.id)).toEqual([]);
      for (const filter of [{}, { digest: 'sha256:d' }, { state: 'promoted' as const }]) {
        const { items } = await runs.listRuns({ filter });
        expect(items.map(({ id }) => id)).toEqual(filter.state || filter.digest ? [] : [open_.id]);
      }
      expect((await runs.getRun(open_.id))?.value).toEqual(open_);
      const gone = listed.find(({ id }) => id === ended.id);
      if (gone !== undefined) await runs.removeRun(gone);
    });

    test('a job’s id is removed with its run, and only with its own run', async () => {
      const { runs } = await open();
      const job = { operation: 'resolve', id: 'mine', reference: 'localhost:5100/samples/app:v1' } as const;
      const input = { kind: 'job', runId: '', job } as const;
      const row = sampleRun(1, { input, state: 'ended', result: { outcome: 'completed' } });
      await runs.insertRun(row);
      const [listed] = (await runs.listRuns()).items;
      if (listed === undefined) throw new Error('not listed');
      await runs.claimJob('mine', 'another');
      await runs.removeRun(listed);
      expect(await runs.findJob('mine')).toBe('another');
      await runs.claimJob('yours', row.id);
      await runs.removeRun({ ...listed, jobId: 'yours' });
      expect(await runs.findJob('yours')).toBeUndefined();
    });

    test('progress lists the last entry of each step, by start time', async () => {
      const { runs } = ports;
      const runId = sampleRun(1).id;
      const steps = ['attachSbom linux/amd64', 'sign a\\b#c?d/e', WITH_ODDITIES, 'observe', 'x'.repeat(2000)];
      const order = [2, 3, 4, 1, 5];
      await Promise.all(steps.map((step, index) => runs.putProgress(sampleStep(runId, step, order[index] ?? 0))));
      const done = {
        ...sampleStep(runId, 'observe', 1),
        state: 'done' as const,
        doneBytes: 1,
        totalBytes: 2,
        event: 'w',
      };
      await runs.putProgress(done);
      const listed = await runs.listProgress(runId);
      expect(listed.map(({ step }) => step)).toEqual(['observe', ...steps.filter((step) => step !== 'observe')]);
      expect(listed[0]).toEqual(done);
      expect(await runs.listProgress(sampleRun(1).id)).toEqual([]);
    });
  });

  describe('rows of digests, destinations, jobs and events', () => {
    test('the subject index lists each promotion of a digest once, by repository', async () => {
      const { runs } = ports;
      const image = sampleDigest();
      expect(await runs.listPromotionsOfSubject(image)).toEqual([]);
      await Promise.all(
        ['b', 'a', 'b'].map((id) => runs.addToSubjectIndex(image, id, { root: 'sha256:a', at: at(1) })),
      );
      expect((await runs.listPromotionsOfSubject(image)).sort()).toEqual(['a', 'b']);
      expect(await runs.listPromotionsOfSubject({ ...image, repository: 'samples/other' })).toEqual([]);
    });

    test('subject index entries are listed page by page, and one that was written again is not removed', async () => {
      const { runs } = await open();
      const seen = (seconds: number) => ({ root: 'sha256:a', at: at(seconds) });
      const image = sampleDigest();
      const other = { ...image, repository: 'samples/other' };
      for (const id of ['a', 'b', 'c']) await runs.addToSubjectIndex(image, id, seen(1));
      for (const id of ['a', 'd']) await runs.addToSubjectIndex(other, id, seen(3));
      const pages = await collectPages((options) => runs.listSubjectIndex(options), 2);
      const all = pages.flat();
      expect(all.map(({ promotionId }) => promotionId).sort()).toEqual(['a', 'a', 'b', 'c', 'd']);
      expect(all.filter(({ promotionId }) => promotionId === 'b')).toMatchObject([seen(1)]);
      await runs.addToSubjectIndex(image, 'b', seen(2));
      const removed = await Promise.all(all.map((each) => runs.removeFromSubjectIndex(each)));
      expect(removed.filter(Boolean)).toHaveLength(4);
      const [again] = (await runs.listSubjectIndex()).items;
      expect(again).toMatchObject({ promotionId: 'b', ...seen(2) });
      expect(await runs.listPromotionsOfSubject(image)).toEqual(['b']);
      // Removing it a second time has the same result.
      if (again !== undefined) expect(await runs.removeFromSubjectIndex(again)).toBe(true);
      if (again !== undefined) expect(await runs.removeFromSubjectIndex(again)).toBe(true);
      expect((await runs.listSubjectIndex()).items).toEqual([]);
      await expect(runs.listSubjectIndex({ from: 'no token' })).rejects.toMatchObject({ code: 'PAGE_TOKEN_INVALID' });
    });

    test('one of 64 that claim a destination owns it, and all learn which one', async () => {
      const { runs } = ports;
      const destination = `localhost:5101/staging/${randomUUID()}:v1`;
      const claims = Array.from({ length: 64 }, (_, index) =>
        runs.claimDestination(destination, { rule: `r${index}`, promotionId: `p${index}`, source: 's' }),
      );
      const owners = await Promise.all(claims);
      expect(new Set(owners.map(({ value }) => value.rule)).size).toBe(1);
      const { version } = owners[0] ?? { version: '' };
      const next = { rule: 'other', promotionId: 'p', source: 's' };
      expect(await runs.replaceClaim(destination, next, version)).toBe(true);
      expect(await runs.replaceClaim(destination, next, version)).toBe(false);
      expect((await runs.claimDestination(destination, { ...next, rule: 'late' })).value).toEqual(next);
    });

    test('a manifest that we attached is known in its repository only', async () => {
      const { runs } = ports;
      const manifest = sampleDigest();
      expect(await runs.attachedBy(manifest)).toBeUndefined();
      await runs.markOurs(manifest);
      await runs.markOurs(manifest);
      expect(await runs.attachedBy(manifest)).toBe(manifest.digest);
      await runs.markOurs(manifest, 'run-1');
      expect(await runs.attachedBy(manifest)).toBe('run-1');
      expect(await runs.attachedBy({ ...manifest, registry: 'localhost:5101' })).toBeUndefined();
    });

    test('one of 64 that claim a job sets its run id', async () => {
      const { runs } = ports;
      const job = `${randomUUID()}/${WITH_ODDITIES}`;
      const claimed = await Promise.all(Array.from({ length: 64 }, (_, index) => runs.claimJob(job, `run-${index}`)));
      expect(new Set(claimed).size).toBe(1);
      expect(await runs.claimJob(job, 'late')).toBe(claimed[0]);
      expect(await runs.findJob(job)).toBe(claimed[0]);
      expect(await runs.findJob(`${job}#?`)).toBeUndefined();
    });

    test('ignored events are listed newest first, page by page, even with equal times', async () => {
      const { runs } = await open();
      for (const [seconds, reference] of [
        [1, 'a'],
        [3, 'c'],
        [3, 'd'],
        [2, 'b'],
      ] as const) {
        await runs.addIgnored(event(seconds, reference));
      }
      const pages = await collectPages((options) => runs.listIgnored(options), 3);
      const references = pages.map((page) => page.map(({ reference }) => reference));
      expect(references[0]?.slice(0, 2).sort()).toEqual(['c', 'd']);
      expect([references[0]?.slice(2), references[1]]).toEqual([['b'], ['a']]);
      expect(pages[1]?.[0]).toEqual(event(1, 'a'));
      await runs.addIgnored({ ...event(4, 'r.io/app:latest@sha256:1'), eventId: 'e1' });
      const named = { filter: { name: 'r.io/app:latest' } };
      expect((await runs.listIgnored(named)).items).toMatchObject([{ at: at(4), eventId: 'e1' }]);
      expect((await runs.listIgnored()).items).toHaveLength(5);
      // The oldest are removed from both lists, a limited number at a time.
      expect(await runs.removeIgnored(new Date(at(4)), 3)).toBe(3);
      expect(await runs.removeIgnored(new Date(at(4)), 3)).toBe(1);
      expect((await runs.listIgnored()).items).toMatchObject([{ eventId: 'e1' }]);
      expect((await runs.listIgnored({ filter: { name: 'a' } })).items).toEqual([]);
      expect((await runs.listIgnored(named)).items).toHaveLength(1);
      expect(await runs.removeIgnored(new Date(at(4)), 3)).toBe(0);
    });

    test('ignored events of one tag and reason share a row with a count, and a redelivered event does not count again', async () => {
      const { runs } = await open();
      const tag = 'r.io/app:latest';
      await runs.addIgnored({ ...event(1, `${tag}@sha256:1`), eventId: 'e1' });
      await runs.addIgnored(event(2, 'r.io/app:other'));
      await runs.addIgnored({ ...event(3, tag), reason: 'there are no rules' });
      await runs.addIgnored({ ...event(4, `${tag}@sha256:2`), eventId: 'e2' });
      await runs.addIgnored({ ...event(5, `${tag}@sha256:2`), eventId: 'e2' });
      await runs.addIgnored({ ...event(6, `${tag}@sha256:3`), eventId: 'e3' });
      const merged = { at: at(6), times: 3, firstAt: at(1), reference: `${tag}@sha256:3`, eventId: 'e3' };
      const { items } = await runs.listIgnored();
      expect(items).toMatchObject([merged, { at: at(3) }, { at: at(2) }]);
      expect((await runs.listIgnored({ filter: { name: tag } })).items).toEqual([items[0], items[1]]);
      expect(await runs.removeIgnored(new Date(at(7)), 10)).toBe(3);
      expect((await runs.listIgnored({ filter: { name: tag } })).items).toEqual([]);
    });

    test('a note is inserted once and replaced only at its version', async () => {
      const { runs } = ports;
      const name = `cursor/${randomUUID()}#?`;
      expect(await runs.getNote(name)).toBeUndefined();
      expect(await runs.putNote(name, WITH_ODDITIES, undefined)).toBe(true);
      expect(await runs.putNote(name, 'other', undefined)).toBe(false);
      const first = await runs.getNote(name);
      expect(first?.value).toBe(WITH_ODDITIES);
      expect(await runs.putNote(name, 'second', first?.version ?? '')).toBe(true);
      expect(await runs.putNote(name, 'third', first?.version ?? '')).toBe(false);
      expect((await runs.getNote(name))?.value).toBe('second');
    });
  });

  describe('documents', () => {
    test('bytes are read back unchanged, and put overwrites them', async () => {
      const { documents } = ports;
      const name = `${randomUUID()}/plan one+%2f.json`.replace(' ', '-');
      expect(await documents.get('documents', name)).toBeUndefined();
      const all = Uint8Array.from({ length: 256 }, (_, index) => index);
      await documents.put('documents', name, all);
      expect(await documents.get('documents', name)).toEqual(all);
      expect(await documents.get('receipts', name)).toBeUndefined();
      await documents.put('documents', name, new Uint8Array());
      expect(await documents.get('documents', name)).toEqual(new Uint8Array());
    });

    test('the first of 16 putIfAbsent calls is kept, and all return it', async () => {
      const { documents } = ports;
      const name = randomUUID();
      const kept = await Promise.all(
        Array.from({ length: 16 }, (_, index) => documents.putIfAbsent('documents', name, bytes(`signature ${index}`))),
      );
      const texts = new Set(kept.map((found) => new TextDecoder().decode(found)));
      expect(texts.size).toBe(1);
      expect(await documents.get('documents', name)).toEqual(kept[0]);
    });

    test('a document is replaced only by a writer that has read its present version', async () => {
      const { documents } = ports;
      const name = `${randomUUID()}.json`;
      expect(await documents.getVersioned('documents', name)).toBeUndefined();
      expect(await documents.putVersioned('documents', name, bytes('early'), '"0x0"')).toBeUndefined();
      const written = await documents.putVersioned('documents', name, bytes('one'), undefined);
      expect(await documents.putVersioned('documents', name, bytes('other'), undefined)).toBeUndefined();
      const first = await documents.getVersioned('documents', name);
      expect(first).toEqual({ value: bytes('one'), version: written });
      const version = first?.version ?? '';
      const replaced = await Promise.all(
        Array.from({ length: 8 }, (_, index) =>
          documents.putVersioned('documents', name, bytes(`two ${index}`), version),
        ),
      );
      expect(replaced.filter((done) => done !== undefined)).toHaveLength(1);
      expect(await documents.get('documents', name)).toEqual(
        bytes(`two ${replaced.findIndex((done) => done !== undefined)}`),
      );
      await documents.put('documents', name, bytes('three'));
      expect(await documents.putVersioned('documents', name, bytes('four'), version)).toBeUndefined();
      await documents.removeAll('documents', name);
      expect(await documents.putVersioned('documents', name, bytes('five'), version)).toBeUndefined();
      expect(await documents.get('documents', name)).toBeUndefined();
    });

    test('removeAll removes exactly the documents with the prefix', async () => {
      const { documents } = ports;
      const run = randomUUID();
      const names = Array.from({ length: 40 }, (_, index) => `plans/${run}/${index}`);
      for (const name of [...names, `plans/${run}.json`, `plans/other-${run}`]) {
        await documents.put('documents', name, bytes('x'));
      }
      await documents.removeAll('documents', `plans/${run}`);
      await documents.removeAll('documents', `plans/${run}`);
      for (const name of [names[0], names[39], `plans/${run}.json`]) {
        expect(await documents.get('documents', name ?? '')).toBeUndefined();
      }
      expect(await documents.get('documents', `plans/other-${run}`)).toEqual(bytes('x'));
    });
  });

  describe('files', () => {
    const read = async (name: string): Promise<Buffer> => {
      const chunks: Uint8Array[] = [];
      for await (const chunk of ports.files.open('target', name)) chunks.push(chunk);
      return Buffer.concat(chunks);
    };
    async function* pieces(count: number): AsyncGenerator<Uint8Array> {
      for (let piece = 0; piece < count; piece += 1) yield Buffer.alloc(1024 * 1024, piece);
    }

    test('a file of several blocks is read back unchanged', async () => {
      const { files } = ports;
      const name = `${randomUUID()}/a%20b.bin`;
      expect(await files.sizeOf('target', name)).toBeUndefined();
      await files.put('target', name, pieces(9));
      expect(await files.sizeOf('target', name)).toBe(9 * 1024 * 1024);
      expect(await files.sizeOf('source', name)).toBeUndefined();
      expect(
        (await read(name)).equals(
          Buffer.concat([0, 1, 2, 3, 4, 5, 6, 7, 8].map((piece) => Buffer.alloc(1024 * 1024, piece))),
        ),
      ).toBe(true);
      await files.put('target', name, pieces(0));
      expect(await files.sizeOf('target', name)).toBe(0);
    });

    test('exactly the files with a prefix are listed, with sizes', async () => {
      const { files } = ports;
      const prefix = `${randomUUID()}/docs`;
      const put = async (name: string, count: number): Promise<void> => files.put('source', name, pieces(count));
      await put(`${prefix}/a`, 1);
      await put(`${prefix}/b/c`, 2);
      await put(`${prefix}-more/d`, 1);
      await files.put('target', `${prefix}/e`, pieces(1));
      const listed: { name: string; sizeBytes: number }[] = [];
      for await (const each of files.list('source', `${prefix}/`)) listed.push(each);
      expect(listed.toSorted((a, b) => (a.name < b.name ? -1 : 1))).toEqual([
        { name: `${prefix}/a`, sizeBytes: 1024 * 1024 },
        { name: `${prefix}/b/c`, sizeBytes: 2 * 1024 * 1024 },
      ]);
      for await (const _each of files.list('source', `${prefix}/none/`)) throw new Error('there is none');
    });

    test('a file whose upload fails half way does not exist', async () => {
      const { files } = ports;
      const name = randomUUID();
      const broken = async function* (): AsyncGenerator<Uint8Array> {
        yield* pieces(6);
        throw new Error('broken off');
      };
      await expect(files.put('target', name, broken())).rejects.toThrow();
      expect(await files.sizeOf('target', name)).toBeUndefined();
    });

    test('a file that does not exist cannot be opened', async () => {
      await expect(read(randomUUID())).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
    });
  });

  describe('queues', () => {
    test('a message of 48 KiB is sent, a longer one is refused', async () => {
      const { queues } = ports;
      await queues.send('promotion-results', 'ä'.repeat(24 * 1024));
      await expect(queues.send('promotion-results', `a${'ä'.repeat(24 * 1024)}`)).rejects.toMatchObject({
        code: 'MESSAGE_TOO_LARGE',
      });
    });
  });

  describe('leases', () => {
    test('the next holder gets a lease after its release, which may be repeated', async () => {
      const { lease } = ports;
      const name = `localhost:5101/staging/${randomUUID()}:v1`;
      const held = await lease.acquire(name);
      expect(held?.signal.aborted).toBe(false);
      expect(held?.heldUntilMs).toBeGreaterThan(Date.now() + 10_000);
      expect(await lease.acquire(name)).toBeUndefined();
      expect(await lease.acquire(name, { waitMs: 20 })).toBeUndefined();
      const waiting = lease.acquire(name, { waitMs: 20_000 });
      await held?.release();
      await held?.release();
      const next = await waiting;
      expect(next).toBeDefined();
      // The old holder's release must not take it from the new one.
      await held?.release();
      expect(await lease.acquire(name)).toBeUndefined();
      await next?.release();
      expect(held?.signal.aborted).toBe(false);
    });

    test('one of 16 at once gets the lease', async () => {
      const { lease } = ports;
      const name = randomUUID();
      const all = await Promise.all(Array.from({ length: 16 }, () => lease.acquire(name)));
      const held = all.filter((one) => one !== undefined);
      expect(held).toHaveLength(1);
      await held[0]?.release();
    });

    test('waiting for a lease ends when its signal aborts', async () => {
      const { lease } = ports;
      const name = randomUUID();
      const held = await lease.acquire(name);
      const stop = new AbortController();
      const waiting = lease.acquire(name, { waitMs: 20_000, signal: stop.signal });
      stop.abort();
      await expect(waiting).rejects.toMatchObject({ name: 'AbortError' });
      await held?.release();
    });
  });
}

describe('in memory', () => {
  portsContract(async () => ({
    runs: memoryRunStore(),
    documents: memoryDocuments(),
    files: memoryFiles(),
    queues: memoryQueues(),
    lease: memoryLease(),
  }));
});

describe('in Azure Storage', () => {
  let azurite: Azurite;
  beforeAll(async () => {
    azurite = await startAzurite();
  });
  afterAll(async () => {
    await azurite.stop();
  });

  portsContract(async () => {
    const storage = createStorage({ connectionString: azurite.newAccount() });
    await storage.ensureCreated();
    return storage;
  });
});
