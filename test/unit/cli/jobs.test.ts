import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { run } from '../../../src/cli/run.js';
import { createMemoryIo, type MemoryIoOptions } from '../../support/memory-io.js';
import { shortPauses } from '../../support/short-pauses.js';

shortPauses();

interface Asked {
  method: string;
  path: string;
  key: string | undefined;
  body: string;
}
type Answer = [status: number, body: unknown];

let server: Server;
let url: string;
let asked: Asked[];
/** What the app answers, by method and path; the last of several stays. */
let answers: Record<string, Answer[]>;
let folder: string;

beforeEach(async () => {
  asked = [];
  folder = await mkdtemp(join(tmpdir(), 'acr-promoter-jobs-'));
  server = createServer((request, response) => {
    void text(request).then((body) => {
      const { method = '', url: path = '', headers } = request;
      const key = headers['x-functions-key'];
      asked.push({ method, path, key: typeof key === 'string' ? key : undefined, body });
      const queue = answers[`${method} ${path}`] ?? [[404, '']];
      const [status, answer] = (queue.length > 1 ? queue.shift() : queue[0]) ?? [404, ''];
      const headersOut = status === 302 ? { location: String(answer) } : { 'content-type': 'application/json' };
      response.writeHead(status, headersOut).end(typeof answer === 'string' ? answer : JSON.stringify(answer));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterEach(async () => {
  server.closeAllConnections();
  server.close();
  await rm(folder, { recursive: true, force: true });
});

const SUBMITTED = { id: 'j1', runId: 'r1', statusUrl: '/api/runs/r1' };
const JOB = '{"operation":"tags","reference":"a.io/b"}';

function runRow(changes: Record<string, unknown> = {}): unknown {
  return {
    id: 'r1',
    state: 'running',
    input: { kind: 'job', runId: 'r1', job: { operation: 'tags', id: 'j1' } },
    steps: [],
    ...changes,
  };
}
const ENDED = { state: 'ended', result: { outcome: 'completed' }, output: { kind: 'inline', value: {} } };

async function jobs(argv: string[], options: MemoryIoOptions = {}) {
  const { io, out, err } = createMemoryIo({ ...options, env: { ACR_PROMOTER_APP: url, ...options.env } });
  const code = await run(['jobs', ...argv], io);
  return { code, out: out().toString(), err: err() };
}

describe('jobs submit', () => {
  test('sends the file unchanged, with the function key, and prints the ids of job and run', async () => {
    answers = { 'POST /api/jobs': [[202, SUBMITTED]] };
    const file = join(folder, 'job.json');
    await writeFile(file, JOB);
    const env = { ACR_PROMOTER_KEY: 'k1' };
    expect(await jobs(['submit', file], { env })).toEqual({ code: 0, out: 'Submitted j1\nRun r1\n', err: '' });
    expect(asked).toEqual([{ method: 'POST', path: '/api/jobs', key: 'k1', body: JOB }]);
    expect(JSON.parse((await jobs(['submit', '--format', 'json', file])).out)).toEqual(SUBMITTED);
  });

  test('reads the job from standard input, and prints the output with --wait', async () => {
    const step = { step: 'runOperation tags', state: 'working', text: '1 tags' };
    answers = {
      'POST /api/jobs': [[202, SUBMITTED]],
      'GET /api/jobs/r1': [
        [200, runRow({ steps: [step] })],
        [200, runRow({ steps: [{ ...step, state: 'done' }], ...ENDED })],
      ],
      'GET /api/runs/r1/output': [[200, { tags: ['v1'] }]],
    };
    const { code, out, err } = await jobs(['submit', '--wait', '-'], { input: JOB });
    expect(code).toBe(0);
    expect(JSON.parse(out)).toEqual({ tags: ['v1'] });
    expect(err).toBe(
      '  runOperation tags working: 1 tags\n  runOperation tags done: 1 tags\nj1: tags, completed, run r1\n',
    );
    expect(asked[0]?.body).toBe(JOB);
  });

  test('prints every problem once: those that the message has no room for are printed before it', async () => {
    const names = ['id', 'source', 'a', 'b', 'c', ''];
    const problems = names.map((path) => ({ path, message: 'missing' }));
    const error = {
      code: 'JOB_INVALID',
      message: 'The job is malformed',
      remedy: 'Set right what is listed.',
      problems,
    };
    answers = { 'POST /api/jobs': [[400, { error }]] };
    const { code, err } = await jobs(['submit', '-'], { input: '{}' });
    expect(code).toBe(1);
    expect(err).toContain('c: missing\njob: missing\nError: The job is malformed (JOB_INVALID)');
    expect(err).toContain('Set right what is listed.');
    answers = {
      'POST /api/jobs': [
        [
          400,
          {
            error: {
              ...error,
              message: 'The job is malformed: id: missing; source: missing',
              problems: problems.slice(0, 2),
            },
          },
        ],
      ],
    };
    expect((await jobs(['submit', '-'], { input: '{}' })).err.match(/id: missing/g)).toHaveLength(1);
  });

  test.each<[string, string[], MemoryIoOptions, string]>([
    ['no app', ['submit', '-'], { env: { ACR_PROMOTER_APP: '' } }, 'APP_MISSING'],
    ['an app over plain HTTP', ['submit', '--app', 'http://app.example', '-'], {}, 'APP_INVALID'],
    ['a key in its address', ['submit', '--app', 'https://app.example/?code=k1', '-'], {}, 'APP_INVALID'],
    ['a file that is not there', ['submit', 'none.json'], {}, '(FILE_UNREADABLE)\nName a file'],
    ['a timeout that is none', ['submit', '--timeout', 'soon', '-'], {}, 'OPTION_INVALID'],
    ['no file', ['submit'], {}, 'requires exactly 1 argument'],
  ])('%s: nothing is sent', async (_what, argv, options, said) => {
    answers = {};
    const { code, err } = await jobs(argv, { input: JOB, ...options });
    expect(code).toBe(1);
    expect(err).toContain(said);
    expect(err).not.toContain('k1');
    expect(asked).toEqual([]);
  });
});

describe('an unexpected answer of the app is an error', () => {
  test.each<[string, Answer, string]>([
    ['a key that it does not take', [401, ''], 'APP_DENIED'],
    ['that it failed', [500, 'oh'], 'APP_FAILED'],
    ['something else', [200, { hello: true }], 'APP_ANSWER_INVALID'],
    ['no JSON', [200, '<html>'], 'APP_ANSWER_INVALID'],
    ['somewhere else', [302, 'http://127.0.0.1:9/'], 'APP_UNREACHABLE'],
    ['an error of its own', [404, { error: { code: 'JOB_UNKNOWN', message: 'no job j1' } }], 'JOB_UNKNOWN'],
  ])('%s', async (_what, answer, code) => {
    answers = { 'GET /api/jobs/j1': [answer] };
    const { code: exit, err } = await jobs(['status', 'j1'], { env: { ACR_PROMOTER_KEY: 'k1' } });
    expect(exit).toBe(1);
    expect(err).toContain(`(${code})`);
    expect(err).not.toContain('k1');
  });

  test('nothing', async () => {
    answers = {};
    server.close();
    expect((await jobs(['status', 'j1'])).err).toContain('(APP_UNREACHABLE)');
  });
});

test('jobs status', async () => {
  const steps = [{ step: 'beginJob', state: 'done', text: '' }];
  answers = { 'GET /api/jobs/a%3Ab': [[200, runRow({ steps })]] };
  expect(await jobs(['status', 'a:b'])).toEqual({
    code: 0,
    out: 'j1: tags, running, run r1\n  beginJob done\n',
    err: '',
  });
});

describe('jobs wait', () => {
  test('prints a text output unquoted', async () => {
    answers = {
      'GET /api/jobs/j1': [[200, runRow(ENDED)]],
      'GET /api/runs/r1/output': [[200, JSON.stringify('a tree\n└── of it')]],
    };
    expect((await jobs(['wait', 'j1'])).out).toBe('a tree\n└── of it\n');
  });

  test('a failed job is an error, and its output is printed first', async () => {
    const result = { outcome: 'refused', code: 'EVIDENCE_MISSING', reason: 'no signature', remedy: 'Sign it.' };
    answers = {
      'GET /api/jobs/j1': [[200, runRow({ ...ENDED, result })]],
      'GET /api/runs/r1/output': [[200, { passed: false }]],
    };
    const { code, out, err } = await jobs(['wait', 'j1']);
    expect(code).toBe(1);
    expect(JSON.parse(out)).toEqual({ passed: false });
    expect(err).toContain('Error: no signature (EVIDENCE_MISSING)\nSign it.');
  });

  test('--timeout ends the wait', async () => {
    answers = { 'GET /api/jobs/j1': [[200, runRow()]] };
    const { code, err } = await jobs(['wait', '--timeout', '1', 'j1']);
    expect(code).toBe(1);
    expect(err).toContain('(WAIT_TIMEOUT)');
  });

  test('an interruption ends the wait', async () => {
    answers = { 'GET /api/jobs/j1': [[200, runRow()]] };
    expect((await jobs(['wait', 'j1'], { signal: AbortSignal.timeout(200) })).code).toBe(130);
  });

  test('control characters are replaced', async () => {
    const steps = [{ step: 'x', state: 'done', text: '\u001b[2Jgone' }];
    answers = { 'GET /api/jobs/j1': [[200, runRow({ steps })]] };
    expect((await jobs(['status', 'j1'])).out).toContain('?[2Jgone');
  });
});
