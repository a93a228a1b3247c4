import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { parseJob, parseJobMessage } from '../../../src/operations/parse-job.js';
import { codeOf, errorOf, problemPaths } from '../../support/codes.js';

const from = { messageId: 'message-1' };
const DIGEST = `sha256:${'a'.repeat(64)}`;
const parse = (value: unknown) => parseJob(value, from);

describe('parseJob', () => {
  test('parses a promote job', () => {
    const source = 'localhost:5100/samples/app:v1';
    expect(parse({ operation: 'promote', source })).toEqual({ operation: 'promote', id: 'message-1', source });
    expect(parse({ operation: 'promote', id: 'mine.1', source })).toEqual({
      operation: 'promote',
      id: 'mine.1',
      source,
    });
  });

  test('parses a copy job, which includes referrers by default', () => {
    const job = { operation: 'copy', source: `a.io/b@${DIGEST}`, destination: 'c.io/d/e:v1' };
    expect(parse(job)).toEqual({ ...job, id: 'message-1', recursive: true });
    expect(parse({ ...job, recursive: false })).toMatchObject({ recursive: false });
    expect(parse({ ...job, destination: 'c.io/d' })).toMatchObject({ destination: 'c.io/d' });
    expect(parse({ ...job, destination: `c.io/d@${DIGEST}` })).toMatchObject({ destination: `c.io/d@${DIGEST}` });
    expect(parse({ ...job, destination: 'c.io/d', tags: [] })).toMatchObject({ tags: [] });
    expect(parse({ ...job, source: `a.io/b:v1@${DIGEST}` })).toMatchObject({ source: `a.io/b:v1@${DIGEST}` });
  });

  test.each<[string, unknown, string[]]>([
    ['no object', 'promote', ['operation']],
    ['a list', [], ['operation']],
    ['no operation', { source: 'a.io/b:v1' }, ['operation']],
    ['promote without a source', { operation: 'promote' }, ['source']],
    ['promote of a digest', { operation: 'promote', source: `a.io/b@${DIGEST}` }, ['source']],
    ['promote of a tag at a digest', { operation: 'promote', source: `a.io/b:v1@${DIGEST}` }, ['source']],
    ['promote of a repository', { operation: 'promote', source: 'a.io/b' }, ['source']],
    ['copy of a repository', { operation: 'copy', source: 'a.io/b', destination: 'c.io/d:v1' }, ['source']],
    ['an id with a slash', { operation: 'promote', id: 'a/b', source: 'a.io/b:v1' }, ['id']],
    ['an unknown field', { operation: 'promote', source: 'a.io/b:v1', sorce: 1 }, ['']],
    [
      'all at once',
      { operation: 'copy', id: '', source: 'A.io/B:v1', destination: 3, recursive: 'yes' },
      ['id', 'source', 'destination', 'recursive'],
    ],
  ])('refuses %s as malformed', (_what, job, paths) => {
    expect(codeOf(() => parse(job))).toBe('JOB_INVALID');
    expect(problemPaths(() => parse(job))).toEqual(paths);
  });

  test.each(['Promote', 'toString', '__proto__', '', 'cp'])('refuses %j as an unknown operation', (operation) => {
    expect(codeOf(() => parse({ operation }))).toBe('OPERATION_UNKNOWN');
  });

  test.each<[string, Record<string, unknown>, string]>([
    ['a password', { password: 'hunter2!' }, 'password'],
    ['an access token', { accessToken: 'hunter2!' }, 'accessToken'],
    ['in snake case', { refresh_token: 'hunter2!' }, 'refresh_token'],
    ['deep down', { options: [{ from: { 'Client-Secret': 'hunter2!' } }] }, 'options.0.from.Client-Secret'],
    ['that is no text', { token: { value: ['hunter2!'] } }, 'token'],
    ['under an operation that there isn’t', { operation: 'login', token: 'hunter2!' }, 'token'],
    ['userinfo in the source', { source: 'me:hunter2!@a.io/b:v1' }, 'source'],
    ['a bare token in the destination', { destination: 'hunter2!@a.io/b:v1' }, 'destination'],
    ['userinfo in a URL', { note: 'https://me:hunter2!@a.io/b' }, 'note'],
    ['a shared access signature', { note: 'https://a.blob.core.windows.net/b?sv=1&sig=hunter2!' }, 'note'],
    ['a private key', { note: '-----BEGIN EC PRIVATE KEY-----\nhunter2!' }, 'note'],
    ['a bearer token', { annotations: { a: 'Bearer eyJhunter2.x.y' } }, 'annotations.a'],
    ['a connection string', { annotations: { a: 'AccountName=x;AccountKey=hunter2hunter2==' } }, 'annotations.a'],
    ['a bare signature', { annotations: { a: 'sv=1;sig=hunter2hunter2hunter2%3D' } }, 'annotations.a'],
    [
      'a private key in bytes',
      { files: [{ path: 'k', base64: Buffer.from('-----BEGIN PRIVATE KEY-----\nhunter2').toString('base64') }] },
      'files.0.base64',
    ],
  ])('refuses a job with a secret: %s', (_what, changes, path) => {
    const job = { operation: 'copy', source: 'a.io/b:v1', destination: 'c.io/d:v1', ...changes };
    const error = errorOf(() => parse(job));
    expect(error?.code).toBe('JOB_HOLDS_SECRET');
    expect(problemPaths(() => parse(job))[0]).toBe(path);
    expect(JSON.stringify([error, error?.details, error?.message, error?.remedy])).not.toContain('hunter2');
  });

  test.each<[string, unknown, string[]]>([
    [
      'fields',
      { operation: 'copy', source: 'B', recursive: 1, password: 'hunter2!' },
      ['password', 'source', 'destination', 'recursive'],
    ],
    [
      'where the secret stood',
      { operation: 'copy', source: 'me:hunter2!@a.io/b', destination: 3 },
      ['source', 'destination'],
    ],
    ['the operation', { operation: 'login', token: 'hunter2!' }, ['token', 'operation']],
    ['no operation', { token: 'hunter2!' }, ['token', 'operation']],
    ['nothing', { operation: 'resolve', reference: 'a.io/b:v1', password: 'hunter2!' }, ['password']],
  ])('reports all other problems of a job with a secret, without the secret: %s', (_what, job, paths) => {
    const error = errorOf(() => parse(job));
    expect(error?.code).toBe('JOB_HOLDS_SECRET');
    expect(problemPaths(() => parse(job))).toEqual(paths);
    expect(JSON.stringify([error, error?.details, error?.message])).not.toContain('hunter2');
  });

  test('accepts names and addresses that are not secrets', () => {
    const job = {
      operation: 'attach',
      credential: 'production',
      artifactType: 'doc/example',
      annotations: { author: 'me@example.com', 'org.example.tokens': '3', text: 'Bearer authentication; sig=none' },
      reference: `a.io/b:v1@${DIGEST}`,
    };
    expect(parse(job)).toEqual({ ...job, id: 'message-1', files: [] });
  });

  test('never returns a secret in the error', () => {
    const secret = fc.stringMatching(/^[A-Za-z0-9]{24}$/).map((text) => `S3cr3t${text}`);
    const key = fc.constantFrom('password', 'token', 'Secret', 'ACCESS_TOKEN', 'registryPassword', 'api-key');
    const tree = fc.tuple(secret, key, fc.array(fc.constantFrom('a', 'b', '0'), { maxLength: 6 }));
    fc.assert(
      fc.property(tree, ([value, name, path]) => {
        const job = path.reduce<Record<string, unknown>>((inner, step) => ({ [step]: inner }), { [name]: value });
        const error = errorOf(() => parse({ operation: 'promote', source: 'a.io/b:v1', ...job }));
        expect(error?.code).toBe('JOB_HOLDS_SECRET');
        expect(JSON.stringify([error, error?.message])).not.toContain(value);
      }),
    );
  });

  test('returns a job or an error with a code for any input', () => {
    fc.assert(
      fc.property(fc.anything({ maxDepth: 4 }), (value) => {
        expect(codeOf(() => parse(value))).toMatch(/^(?:JOB_|OPERATION_)[A-Z_]+$/);
      }),
    );
    const deep = JSON.parse(`${'{"a":'.repeat(5000)}1${'}'.repeat(5000)}`) as unknown;
    expect(codeOf(() => parse({ operation: 'promote', source: 'a.io/b:v1', deep }))).toBe('JOB_INVALID');
  });
});

describe('parseJobMessage', () => {
  const job = { operation: 'promote', source: 'a.io/b:v1' };

  test('keeps the first message id as the job’s id', () => {
    const retry = { firstMessageId: 'first', firstAt: '2026-05-01T00:00:00.000Z', attempt: 2 };
    expect(parseJobMessage({ retry, message: job }, from)).toEqual({ job: { ...job, id: 'first' }, retry });
    expect(parseJobMessage(JSON.stringify(job), from)).toEqual({ job: { ...job, id: 'message-1' } });
  });

  test('refuses text that is not JSON', () => {
    expect(codeOf(() => parseJobMessage('promote it', from))).toBe('MESSAGE_INVALID');
  });
});
