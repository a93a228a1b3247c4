import { z } from 'zod';
import type { RunStore, StoredDigest } from '../runs/ports.js';
import { destinationOwnerSchema, ignoredEventSchema, runRowSchema, stepProgressSchema } from '../runs/row-schemas.js';
import { newRunId } from '../runs/run-id.js';
import { PromotionRows } from './promotion-rows.js';
import { encodeKey, hashKey } from './table-keys.js';
import type { TableRows } from './table-rows.js';

const text = z.string();
const hashOf = (stored: StoredDigest): string => hashKey(`${stored.registry}/${stored.repository}@${stored.digest}`);

/** The port RunStore on two tables; keys are in docs/decisions/storage-keys.md. */
export function tableRunStore(promotionTable: TableRows, runTable: TableRows): RunStore {
  const promotions = new PromotionRows(promotionTable);
  return {
    getPromotion: (id) => promotions.get(id),
    insertPromotion: (row) => promotions.insert(row),
    replacePromotion: (row, version) => promotions.replace(row, version),
    listPromotions: (options) => promotions.list(options),
    listOpenPromotions: (options) => promotions.listOpen(options),

    getRun: (id) => runTable.get('run', encodeKey(id), runRowSchema),
    insertRun: (row) => runTable.insert('run', encodeKey(row.id), row),
    replaceRun: (row, version) => runTable.replace('run', encodeKey(row.id), row, version),
    listRuns: (options) => runTable.page('run', '', runRowSchema, options),

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

    addIgnored: (event) => runTable.put('ignored', newRunId(Date.parse(event.at)), event),
    listIgnored: (options) => runTable.page('ignored', '', ignoredEventSchema, options),

    getNote: (name) => runTable.get('note', encodeKey(name), text),
    putNote: (name, note, version) =>
      version === undefined
        ? runTable.insert('note', encodeKey(name), note)
        : runTable.replace('note', encodeKey(name), note, version),
  };
}
