import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { matchesPromotion, matchesRun } from '../rows/lists.js';
import { IGNORED_ALIKE, isAlike, mergedIgnored, nameOfIgnored, ignoredEventSchema } from '../rows/ignored-event.js';
import type { Store } from '../ports/store.js';
import type { StoredDigest } from '../ports/stored-digest.js';
import { destinationClaimSchema } from '../rows/claims.js';
import { scanRowSchema, type ScanRow } from '../rows/scan-row.js';
import { subjectIndexEntrySchema } from '../rows/subject-index.js';
import { stepProgressSchema } from '../rows/step-progress.js';
import { invertedTime, newRunId } from '../rows/open-run.js';
import { ListedRows } from './listed-rows.js';
import {
  DUE,
  PROMOTIONS,
  RUNS,
  dueEnd,
  listEnd,
  promotionListOf,
  promotionsFrom,
  resyncListOf,
  runListOf,
  runsBefore,
} from './row-lists.js';
import { encodeKey, hashKey } from './table-keys.js';
import type { TableRows } from './table-rows.js';

const text = z.string();
const hashOf = (stored: StoredDigest): string => hashKey(`${stored.registry}/${stored.repository}@${stored.digest}`);

const scanKey = ({ rule, registry, repository }: ScanRow): string =>
  `${encodeKey(rule)}|${hashKey(`${registry}/${repository}`)}`;

