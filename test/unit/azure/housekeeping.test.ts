import { TableClient } from '@azure/data-tables';
import { BlobServiceClient } from '@azure/storage-blob';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { createStorage, type AzureStorage } from '../../../src/azure/storage.js';
import { openJob } from '../../../src/operations/start-job.js';
import { parseJob } from '../../../src/operations/parse-job.js';
import { closePromotion } from '../../../src/rows/generation.js';
import { endRunRow } from '../../../src/rows/run-end.js';
import { removeOld, type Removed } from '../../../src/schedule/housekeeping.js';
import { newWorld, openRun, rowOf, type World } from '../../support/world.js';
import { startAzurite, type Azurite } from '../../support/azurite.js';

jest.setTimeout(60_000);

// Housekeeping on tables and blobs of Azurite. The test reads the tables to see what is left.

const DAY_MS = 24 * 3_600_000;
let azurite: Azurite;
beforeAll(async () => {
  azurite = await startAzurite();
});
afterAll(async () => {
  await azurite.stop();
});

interface House {
  world: World;
  storage: AzureStorage;
  /** Partition and row keys of all rows of a table. */
  keys(table: string): Promise<string[]>;
  table(name: string): TableClient;
  blobs(): Promise<string[]>;
}

async function openHouse(): Promise<House> {
  const account = azurite.newAccount();
  const storage = createStorage({ connectionString: account });
  await storage.ensureCreated();
  const world = newWorld();
  world.store = storage.runs;
  const table = (name: string): TableClient =>
    TableClient.fromConnectionString(account, name, { allowInsecureConnection: true });
  return {
    world,
    storage,
    table,
    async keys(name) {
      const keys: string[] = [];
      for await (const { partitionKey, rowKey } of table(name).listEntities()) keys.push(`${partitionKey} ${rowKey}`);
      return keys.sort();
    },
    async blobs() {
      const names: string[] = [];
      const container = BlobServiceClient.fromConnectionString(account).getContainerClient('documents');
      for await (const { name } of container.listBlobsFlat()) names.push(name);
      return names.sort();
    },
  };
}

async function runOnce({ world, storage }: House): Promise<string> {
  const run = await openRun(world);
  await storage.documents.put('documents', `plans/${run.runId}.json`, Buffer.from('x'));
  const at = world.now().toISOString();
  for (const step of ['observe', 'planCopy']) {
    await storage.runs.putProgress({
      runId: run.runId,
      step,
      state: 'done',
      text: '',
      startedAt: at,
      updatedAt: at,
    });
  }
  const { generation } = await rowOf(world, run.promotionId);
  const result = { outcome: 'unchanged' as const, digest: 'sha256:a' };
  await closePromotion(world, run.promotionId, run.runId, { generation, rule: run.rule, result });
  world.engine.setState(run.runId, 'ended');
  return run.runId;
}

const tidy = ({ world, storage }: House): Promise<Removed> => removeOld({ ...world, documents: storage.documents });

describe('housekeeping', () => {
  test('removes every row and blob of old runs, a job and a promotion', async () => {
    const house = await openHouse();
    for (let index = 0; index < 3; index += 1) await runOnce(house);
    const job = parseJob({ operation: 'resolve', id: 'mine', reference: 'r.azurecr.io/a:v1' }, { messageId: 'm' });
    const { id } = await openJob(house.world, job, { kind: 'http' });
    await endRunRow(house.world, id, { outcome: 'unchanged' });
    await house.storage.documents.put('documents', `results/${id}.json`, Buffer.from('x'));
    await house.storage.documents.put('documents', 'signatures/sha256-a/notary-x.json', Buffer.from('x'));
    house.world.nowMs += 29 * DAY_MS;
    const before = await house.keys('runs');
    expect(await tidy(house)).toMatchObject({ runs: 0, promotions: 0 });
    expect((await house.keys('runs')).filter((key) => !key.startsWith('note '))).toEqual(before);
    house.world.nowMs += 2 * DAY_MS;
    house.world.ruleList = [];
    // Three at once, then one more.
    await Promise.all([tidy(house), tidy(house), tidy(house)]);
    await tidy(house);
    expect(await house.keys('runs')).toEqual(['note housekeeping']);
    expect(await house.keys('promotions')).toEqual([]);
    expect(await house.blobs()).toEqual(['signatures/sha256-a/notary-x.json']);
  });

  test('finishes the removal that a crash cut off between a row and its copies', async () => {
    const house = await openHouse();
    const runId = await runOnce(house);
    house.world.nowMs += 31 * DAY_MS;
    house.world.ruleList = [];
    // What a crash leaves: the rows are gone, their copies are not.
    await house.table('runs').deleteEntity('run', runId);
    const [promotion] = (await house.storage.runs.listPromotions()).items;
    await house.table('promotions').deleteEntity('promotion', `id|${promotion?.id ?? ''}`);
    expect((await house.storage.runs.listRuns()).items).toHaveLength(1);
    await tidy(house);
    expect(await house.keys('runs')).toEqual(['note housekeeping']);
    expect(await house.keys('promotions')).toEqual([]);
    expect(await house.blobs()).toEqual([]);
  });
});
