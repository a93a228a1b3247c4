import { InvocationContext } from '@azure/functions';
import { beforeEach, describe, expect, test } from '@jest/globals';
import { handleMessage, messageOf } from '../../../src/functions/triggers/message.js';
import { parseJobMessage } from '../../../src/inbox/job.js';
import {
  ConfigurationError,
  InputError,
  IntegrityError,
  PolicyError,
  RegistryError,
  TransportError,
} from '../../../src/oci/index.js';
import { memoryDocuments, memoryQueues, type MemoryDocuments, type MemoryQueues } from '../runs/memory-ports.js';

const JOB = { operation: 'promote', source: 'r.azurecr.io/samples/app:v1' };
const START_MS = Date.parse('2026-01-01T00:00:00Z');
const DAY_MS = 24 * 3_600_000;

let queues: MemoryQueues;
let documents: MemoryDocuments;
let nowMs: number;
let warnings: string[];

beforeEach(() => {
  queues = memoryQueues();
  documents = memoryDocuments();
  nowMs = START_MS;
  warnings = [];
});

function context(id = 'm1', insertedMs = nowMs): InvocationContext {
  return new InvocationContext({
    functionName: 'onJobMessage',
    invocationId: 'i1',
    logHandler: (_level, ...args) => void warnings.push(args.join(' ')),
    triggerMetadata: { id, insertionTime: new Date(insertedMs).toISOString() },
  });
}

/** One delivery; @returns the jobs that came to be handled. */
async function deliver(raw: unknown, failure?: unknown, at = context()): Promise<unknown[]> {
  const handled: unknown[] = [];
  await handleMessage(
    { queues, documents, now: () => new Date(nowMs) },
    'jobs',
    raw,
    at,
    (value) => parseJobMessage(value, messageOf(at)),
    async ({ job }) => {
      handled.push(job);
      if (failure !== undefined) throw failure;
    },
  );
  return handled;
}
const sent = (): { queue: string; delaySeconds: number; body: Record<string, unknown> }[] =>
  queues.sent.map(({ queue, delaySeconds, text }) => ({
    queue,
    delaySeconds,
    body: JSON.parse(text) as Record<string, unknown>,
  }));

test('a message that can be handled leaves nothing behind', async () => {
  expect(await deliver(JOB)).toEqual([expect.objectContaining({ operation: 'promote', id: 'm1' })]);
  expect(queues.sent).toEqual([]);
});

describe('what can never be handled', () => {
  test.each([
    ['no JSON', '{', 'MESSAGE_INVALID'],
    ['no job', { hello: 1 }, 'JOB_INVALID'],
    ['an unknown operation', { operation: 'delete everything' }, 'OPERATION_UNKNOWN'],
    ['a malformed reference', { ...JOB, source: 'NOT A REFERENCE' }, 'JOB_INVALID'],
  ])('%s: kept at the first try, with its reason', async (_name, raw, code) => {
    expect(await deliver(raw)).toEqual([]);
    expect(sent()).toEqual([
      { queue: 'jobs-poison', delaySeconds: 0, body: { code, reason: expect.any(String), original: raw } },
    ]);
    expect(warnings.join()).toContain(code);
  });

  test('is kept without the secret that it holds', async () => {
    await deliver({ ...JOB, password: 'hunter2' });
    expect(sent()[0]?.body).toMatchObject({ code: 'JOB_HOLDS_SECRET' });
    expect(JSON.stringify(queues.sent) + warnings.join()).not.toContain('hunter2');
  });

  test.each([
    '{"operation":"resolve","password":"hunter2secret"',
    '{"operation":"resolve","password":"hun\\"hunter2secret',
    '"{\\"operation\\":\\"resolve\\",\\"token\\":\\"hunter2secret\\"',
    'operation=resolve token=hunter2secret',
    'operation resolve Authorization: Basic hunter2secret',
    '{"operation":"resolve","secret":["hunter2secret"]',
    '{"operation":"resolve","note":"-----BEGIN PRIVATE KEY-----\\nhunter2secret',
    '{"operation":"resolve","note":"Bearer eyJhunter2secret"',
    '{"operation":"resolve","note":"AccountKey=hunter2secret"',
    '{"operation":"resolve","source":"me:hunter2secret@a.io/b:v1"',
  ])('nor with the secret in what is no JSON: %s', async (raw) => {
    await deliver(raw);
    expect(sent()[0]?.body).toMatchObject({ code: 'MESSAGE_INVALID', original: expect.stringContaining('resolve') });
    expect(JSON.stringify(queues.sent) + warnings.join()).not.toContain('hunter2');
  });

  test('and is too large for a message: a document', async () => {
    const raw = { operation: 'x', more: 'y'.repeat(60_000) };
    await deliver(raw);
    const name = sent()[0]?.body.originalDocument;
    expect(JSON.parse(Buffer.from(documents.kept.get(`dead-letters/${String(name)}`) ?? '').toString())).toEqual(raw);
  });

  test.each([
    new InputError('REFERENCE_INVALID', 'the destination is no reference'),
    new PolicyError('REGISTRY_NOT_ALLOWED', 'not that one'),
  ])('and shows it only when it is handled: $code', async (failure) => {
    await deliver(JOB, failure);
    expect(sent()).toEqual([
      {
        queue: 'jobs-poison',
        delaySeconds: 0,
        body: { code: failure.code, reason: failure.message, original: JOB },
      },
    ]);
  });
});

