import { describe, expect, test } from '@jest/globals';
import { parseJob, parseJobMessage } from '../../../src/operations/parse-job.js';
import { newRunId } from '../../../src/rows/open-run.js';
import { codeOf, errorOf, problemPaths } from '../../support/codes.js';

// What somebody may write into the queue who wants more than a job may have. Each is refused by both doors with a code.

const from = { messageId: 'message-1' };
const HOST = 'a.azurecr.io';
const DIGEST = `sha256:${'a'.repeat(64)}`;
const resolve = { operation: 'resolve', reference: `${HOST}/app:v1` };
const push = { operation: 'push', reference: `${HOST}/app:v1` };

/** What JSON.parse makes of it, as the host does. */
function byBothDoors(text: string): (string | undefined)[] {
  return [() => parseJobMessage(text, from), () => parseJob(JSON.parse(text), from)].map(codeOf);
}

describe('an invalid name is refused', () => {
  test.each([
    '../app:v1',
    `${HOST}/../app:v1`,
    `${HOST}/app/../../v2/_catalog:v1`,
    `${HOST}/./app:v1`,
    `${HOST}//app:v1`,
    `${HOST}/App:v1`,
    `${HOST}/app%2f..%2fother:v1`,
    `${HOST}/app\u0000:v1`,
    `${HOST}/app\n:v1`,
    `${HOST}/аpp:v1`, // a Cyrillic letter
    `${HOST}/app:v1/../../x`,
    `${HOST}/app:v1?n=1`,
    `${HOST}/app:v1#x`,
    `${HOST}/app@sha256:${'A'.repeat(64)}`,
    `${HOST}/app@md5:${'a'.repeat(32)}`,
    `${HOST}./app:v1`,
    `${HOST}:0/app:v1`,
    `${HOST}:99999/app:v1`,
    `${HOST}:443:443/app:v1`,
    `https://${HOST}/app:v1`,
    `//${HOST}/app:v1`,
    `${HOST}#.evil.example/app:v1`,
    `${HOST}%00.evil.example/app:v1`,
    'а.azurecr.io/app:v1',
    '[::1/app:v1',
    '[::1%25eth0]/app:v1',
    '[fe80::1%eth0]:5000/app:v1',
    '0x7f.1/app:v1',
    '2130706433/app:v1',
    '169.254.1/app:v1',
    'x'.repeat(300) + '/app:v1',
    `${HOST}/${'a/'.repeat(200)}a:v1`,
  ])('%j', (reference) => {
    const text = JSON.stringify({ ...resolve, reference });
    expect(byBothDoors(text)).toEqual(['JOB_INVALID', 'JOB_INVALID']);
    expect(problemPaths(() => parseJobMessage(text, from))).toEqual(['reference']);
  });

  test.each([
    `user@${HOST}/app:v1`,
    `${HOST}\\@evil.example/app:v1`,
    `user:word@${HOST}/app:v1`,
    `${HOST}:443@evil.example/app:v1`,
  ])('%j, because the text before @ may be a secret', (reference) => {
    expect(byBothDoors(JSON.stringify({ ...resolve, reference }))).toEqual(['JOB_HOLDS_SECRET', 'JOB_HOLDS_SECRET']);
  });

  test.each(['', '/', 'a b', 'a/b', '-a', '.a', 'ä', 'a\nb', 'a\u2028b', '../a', 'a'.repeat(129), 7, null, {}])(
    'the id %j',
    (id) => {
      const text = JSON.stringify({ ...resolve, id });
      expect(byBothDoors(text)).toEqual(['JOB_INVALID', 'JOB_INVALID']);
      expect(problemPaths(() => parseJobMessage(text, from))).toEqual(['id']);
    },
  );

  test.each(['../k', 'K', 'a/b', 'https://v.vault.azure.net/secrets/x', '__proto__', '', 'a'.repeat(64), 1, ['a']])(
    'the credential %j',
    (credential) => {
      expect(byBothDoors(JSON.stringify({ ...resolve, credential }))).toEqual(['JOB_INVALID', 'JOB_INVALID']);
    },
  );

  test.each([
    '../x',
    'a/../../x',
    './x',
    '/x',
    'x/',
    'a//b',
    'a\\..\\b',
    'a/.',
    'a.',
    '..%2fx'.replace('%2f', '/'),
    'a\u0000',
    'a\nb',
    'a\u007f',
    'a\u2028b',
    'a\ud800',
    'x'.repeat(600),
    '',
  ])('for the folder %j', (output) => {
    const pull = { operation: 'pull', reference: `${HOST}/app:v1`, output };
    const fetch = { operation: 'blob.fetch', reference: `${HOST}/app@${DIGEST}`, output };
    for (const job of [pull, fetch]) expect(byBothDoors(JSON.stringify(job))).toEqual(['JOB_INVALID', 'JOB_INVALID']);
  });
});

