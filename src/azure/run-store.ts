import { z } from 'zod';
import { matchesPromotion, matchesRun, nameOfIgnored } from '../runs/filters.js';
import type { RunStore, StoredDigest } from '../runs/ports.js';
import { destinationOwnerSchema, ignoredEventSchema, stepProgressSchema } from '../runs/row-schemas.js';
import { newRunId } from '../runs/run-id.js';
import { ListedRows } from './listed-rows.js';
import { PROMOTIONS, RUNS, promotionListOf, runListOf } from './row-lists.js';
import { encodeKey, hashKey } from './table-keys.js';
import type { TableRows } from './table-rows.js';

const text = z.string();
const hashOf = (stored: StoredDigest): string => hashKey(`${stored.registry}/${stored.repository}@${stored.digest}`);

/** The port RunStore on two tables; keys are in docs/decisions/storage-keys.md. */
export function tableRunStore(promotionTable: TableRows, runTable: TableRows): RunStore {
  const promotions = new ListedRows(promotionTable, PROMOTIONS);
  const runs = new ListedRows(runTable, RUNS);
  return {
    getPromotion: (id) => promotions.get(id),
    insertPromotion: (row) => promotions.insert(row),
    replacePromotion: (row, version) => promotions.replace(row, version),
    listPromotions: ({ filter = {}, ...page } = {}) =>
      promotions.list(promotionListOf(filter), page, (row) => matchesPromotion(row, filter)),
    listOpenPromotions: (options) => promotions.list('open|', options),

    getRun: (id) => runs.get(id),
    insertRun: (row) => runs.insert(row),
    replaceRun: (row, version) => runs.replace(row, version),
    listRuns: ({ filter = {}, ...page } = {}) => runs.list(runListOf(filter), page, (run) => matchesRun(run, filter)),

    putProgress: (progress) =>
      runTable.put(`progress|${encodeKey(progress.runId)}`, encodeKey(progress.step), progress),
    async listProgress(runId) {
      const steps = await runTable.whole(`progress|${encodeKey(runId)}`, stepProgressSchema);
      return steps.sort(
        (a, b) => Date.parse(a.startedAt) - Date.parse(b.startedAt) || (a.step < b.step ? -1 : Number(a.step > b.step)),
      );
    },

    addStanding: (image, promotionId) =>
      promotionTable.put(`standing|${hashOf(image)}`, encodeKey(promotionId), promotionId),
    listStanding: (image) => promotionTable.whole(`standing|${hashOf(image)}`, text),

    claimDestination: (destination, owner) =>
      promotionTable.claim(`owner|${hashKey(destination)}`, 'owner', owner, destinationOwnerSchema),
    replaceDestinationOwner: (destination, owner, version) =>
      promotionTable.replace(`owner|${hashKey(destination)}`, 'owner', owner, version),

    markOurs: (manifest) => promotionTable.put(`ours|${hashOf(manifest)}`, 'ours', manifest.digest),
    async isOurs(manifest) {
      return (await promotionTable.read(`ours|${hashOf(manifest)}`, 'ours')) !== undefined;
    },

    async claimJob(jobId, runId) {
      return (await runTable.claim(`job|${hashKey(jobId)}`, 'run', runId, text)).value;
    },

    async findJob(jobId) {
      return (await runTable.get(`job|${hashKey(jobId)}`, 'run', text))?.value;
    },

    async addIgnored(event) {
      const key = newRunId(Date.parse(event.at));
      // One that is lost in between is in the list of all, and its sender tells of it again.
      await runTable.put('ignored', key, event);
      await runTable.put(`ignored|${hashKey(nameOfIgnored(event))}`, key, event);
    },
    listIgnored: ({ filter, ...page } = {}) =>
      runTable.page(filter === undefined ? 'ignored' : `ignored|${hashKey(filter.name)}`, '', ignoredEventSchema, page),

    getNote: (name) => runTable.get('note', encodeKey(name), text),
    putNote: (name, note, version) =>
      version === undefined
        ? runTable.insert('note', encodeKey(name), note)
        : runTable.replace('note', encodeKey(name), note, version),
  };
}