/** The port Store, implemented with two tables. The keys are documented in docs/decisions/storage-keys.md. */
export function tableRunStore(promotionTable: TableRows, runTable: TableRows): Store {
  const promotions = new ListedRows(promotionTable, PROMOTIONS);
  const runs = new ListedRows(runTable, RUNS);
  return {
    getPromotion: (id) => promotions.get(id),
    insertPromotion: (row) => promotions.insert(row),
    replacePromotion: (row, version) => promotions.replace(row, version),
    listPromotions({ filter = {}, ...page } = {}) {
      const list = promotionListOf(filter);
      const options = { ...page, from: page.from ?? promotionsFrom(list, filter) };
      return promotions.list(list, options, (row) => matchesPromotion(row, filter), listEnd(list, filter.since));
    },
    listDuePromotions: ({ by, ...page } = {}) => promotions.list(DUE, page, undefined, dueEnd(by)),
    listResync: async (lane, list, size) => (await promotions.list(resyncListOf(lane, list), { size })).items,

    async removePromotion(row) {
      const current = await promotions.get(row.id);
      if (current === undefined) {
        await promotions.removeLeft(row.id, row);
        return true;
      }
      if (!isDeepStrictEqual(current.value, row)) return false;
      const partition = `claim|${hashKey(row.destination)}`;
      const claim = await promotionTable.get(partition, 'claim', destinationClaimSchema);
      if (claim?.value.promotionId === row.id) await promotionTable.remove(partition, 'claim', claim.version);
      return promotions.remove(row.id, current.version);
    },

    getRun: (id) => runs.get(id),
    insertRun: (row) => runs.insert(row),
    replaceRun: (row, version) => runs.replace(row, version),
    listRuns({ filter = {}, ...page } = {}) {
      const list = runListOf(filter);
      const { openedBefore } = filter;
      const from = page.from ?? (openedBefore === undefined ? undefined : runsBefore(list, openedBefore));
      const options = { ...page, from };
      return runs.list(list, options, (run) => matchesRun(run, filter), listEnd(list, filter.since));
    },
    listDueRuns: (options) => runs.list(DUE, options),
    async removeRun(run) {
      await runTable.removeAll(`progress|${encodeKey(run.id)}`);
      if (run.jobId !== undefined) {
        const partition = `job|${hashKey(run.jobId)}`;
        const job = await runTable.get(partition, 'run', text);
        if (job?.value === run.id) await runTable.remove(partition, 'run', job.version);
      }
      // The row is removed last, because it leads to everything else.
      const row = await runs.get(run.id);
      if (row === undefined) await runs.removeLeft(run.id, run);
      else if (row.value.state === 'ended') await runs.remove(run.id, row.version);
    },

    putProgress: (progress) =>
      runTable.put(`progress|${encodeKey(progress.runId)}`, encodeKey(progress.step), progress),
    async listProgress(runId) {
      const steps = await runTable.first(`progress|${encodeKey(runId)}`, stepProgressSchema);
      return steps.sort(
        (a, b) => Date.parse(a.startedAt) - Date.parse(b.startedAt) || (a.step < b.step ? -1 : Number(a.step > b.step)),
      );
    },

    addToSubjectIndex: (image, promotionId, seen) =>
      promotionTable.put(`subject|${hashOf(image)}`, encodeKey(promotionId), { promotionId, ...seen }),
    async listPromotionsOfSubject(image) {
      const entries = await promotionTable.first(`subject|${hashOf(image)}`, subjectIndexEntrySchema);
      return entries.map(({ promotionId }) => promotionId);
    },
    async listSubjectIndex({ size = 50, from } = {}) {
      const { rows, next } = await promotionTable.pageOfPartitions('subject|', size, from);
      const items = promotionTable
        .readable(rows, subjectIndexEntrySchema)
        .map(({ row, value }) => ({ ...value, key: `${row.partitionKey}|${row.rowKey}`, version: row.etag }));
      return { items, next };
    },
    removeFromSubjectIndex({ key, version }) {
      const at = key.lastIndexOf('|');
      return promotionTable.remove(key.slice(0, at), key.slice(at + 1), version);
    },

    getClaim: (destination) => promotionTable.get(`claim|${hashKey(destination)}`, 'claim', destinationClaimSchema),
    claimDestination: (destination, claim) =>
      promotionTable.claim(`claim|${hashKey(destination)}`, 'claim', claim, destinationClaimSchema),
    replaceClaim: (destination, claim, version) =>
      promotionTable.replace(`claim|${hashKey(destination)}`, 'claim', claim, version),

    markOurs: (manifest, runId) => promotionTable.put(`ours|${hashOf(manifest)}`, 'ours', runId ?? manifest.digest),
    async attachedBy(manifest) {
      return (await promotionTable.get(`ours|${hashOf(manifest)}`, 'ours', text))?.value;
    },

    async claimJob(jobId, runId) {
      return (await runTable.claim(`job|${hashKey(jobId)}`, 'run', runId, text)).value;
    },

    async findJob(jobId) {
      return (await runTable.get(`job|${hashKey(jobId)}`, 'run', text))?.value;
    },

    async addIgnored(event) {
      const key = newRunId(Date.parse(event.at));
      const partition = `ignored|${hashKey(nameOfIgnored(event))}`;
      const known = runTable.readable(await runTable.rowsAfter(partition, '', IGNORED_ALIKE), ignoredEventSchema);
      const before = known.find(({ value }) => isAlike(value, event));
      const merged = before === undefined ? event : mergedIgnored(before.value, event);
      // If a crash loses the second row, the event is still in the list of all, and its sender will send it again.
      await runTable.put('ignored', key, merged);
      await runTable.put(partition, key, merged);
      if (before === undefined) return;
      await runTable.remove('ignored', before.row.rowKey);
      await runTable.remove(partition, before.row.rowKey);
    },
    listIgnored: ({ filter: { name, since } = {}, ...page } = {}) =>
      runTable.page(
        name === undefined ? 'ignored' : `ignored|${hashKey(name)}`,
        '',
        ignoredEventSchema,
        page,
        undefined,
        since === undefined ? undefined : `${invertedTime(Date.parse(since))}~`,
      ),

    async removeIgnored(before, most) {
      // '~' sorts after all keys of that time.
      const rows = await runTable.rowsAfter('ignored', `${invertedTime(before.getTime())}~`, most);
      for (const { row, value } of runTable.readable(rows, ignoredEventSchema))
        await runTable.remove(`ignored|${hashKey(nameOfIgnored(value))}`, row.rowKey);
      for (const { rowKey } of rows) await runTable.remove('ignored', rowKey);
      return rows.length;
    },

    getNote: (name) => runTable.get('note', encodeKey(name), text),
    putNote: (name, note, version) =>
      version === undefined
        ? runTable.insert('note', encodeKey(name), note)
        : runTable.replace('note', encodeKey(name), note, version),

    listScanRows: (from) => runTable.manyOf('scan', scanRowSchema, from),
    insertScanRow: (row) => runTable.insert('scan', scanKey(row), row),
    replaceScanRow: (row, version) => runTable.replaceAt('scan', scanKey(row), row, version),
    removeScanRow: (row, version) => runTable.remove('scan', scanKey(row), version),
  };
}
