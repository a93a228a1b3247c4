import { createHash } from 'node:crypto';
import { TableClient } from '@azure/data-tables';
import { BlobServiceClient } from '@azure/storage-blob';
import { QueueClient } from '@azure/storage-queue';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { blobLease } from '../../../src/azure/blob-lease.js';
import { createStorage, type AzureStorage } from '../../../src/azure/storage.js';
import type { RunRow } from '../../../src/rows/run-row.js';
import { summaryOfRun } from '../../../src/rows/lists.js';
import { startAzurite, type Azurite } from '../../support/azurite.js';
import { sampleDigest, samplePromotion, sampleRule, sampleRun } from './sample-rows.js';
import { startStorageProxy } from './storage-proxy.js';

// Long enough for a busy machine.
jest.setTimeout(30_000);

/** Tests of the real adapters only. What they share with the fakes is in ports-contract.test.ts. */
describe('Azure Storage', () => {
  let azurite: Azurite;
  let connectionString: string;
  let storage: AzureStorage;
  const unreadable: string[] = [];
  const table = (name: string): TableClient =>
    TableClient.fromConnectionString(connectionString, name, { allowInsecureConnection: true });

  beforeAll(async () => {
    azurite = await startAzurite();
    connectionString = azurite.newAccount();
    storage = createStorage(
      { connectionString },
      { onUnreadableRow: (error) => unreadable.push(`${error.code} ${String(error.details['rowKey'])}`) },
    );
    await storage.ensureCreated();
  });
  afterAll(async () => {
    await azurite.stop();
  });

  const runWithTrustStore = (trustStore: string): RunRow => {
    const rule = sampleRule();
    const { source, destination } = samplePromotion();
    rule.verify.signatures = [{ format: 'notary', trustStore, identities: ['*'] }];
    const row = sampleRun(1);
    return { ...row, input: { kind: 'promotion', runId: row.id, promotionId: 'p', rule, source, destination } };
  };

  test('missing tables, containers and queues are created, any number of times', async () => {
    await storage.ensureCreated();
    await createStorage({ connectionString }).ensureCreated();
  });

  describe('rows', () => {
    test('a large row is stored in chunks', async () => {
      const row = runWithTrustStore('\u{1f600}"'.repeat(40_000));
      expect(await storage.runs.insertRun(row)).toBe(true);
      const read = await storage.runs.getRun(row.id);
      expect(read?.value).toEqual(row);
      // A shorter value in its place leaves no old chunk behind.
      const small = { ...row, input: sampleRun(1).input };
      expect(await storage.runs.replaceRun(small, read?.version ?? '')).toBe(true);
      expect((await storage.runs.getRun(row.id))?.value).toEqual(small);
    });

    test('a row that is too large is refused', async () => {
      const row = runWithTrustStore('x'.repeat(260_000));
      await expect(storage.runs.insertRun(row)).rejects.toMatchObject({ code: 'ROW_TOO_LARGE' });
      expect(await storage.runs.getRun(row.id)).toBeUndefined();
    });

    test('a row that cannot be parsed is an error when read, and a list skips and reports it', async () => {
      const own = createStorage(
        { connectionString: azurite.newAccount() },
        { onUnreadableRow: (error) => unreadable.push(error.code) },
      );
      await own.ensureCreated();
      const good = sampleRun(1);
      await own.runs.insertRun(good);
      const [bad, worse] = [sampleRun(2), sampleRun(3)];
      // The same account through its own client: rows as another version may have written them.
      await own.runs.insertRun({ ...bad, state: 'paused' as 'pending' });
      await own.runs.insertRun({ ...worse, openedAt: 5 as unknown as string });
      await expect(own.runs.getRun(bad.id)).rejects.toMatchObject({
        code: 'ROW_UNREADABLE',
        details: { table: 'runs', rowKey: bad.id, reason: expect.stringContaining('state') },
      });
      expect((await own.runs.listRuns()).items).toEqual([summaryOfRun(good)]);
      expect(unreadable).toEqual(['ROW_UNREADABLE', 'ROW_UNREADABLE']);
    });

    test('the rows read for one filtered page are limited, and the next page continues there', async () => {
      const account = azurite.newAccount();
      const own = createStorage({ connectionString: account });
      await own.ensureCreated();
      const client = TableClient.fromConnectionString(account, 'runs', { allowInsecureConnection: true });
      const entity = (index: number): { partitionKey: string; rowKey: string; j0: string } => ({
        partitionKey: 'run',
        rowKey: `at|${String(index).padStart(5, '0')}`,
        j0: JSON.stringify({ ...summaryOfRun(sampleRun(1)), ...(index === 1599 && { state: 'ended' }) }),
      });
      for (let start = 0; start < 1600; start += 100) {
        const rows = Array.from({ length: 100 }, (_, index) => entity(start + index));
        await client.submitTransaction(rows.map((row) => ['create', row]));
      }
      const first = await own.runs.listRuns({ filter: { state: 'ended' } });
      expect(first).toEqual({ items: [], next: expect.any(String) });
      const second = await own.runs.listRuns({ filter: { state: 'ended' }, from: first.next ?? '' });
      expect(second).toMatchObject({ items: [{ state: 'ended' }] });
      expect(second.next).toBeUndefined();
    });

    test('a list that is read completely follows the pages of the service and has a limit', async () => {
      const image = sampleDigest();
      const { registry, repository, digest } = image;
      const hash = createHash('sha256').update(`${registry}/${repository}@${digest}`).digest('hex');
      const entity = (index: number): { partitionKey: string; rowKey: string; j0: string } => ({
        partitionKey: `subject|${hash}`,
        rowKey: `p${index}`,
        j0: JSON.stringify({ promotionId: `p${index}`, root: digest, at: '2026-01-01T00:00:00.000Z' }),
      });
      const promotions = table('promotions');
      const insert = async (from: number, to: number): Promise<void> => {
        const batches: Promise<unknown>[] = [];
        for (let start = from; start < to; start += 100) {
          const rows = Array.from({ length: Math.min(100, to - start) }, (_, index) => entity(start + index));
          batches.push(promotions.submitTransaction(rows.map((row) => ['create', row])));
        }
        await Promise.all(batches);
      };
      await insert(0, 1200);
      expect(new Set(await storage.runs.listPromotionsOfSubject(image)).size).toBe(1200);
      await insert(1200, 2000);
      expect(await storage.runs.listPromotionsOfSubject(image)).toHaveLength(2000);
      // The schedule finds the others.
      await insert(2000, 2001);
      expect(await storage.runs.listPromotionsOfSubject(image)).toHaveLength(2000);
    });
  });

  describe('queues', () => {
    test('a message is base64, never expires, and is hidden for its delay', async () => {
      await storage.queues.send('jobs', '{"operation":"ä"}');
      await storage.queues.send('jobs', 'later', { delaySeconds: 3600 });
      const queue = new QueueClient(connectionString, 'jobs');
      const { receivedMessageItems } = await queue.receiveMessages({ numberOfMessages: 10 });
      expect(receivedMessageItems.map(({ messageText }) => Buffer.from(messageText, 'base64').toString())).toEqual([
        '{"operation":"ä"}',
      ]);
      expect(receivedMessageItems[0]?.expiresOn.getUTCFullYear()).toBe(9999);
      // Received and hidden: both are still in the queue.
      expect(await storage.queueLengths.length('jobs')).toBe(2);
      expect(await storage.queueLengths.length('jobs-poison')).toBe(0);
    });
  });

  describe('files', () => {
    test.each(['a b.txt', 'ü/日本 🚢.txt', 'a%20b?#&+=.txt'])('a file may have the name %j', async (name) => {
      const { files } = storage;
      async function* content(): AsyncGenerator<Uint8Array> {
        yield Buffer.from(name);
      }
      await files.put('source', name, content());
      const chunks: Uint8Array[] = [];
      for await (const chunk of files.open('source', name)) chunks.push(chunk);
      expect(Buffer.concat(chunks).toString()).toBe(name);
      const listed: string[] = [];
      for await (const blob of files.list('source', name.slice(0, 2))) listed.push(blob.name);
      expect(listed).toEqual([name]);
    });

    test('if two write one blob at once, the slower one gets a transient error', async () => {
      const { files } = storage;
      const piece = Buffer.alloc(1024 * 1024);
      async function* overtaken(): AsyncGenerator<Uint8Array> {
        // More than fits in memory, so that blocks wait for their commit.
        for (let count = 0; count < 20; count += 1) yield piece;
        await files.put('target', 'shared', oneByte());
        yield piece;
      }
      async function* oneByte(): AsyncGenerator<Uint8Array> {
        yield Buffer.from('x');
      }
      await expect(files.put('target', 'shared', overtaken())).rejects.toMatchObject({
        code: 'STORAGE_UNAVAILABLE',
        transient: true,
      });
      expect(await files.sizeOf('target', 'shared')).toBe(1);
    });
  });

  describe('documents', () => {
    test.each(['', 'a//b', 'a/', '../a', 'a/..', 'a.', 'a\\b', 'a\nb', 'a\u2028b', '\ud800', 'x'.repeat(1025)])(
      'the name %j is refused',
      async (name) => {
        const refused = { code: 'DOCUMENT_NAME_INVALID' };
        await expect(storage.documents.get('documents', name)).rejects.toMatchObject(refused);
        await expect(storage.documents.put('documents', name, new Uint8Array())).rejects.toMatchObject(refused);
      },
    );

    test('a document of over 64 MiB is refused', async () => {
      const bytes = new Uint8Array(64 * 1024 * 1024 + 1);
      await expect(storage.documents.put('documents', 'large', bytes)).rejects.toMatchObject({
        code: 'DOCUMENT_TOO_LARGE',
      });
    });
  });

  describe('leases', () => {
    test('a lease that somebody else took is reported as lost', async () => {
      const service = BlobServiceClient.fromConnectionString(connectionString);
      const held = await blobLease(service, { renewEveryMs: 50 }).acquire('subject');
      const lost = new Promise<unknown>((resolve) => {
        held?.signal.addEventListener('abort', () => {
          resolve(held.signal.reason);
        });
      });
      const name = createHash('sha256').update('subject').digest('hex');
      const blob = service.getContainerClient('leases').getBlobClient(name);
      await blob.getBlobLeaseClient().breakLease(0);
      const next = await storage.lease.acquire('subject', { waitMs: 10_000 });
      expect(await lost).toMatchObject({ code: 'LEASE_LOST' });
      await held?.release();
      expect(await storage.lease.acquire('subject')).toBeUndefined();
      await next?.release();
    });
  });

  describe('lost answers', () => {
    test('after a lost answer the second request gets the lease', async () => {
      const proxy = await startStorageProxy(connectionString, 'Blob');
      const { lease } = createStorage({ connectionString: proxy.connectionString });
      const first = await lease.acquire('flaky');
      await first?.release();
      proxy.loseAnswerTo('PUT');
      const held = await lease.acquire('flaky');
      expect(proxy.lost).toBe(1);
      expect(held).toBeDefined();
      await held?.release();
      proxy.stop();
    });

    test('after a lost answer the row counts as written by another writer', async () => {
      const proxy = await startStorageProxy(connectionString, 'Table');
      const { runs } = createStorage({ connectionString: proxy.connectionString });
      const row = samplePromotion();
      proxy.loseAnswerTo('POST');
      expect(await runs.insertPromotion(row)).toBe(false);
      const read = await runs.getPromotion(row.id);
      expect(read?.value).toEqual(row);
      proxy.loseAnswerTo('POST');
      expect(await runs.replacePromotion({ ...row, generation: 2 }, read?.version ?? '')).toBe(false);
      expect((await runs.getPromotion(row.id))?.value.generation).toBe(2);
      proxy.loseAnswerTo('POST');
      expect(await runs.claimJob('job', 'run-1')).toBe('run-1');
      expect(proxy.lost).toBe(3);
      proxy.stop();
    });
  });

  describe('a storage account with a problem', () => {
    const code = async (work: Promise<unknown>): Promise<unknown> =>
      work.then(
        () => undefined,
        (error: unknown) => error,
      );

    test('missing tables, containers and queues are reported as missing', async () => {
      const empty = createStorage({ connectionString: azurite.newAccount() });
      const missing = { code: 'STORAGE_MISSING', transient: false };
      expect(await code(empty.runs.getRun('x'))).toMatchObject(missing);
      expect(await code(empty.runs.insertPromotion(samplePromotion()))).toMatchObject(missing);
      expect(await code(empty.runs.listRuns())).toMatchObject(missing);
      expect(await code(empty.documents.get('documents', 'x'))).toMatchObject(missing);
      expect(await code(empty.documents.putVersioned('documents', 'x', new Uint8Array(), undefined))).toMatchObject(
        missing,
      );
      expect(await code(empty.documents.putIfAbsent('documents', 'x', new Uint8Array()))).toMatchObject(missing);
      expect(await code(empty.queues.send('jobs', 'x'))).toMatchObject(missing);
      expect(await code(empty.queueLengths.length('jobs'))).toMatchObject(missing);
      expect(await code(empty.lease.acquire('x'))).toMatchObject(missing);
    });

    test('a refused key is a configuration error that does not show the key', async () => {
      const key = Buffer.from('a-wrong-key').toString('base64');
      const wrong = createStorage({
        connectionString: connectionString.replace(/AccountKey=[^;]+/, `AccountKey=${key}`),
      });
      for (const work of [
        wrong.runs.getRun('x'),
        wrong.documents.get('documents', 'x'),
        wrong.queues.send('jobs', 'x'),
      ]) {
        const error = await code(work);
        expect(error).toMatchObject({ code: 'STORAGE_DENIED', transient: false });
        expect((error as Error).cause).toBeUndefined();
        expect(JSON.stringify(error)).not.toMatch(/SharedKey|AccountKey/);
      }
    });

    test('an account that gives no answer is a transient error', async () => {
      const away = createStorage(
        { connectionString: connectionString.replaceAll(/http:\/\/[^/]+/g, 'http://127.0.0.1:1') },
        { maxRetries: 0 },
      );
      const unavailable = { code: 'STORAGE_UNAVAILABLE', transient: true };
      expect(await code(away.runs.getRun('x'))).toMatchObject(unavailable);
      expect(await code(away.runs.listRuns())).toMatchObject(unavailable);
      expect(await code(away.runs.insertPromotion(samplePromotion()))).toMatchObject(unavailable);
      expect(await code(away.documents.get('documents', 'x'))).toMatchObject(unavailable);
      expect(await code(away.queues.send('jobs', 'x'))).toMatchObject(unavailable);
      expect(await code(away.lease.acquire('x'))).toMatchObject(unavailable);
    });

    test('malformed settings are refused at once and not quoted', () => {
      const credential = { getToken: async () => null };
      const invalid = expect.objectContaining({
        code: 'STORAGE_SETTING_INVALID',
        message: expect.not.stringContaining('secret'),
      });
      expect(() => createStorage({ connectionString: 'secret' })).toThrow(invalid);
      expect(() => createStorage({ accountName: 'https://secret', credential })).toThrow(invalid);
    });

    test('an identity without a token is reported as the cause', async () => {
      const credential = {
        async getToken(): Promise<never> {
          throw Object.assign(new Error('no identity'), { name: 'CredentialUnavailableError' });
        },
      };
      const denied = createStorage({ accountName: 'account', credential }, { maxRetries: 0 });
      const unavailable = { code: 'IDENTITY_UNAVAILABLE' };
      expect(await code(denied.runs.getRun('x'))).toMatchObject(unavailable);
      expect(await code(denied.documents.get('documents', 'x'))).toMatchObject(unavailable);
      expect(await code(denied.queues.send('jobs', 'x'))).toMatchObject(unavailable);
    });
  });
});
