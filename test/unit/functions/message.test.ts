import { InvocationContext } from '@azure/functions';
import { beforeEach, describe, expect, test } from '@jest/globals';
import { handleMessage, messageOf } from '../../../src/functions/triggers/message.js';
import { parseJobMessage } from '../../../src/operations/parse-job.js';
import {
  ConfigurationError,
  InputError,
  IntegrityError,
  PolicyError,
  RegistryError,
  TransportError,
} from '../../../src/oci/index.js';
import { memoryDocuments, memoryQueues, type MemoryDocuments, type MemoryQueues } from '../../support/memory-ports.js';

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

test('a message that can be handled is removed', async () => {
  expect(await deliver(JOB)).toEqual([expect.objectContaining({ operation: 'promote', id: 'm1' })]);
  expect(queues.sent).toEqual([]);
});

const base64 = (text: string, encoding: BufferEncoding = 'utf8'): string =>
  Buffer.from(text, encoding).toString('base64');

describe('a message may be JSON or base64 of JSON', () => {
  const text = JSON.stringify(JOB);
  test.each<[string, unknown]>([
    ['parsed, as the host hands over what is JSON', JOB],
    ['as a text', text],
    ['after a byte order mark', `\uFEFF${text}`],
    ['in base64', base64(text)],
    ['in base64, after a byte order mark', base64(`\uFEFF${text}`)],
    ['in base64 over several lines', `${base64(text).replaceAll(/.{20}/g, '$&\n')}\n`],
    ['a JSON text of JSON, in base64', base64(JSON.stringify(text))],
  ])('%s', async (_how, raw) => {
    expect(await deliver(raw)).toEqual([{ ...JOB, id: 'm1' }]);
    expect(queues.sent).toEqual([]);
  });

  test('and keeps its first id when it is put back from base64', async () => {
    await deliver(base64(text), new TransportError('STORAGE_UNAVAILABLE', 'down'));
    expect(sent()).toMatchObject([{ queue: 'jobs', body: { message: JOB, retry: { firstMessageId: 'm1' } } }]);
    expect(await deliver(base64(queues.sent[0]?.text ?? ''), undefined, context('m2'))).toMatchObject([{ id: 'm1' }]);
  });

  // Base64 and JSON at once: as the host has parsed it, and as it hands over the text.
  test.each([1234, '1234', 'true', 'null', base64('1234'), base64('true')])('but %j is no message', async (raw) => {
    expect(await deliver(raw)).toEqual([]);
    expect(sent()).toMatchObject([{ queue: 'jobs-poison', body: { code: 'JOB_INVALID' } }]);
  });

  test('and anything else goes to the poison queue at the first try, decoded', async () => {
    for (const raw of ['promote it', base64('promote it'), base64('{"operation":')]) await deliver(raw);
    expect(sent().map(({ queue, body }) => [queue, body.code, body.original])).toEqual([
      ['jobs-poison', 'MESSAGE_INVALID', 'promote it'],
      ['jobs-poison', 'MESSAGE_INVALID', 'promote it'],
      ['jobs-poison', 'MESSAGE_INVALID', '{"operation":'],
    ]);
  });

  test('and binary content goes to the poison queue unchanged, unless it contains a secret', async () => {
    const bytes = Buffer.from([0xff, 0xfe, 0x00, 0xc3]).toString('base64');
    for (const raw of [bytes, base64('{"password":"hunter2"}', 'utf16le')]) await deliver(raw);
    expect(sent().map(({ body }) => [body.code, body.original])).toEqual([
      ['MESSAGE_INVALID', bytes],
      ['MESSAGE_INVALID', '(44 bytes that contain a secret, removed)'],
    ]);
  });
});