describe('what cannot be handled now', () => {
  const denied = { method: 'GET', url: 'https://r', status: 403, registryCodes: ['DENIED'] };
  test.each([
    ['rules that are malformed', new InputError('RULES_INVALID', 'line 3')],
    ['rules that feed each other', new InputError('RULES_CYCLE', 'a -> b -> a')],
    ['rules that are not there', new ConfigurationError('RULES_UNREADABLE', 'gone')],
    ['a store that is down', new TransportError('STORAGE_UNAVAILABLE', 'down')],
    ['a registry that refuses us', new RegistryError('denied', denied)],
    ['bytes that came broken', new IntegrityError('DIGEST_MISMATCH', 'not what it should be')],
    ['a bug', new TypeError('undefined is not a function')],
  ])('%s: put back, with the first id and time', async (_name, failure) => {
    await deliver(JOB, failure);
    expect(sent()).toEqual([
      {
        queue: 'jobs',
        delaySeconds: 30,
        body: {
          message: JOB,
          retry: { firstMessageId: 'm1', firstAt: new Date(START_MS).toISOString(), attempt: 1 },
        },
      },
    ]);
  });

  test('again and again, at growing pauses, for a day; then kept, with the last reason', async () => {
    let raw: unknown = JOB;
    const pauses: number[] = [];
    for (let delivery = 2; delivery < 300; delivery += 1) {
      await deliver(raw, new TransportError('STORAGE_UNAVAILABLE', `down at ${nowMs}`), context(`m${delivery}`));
      const last = queues.sent.at(-1);
      if (last?.queue !== 'jobs') break;
      pauses.push(last.delaySeconds);
      nowMs += last.delaySeconds * 1000;
      raw = JSON.parse(last.text);
    }
    expect(pauses.slice(0, 7)).toEqual([30, 60, 120, 240, 480, 900, 900]);
    expect(nowMs - START_MS).toBeGreaterThan(DAY_MS - 16 * 60_000);
    expect(nowMs - START_MS).toBeLessThanOrEqual(DAY_MS);
    expect(sent().at(-1)).toMatchObject({
      queue: 'jobs-poison',
      body: { code: 'STORAGE_UNAVAILABLE', reason: `down at ${nowMs}`, original: JOB },
    });
  });

  test('a job without an id keeps the one that it first came with', async () => {
    await deliver(JOB, new TransportError('STORAGE_UNAVAILABLE', 'down'));
    const again = JSON.parse(queues.sent[0]?.text ?? '') as unknown;
    expect(await deliver(again, undefined, context('m2'))).toEqual([expect.objectContaining({ id: 'm1' })]);
  });

  test('and cannot be put back either: the host tries again', async () => {
    queues.send = () => Promise.reject(new TransportError('STORAGE_UNAVAILABLE', 'queues are down too'));
    await expect(deliver(JOB, new TypeError('x'))).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' });
  });
});

test('the queue’s own id and time are a message’s, whatever the host calls them', () => {
  expect(messageOf(context('m7', START_MS))).toEqual({ messageId: 'm7', insertedAt: new Date(START_MS) });
  const bare = new InvocationContext({ functionName: 'f', invocationId: 'i9', triggerMetadata: {} });
  expect(messageOf(bare)).toMatchObject({ messageId: 'i9', insertedAt: expect.any(Date) });
});