describe('hostile JSON is refused', () => {
  const key = (name: string): string => `{"operation":"resolve","reference":"${HOST}/app:v1","${name}":{"id":"x"}}`;

  test.each(['constructor', 'toString', 'hasOwnProperty', '\u0000', 'operation ', 'Operation'])(
    'a field %j that no job has',
    (name) => {
      expect(byBothDoors(key(JSON.stringify(name).slice(1, -1)))).toEqual(['JOB_INVALID', 'JOB_INVALID']);
      expect(Object.getOwnPropertyNames(Object.prototype)).not.toContain('id');
    },
  );

  test('if an annotation is called __proto__, but not if it is called constructor', () => {
    const annotated = (name: string): string =>
      `{"operation":"push","reference":"${HOST}/app:v1","annotations":{"${name}":"x"}}`;
    expect(byBothDoors(annotated('__proto__'))).toEqual(['MESSAGE_INVALID', 'JOB_INVALID']);
    expect(byBothDoors(key('__proto__'))).toEqual(['MESSAGE_INVALID', 'JOB_INVALID']);
    expect(byBothDoors(key('\\u005f_proto__'))).toEqual(['MESSAGE_INVALID', 'JOB_INVALID']);
    expect(parseJobMessage(annotated('constructor'), from).job).toMatchObject({ annotations: { constructor: 'x' } });
  });

  test('if it has a name twice, because parsers take the last value', () => {
    const text = `{"operation":"resolve","reference":"${HOST}/app:v1","reference":"${HOST}/other:v1"}`;
    const error = errorOf(() => parseJobMessage(Buffer.from(text).toString('base64'), from));
    expect(error?.code).toBe('JOB_INVALID');
    expect(error?.details).toMatchObject({ problems: [{ path: 'reference' }] });
    // Also if anybody wrapped it.
    const wrapped = { retry: { firstMessageId: 'm0', firstAt: '2026-05-01T00:00:00Z', attempt: 1 }, message: text };
    expect(codeOf(() => parseJobMessage(wrapped, from))).toBe('JOB_INVALID');
  });

  test.each(['1e999', '-1', '0', '1.5', '"2"', 'true', '65', '9007199254740993'])(
    'if it has the number %s',
    (concurrency) => {
      const text = `{"operation":"push","reference":"${HOST}/app:v1","concurrency":${concurrency}}`;
      expect(byBothDoors(text)).toEqual(['JOB_INVALID', 'JOB_INVALID']);
    },
  );

  test('if it is nested too deeply or too wide', () => {
    const deep = `${'['.repeat(20_000)}${']'.repeat(20_000)}`;
    expect(byBothDoors(deep)).toEqual(['MESSAGE_INVALID', 'JOB_INVALID']);
    expect(byBothDoors(`{"operation":"push","reference":"${HOST}/app:v1","files":${deep}}`)).toEqual([
      'MESSAGE_INVALID',
      'JOB_INVALID',
    ]);
    const wide = JSON.stringify({
      ...push,
      ...Object.fromEntries(Array.from({ length: 20_000 }, (_, at) => [`f${at}`, at])),
    });
    expect(byBothDoors(wide)).toEqual(['JOB_INVALID', 'JOB_INVALID']);
    expect(errorOf(() => parseJobMessage(wide, from))?.message.length).toBeLessThan(1000);
  });

  test('if it is longer than a queue message', () => {
    expect(codeOf(() => parseJobMessage(`"${'x'.repeat(1024 * 1024)}"`, from))).toBe('MESSAGE_INVALID');
  });

  test('and no name from the sender starts a line of the log', () => {
    const annotations = { 'a\nerror: all is lost\u2028': 1 };
    const error = errorOf(() => parseJob({ ...push, annotations, 'b\r\nc': 1 }, from));
    expect(error?.code).toBe('JOB_INVALID');
    expect([error?.message, JSON.stringify(error?.details)].join()).not.toMatch(/[\n\r\u2028]/);
  });
});

describe('a forged retry wrapper is refused', () => {
  const wrapped = (retry: Record<string, unknown>): unknown => ({
    retry: { firstMessageId: 'm0', firstAt: '2026-05-01T00:00:00Z', attempt: 1, ...retry },
    message: resolve,
  });

  test.each([
    { firstMessageId: '../jobs/other' },
    { firstMessageId: 'a\nrunId=forged' },
    { firstMessageId: 'x'.repeat(200) },
    { firstMessageId: '' },
    { firstAt: 'tomorrow' },
    { attempt: -1 },
    { attempt: 1e9 },
    { more: 1 },
  ])('for %j', (retry) => {
    expect(codeOf(() => parseJobMessage(wrapped(retry), from))).toBe('MESSAGE_INVALID');
  });

  test('within another wrapper', () => {
    expect(
      codeOf(() =>
        parseJobMessage(
          { retry: { firstMessageId: 'm', firstAt: '2026-05-01T00:00:00Z', attempt: 1 }, message: wrapped({}) },
          from,
        ),
      ),
    ).toBe('JOB_INVALID');
  });
});

test('a job id in the form of a run id is refused, wherever it comes from', () => {
  const job = { operation: 'tags', reference: 'a.io/b' };
  for (const nowMs of [0, Date.UTC(2026, 0), Date.UTC(9999, 0)]) {
    const runId = newRunId(nowMs);
    for (const parse of [() => parseJob({ ...job, id: runId }, from), () => parseJob(job, { messageId: runId })]) {
      expect(parse).toThrow(
        expect.objectContaining({
          code: 'JOB_INVALID',
          details: { problems: [{ path: 'id', message: expect.any(String) }] },
        }),
      );
    }
    expect(parseJob({ ...job, id: `${runId}x` }, from).id).toBe(`${runId}x`);
  }
  expect(parseJob(job, { messageId: '3e671687-395b-41f5-a30f-a58921a69b79' }).id).toMatch(/^3e67/);
});