describe('a message that can never be handled', () => {
  test.each([
    ['no JSON', '{', 'MESSAGE_INVALID'],
    ['no job', { hello: 1 }, 'JOB_INVALID'],
    ['an unknown operation', { operation: 'delete everything' }, 'OPERATION_UNKNOWN'],
    ['a malformed reference', { ...JOB, source: 'NOT A REFERENCE' }, 'JOB_INVALID'],
    ['a wrapping of ours that is malformed', { retry: { attempt: 0 }, message: JOB }, 'MESSAGE_INVALID'],
  ])('%s: kept at the first try, with its reason', async (_name, raw, code) => {
    expect(await deliver(raw)).toEqual([]);
    expect(sent()).toEqual([
      { queue: 'jobs-poison', delaySeconds: 0, body: { code, reason: expect.any(String), original: raw } },
    ]);
    expect(warnings.join()).toContain(code);
  });

  test('is kept without its secret', async () => {
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
  ])('nor with the secret in what is no JSON, nor in its base64: %s', async (raw) => {
    await deliver(raw);
    await deliver(base64(raw));
    const kept = { code: 'MESSAGE_INVALID', original: expect.stringContaining('resolve') };
    expect(sent().map(({ body }) => body)).toEqual([expect.objectContaining(kept), expect.objectContaining(kept)]);
    expect(JSON.stringify(queues.sent) + warnings.join()).not.toContain('hunter2');
  });

  test('is kept without a secret in a text within JSON', async () => {
    const retry = { firstMessageId: 'm0', firstAt: new Date(START_MS).toISOString(), attempt: 1 };
    await deliver({ retry, message: '{"operation":"resolve","password":"hunter2"' });
    await deliver({ operation: 'resolve', note: 'the token=hunter2 of old' });
    expect(sent().map(({ body }) => body.code)).toEqual(['MESSAGE_INVALID', 'JOB_INVALID']);
    expect(JSON.stringify(queues.sent) + warnings.join()).not.toContain('hunter2');
  });

  test('may be nested too deeply to search it for secrets', async () => {
    const deep = JSON.parse(`${'['.repeat(30_000)}${']'.repeat(30_000)}`) as unknown;
    for (const raw of [deep, { ...JOB, deep }, { retry: {}, message: deep }]) await deliver(raw);
    expect(sent().map(({ body }) => body.code)).toEqual(['MESSAGE_INVALID', 'MESSAGE_INVALID', 'MESSAGE_INVALID']);
  });

  test('may be too large to put it back', async () => {
    const annotations = Object.fromEntries([1, 2, 3, 4, 5, 6].map((each) => [each, 'x'.repeat(8000)]));
    await deliver({ operation: 'push', reference: 'r.azurecr.io/a:v1', annotations }, new TypeError('not asked'));
    expect(sent()).toMatchObject([{ queue: 'jobs-poison', body: { code: 'JOB_TOO_LARGE' } }]);
  });

  test('is kept as a document if it is too large for a message', async () => {
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

describe('a message that cannot be handled yet', () => {
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

  test('is put back with growing pauses for a day, and then kept with the last reason', async () => {
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

  test('does not get more time if it claims a first time in the future', async () => {
    const firstAt = new Date(START_MS + 1000 * DAY_MS).toISOString();
    const raw = { retry: { firstMessageId: 'm0', firstAt, attempt: 1 }, message: JOB };
    await deliver(raw, new TransportError('STORAGE_UNAVAILABLE', 'down'));
    expect(sent()[0]?.body).toMatchObject({ retry: { firstAt: new Date(START_MS).toISOString() } });
  });

  test('of a job without an id keeps the job’s first id', async () => {
    await deliver(JOB, new TransportError('STORAGE_UNAVAILABLE', 'down'));
    const again = JSON.parse(queues.sent[0]?.text ?? '') as unknown;
    expect(await deliver(again, undefined, context('m2'))).toEqual([expect.objectContaining({ id: 'm1' })]);
  });

  test('is retried by the host if it cannot be put back', async () => {
    queues.send = () => Promise.reject(new TransportError('STORAGE_UNAVAILABLE', 'queues are down too'));
    await expect(deliver(JOB, new TypeError('x'))).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' });
  });
});

test('the id and time of a message come from the queue', () => {
  expect(messageOf(context('m7', START_MS))).toEqual({ messageId: 'm7', insertedAt: new Date(START_MS) });
  const bare = new InvocationContext({ functionName: 'f', invocationId: 'i9', triggerMetadata: {} });
  expect(messageOf(bare)).toMatchObject({ messageId: 'i9', insertedAt: expect.any(Date) });
});
