import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { run } from '../../../../src/cli/run.js';
import { JOB_OPERATIONS } from '../../../../src/operations/job-schema.js';
import { parseJob } from '../../../../src/operations/parse-job.js';
import { createMemoryIo } from '../../../support/memory-io.js';

const DIGEST = `sha256:${'a'.repeat(64)}`;
const APP = 'r.io/samples/app';
const base64 = (content: string): string => Buffer.from(content).toString('base64');

let server: Server;
let url: string;
let bodies: string[] = [];
let folder: string;
let before: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'acr-promoter-submit-'));
  await writeFile(join(folder, 'hi.txt'), 'hi');
  await writeFile(join(folder, 'large.bin'), Buffer.alloc(33 * 1024));
  await writeFile(join(folder, 'half.bin'), Buffer.alloc(16 * 1024));
  await writeFile(join(folder, 'other-half.bin'), Buffer.alloc(16 * 1024));
  await mkdir(join(folder, 'random'));
  await writeFile(join(folder, 'random', 'bytes'), randomBytes(33 * 1024));
  await writeFile(join(folder, 'notes.json'), '{"$manifest":{"a":"b"},"$config":{"c":"d"},"hi.txt":{"e":"f"}}');
  before = process.cwd();
  process.chdir(folder);
  server = createServer((request, response) => {
    void text(request).then((body) => {
      bodies.push(body);
      response.writeHead(202).end('{"id":"j1","runId":"r1","statusUrl":"/api/runs/r1"}');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterAll(async () => {
  process.chdir(before);
  server.closeAllConnections();
  server.close();
  await rm(folder, { recursive: true, force: true });
});

beforeEach(() => {
  bodies = [];
});

async function submit(
  argv: readonly string[],
  input: string | Uint8Array = '',
): Promise<{ code: number; out: string; err: string }> {
  const { io, out, err } = createMemoryIo({ input, env: { ACR_PROMOTER_APP: url } });
  const code = await run([...argv, '--submit'], io);
  return { code, out: out().toString(), err: err() };
}

const CASES: [argv: string[], job: Record<string, unknown>][] = [
  [['resolve', `${APP}:v1`], { operation: 'resolve', reference: `${APP}:v1` }],
  [
    ['discover', `${APP}:v1`, '--depth', '2', '--artifact-type', 'a/b'],
    { operation: 'discover', reference: `${APP}:v1`, depth: 2, artifactType: 'a/b', format: 'tree' },
  ],
  [['discover', `${APP}:v1`, '--format', 'json'], { operation: 'discover', reference: `${APP}:v1`, format: 'json' }],
  [['repo', 'tags', APP, '--exclude-digest-tags'], { operation: 'tags', reference: APP, excludeDigestTags: true }],
  [['repo', 'ls', 'r.io'], { operation: 'repos', registry: 'r.io' }],
  [
    ['repo', 'ls', 'r.io/samples', '--last', 'x'],
    { operation: 'repos', registry: 'r.io', namespace: 'samples', last: 'x' },
  ],
  [
    ['manifest', 'fetch', `${APP}:v1`, '--descriptor', '--platform', 'linux/arm64'],
    { operation: 'manifest.fetch', reference: `${APP}:v1`, descriptor: true, platform: 'linux/arm64' },
  ],
  [['manifest', 'fetch-config', `${APP}:v1`], { operation: 'manifest.fetchConfig', reference: `${APP}:v1` }],
  [
    ['cp', `${APP}:v1`, 'q.io/mirror/app:v2', '--exclude-artifact-type', 'a/b'],
    {
      operation: 'copy',
      source: `${APP}:v1`,
      destination: 'q.io/mirror/app:v2',
      recursive: false,
      excludeArtifactTypes: ['a/b'],
    },
  ],
  [
    ['copy', '-r', `${APP}:v1`, 'q.io/mirror/app'],
    { operation: 'copy', source: `${APP}:v1`, destination: 'q.io/mirror/app', tags: [], recursive: true },
  ],
  [
    ['copy', `${APP}:v1`, 'q.io/mirror/app:a,b,c'],
    { operation: 'copy', source: `${APP}:v1`, destination: 'q.io/mirror/app:a', tags: ['b', 'c'], recursive: false },
  ],
  [
    ['copy', `${APP}:v1`, `q.io/mirror/app@${DIGEST}`],
    { operation: 'copy', source: `${APP}:v1`, destination: `q.io/mirror/app@${DIGEST}`, recursive: false },
  ],
  [
    ['push', `${APP}@${DIGEST}`, 'hi.txt'],
    { operation: 'push', reference: `${APP}@${DIGEST}`, files: [{ path: 'hi.txt', base64: base64('hi') }] },
  ],
  [['tag', `${APP}:v1`, 'a', 'b'], { operation: 'tag', reference: `${APP}:v1`, tags: ['a', 'b'] }],
  [
    ['push', `${APP}:v1,v2`, './hi.txt:text/plain', 'docs/elsewhere.bin', '--artifact-type', 'a/b', '-a', 'k=v'],
    {
      operation: 'push',
      reference: `${APP}:v1`,
      tags: ['v2'],
      artifactType: 'a/b',
      annotations: { k: 'v' },
      files: [{ path: 'hi.txt', mediaType: 'text/plain', base64: base64('hi') }, { path: 'docs/elsewhere.bin' }],
    },
  ],
  [
    [
      'attach',
      '--artifact-type',
      'a/b',
      `${APP}:v1`,
      'hi.txt',
      '--annotation-file',
      'notes.json',
      '--concurrency',
      '2',
    ],
    {
      operation: 'attach',
      reference: `${APP}:v1`,
      artifactType: 'a/b',
      annotations: { a: 'b' },
      configAnnotations: { c: 'd' },
      concurrency: 2,
      files: [{ path: 'hi.txt', base64: base64('hi'), annotations: { e: 'f' } }],
    },
  ],
  [['pull', `${APP}:v1`], { operation: 'pull', reference: `${APP}:v1` }],
  [['pull', '-o', './download/', `${APP}:v1`], { operation: 'pull', reference: `${APP}:v1`, output: 'download' }],
  [
    ['pull', `${APP}:v1`, '-o', 'out', '-k', '--include-subject'],
    { operation: 'pull', reference: `${APP}:v1`, output: 'out', keepOldFiles: true, includeSubject: true },
  ],
  [
    ['manifest', 'push', `${APP}:v1,v2`, 'hi.txt', '--media-type', 'a/b'],
    {
      operation: 'manifest.push',
      reference: `${APP}:v1`,
      tags: ['v2'],
      mediaType: 'a/b',
      file: { path: 'hi.txt', base64: base64('hi') },
    },
  ],
  [['manifest', 'delete', '-f', `${APP}:v1`], { operation: 'manifest.delete', reference: `${APP}:v1` }],
  [
    ['manifest', 'index', 'create', `${APP}:multi,more`, 'amd64', DIGEST, '-a', 'k=v'],
    {
      operation: 'manifest.index.create',
      reference: `${APP}:multi`,
      tags: ['more'],
      manifests: ['amd64', DIGEST],
      annotations: { k: 'v' },
    },
  ],
  [
    ['manifest', 'index', 'update', `${APP}:multi`, '--add', 'v1', '--remove', DIGEST, '--tag', 't'],
    { operation: 'manifest.index.update', reference: `${APP}:multi`, add: ['v1'], remove: [DIGEST], tags: ['t'] },
  ],
  [['tag', `${APP}:v1`, `${APP}:a`, 'b'], { operation: 'tag', reference: `${APP}:v1`, tags: ['a', 'b'] }],
  [
    ['manifest', 'index', 'create', `${APP}:multi`, `${APP}:amd64`, `${APP}:arm64@${DIGEST}`],
    { operation: 'manifest.index.create', reference: `${APP}:multi`, manifests: ['amd64', DIGEST] },
  ],
  [
    ['manifest', 'index', 'update', `${APP}:multi`, '--add', `${APP}:v1`, '--merge', `${APP}:i`, '--tag', `${APP}:t`],
    { operation: 'manifest.index.update', reference: `${APP}:multi`, add: ['v1'], merge: ['i'], tags: ['t'] },
  ],
  [
    ['blob', 'fetch', `${APP}@${DIGEST}`, '-o', './b'],
    { operation: 'blob.fetch', reference: `${APP}@${DIGEST}`, output: 'b' },
  ],
  [['blob', 'fetch', `${APP}@${DIGEST}`, '-o', '-'], { operation: 'blob.fetch', reference: `${APP}@${DIGEST}` }],
  [
    ['blob', 'push', APP, 'hi.txt', '--media-type', 'a/b'],
    { operation: 'blob.push', reference: APP, file: { path: 'hi.txt', mediaType: 'a/b', base64: base64('hi') } },
  ],
  [
    ['blob', 'push', `${APP}@${DIGEST}`, 'elsewhere.bin', '--size', '7'],
    { operation: 'blob.push', reference: `${APP}@${DIGEST}`, size: 7, file: { path: 'elsewhere.bin' } },
  ],
  [['blob', 'delete', '-f', `${APP}@${DIGEST}`], { operation: 'blob.delete', reference: `${APP}@${DIGEST}` }],
];

test.each([
  ['manifest', `${APP}:v1`],
  ['blob', `${APP}@${DIGEST}`],
])('%s delete without --force is asked for, and nothing is sent without a yes', async (kind, reference) => {
  const { code, out } = await submit([kind, 'delete', reference]);
  expect(out).toBe(`Are you sure you want the app to delete ${reference}? [y/N] Operation cancelled.\n`);
  expect([code, bodies]).toEqual([0, []]);
});

test.each(CASES)('%j', async (argv, job) => {
  expect(await submit(argv)).toEqual({ code: 0, out: 'Submitted j1\nRun r1\n', err: '' });
  const [body = ''] = bodies;
  expect(JSON.parse(body)).toEqual(job);
  expect(parseJob(JSON.parse(body), { messageId: 'm' })).toMatchObject(job);
});

test('a job contains local files of up to 32 KiB in total', async () => {
  expect((await submit(['push', `${APP}:v1`, 'half.bin', 'other-half.bin'])).code).toBe(0);
  const job = parseJob(JSON.parse(bodies[0] ?? ''), { messageId: 'm' });
  expect(job).toMatchObject({ files: [{ path: 'half.bin' }, { path: 'other-half.bin' }] });
  expect(Buffer.byteLength(bodies[0] ?? '')).toBeLessThan(47 * 1024);
});

test('the file - of a job has the content of standard input', async () => {
  await submit(['blob', 'push', `${APP}@${DIGEST}`, '-', '--size', '3'], 'own');
  await submit(['manifest', 'push', `${APP}:v1`, '-'], '{}');
  expect(bodies.map((body) => JSON.parse(body) as unknown)).toMatchObject([
    { reference: `${APP}@${DIGEST}`, size: 3, file: { base64: base64('own') } },
    { reference: `${APP}:v1`, file: { base64: base64('{}') } },
  ]);
});

test('a file whose path is not a valid blob name gets another name in the job, and keeps its title', async () => {
  await mkdir('sub/a.md', { recursive: true });
  await writeFile('sub/b.md', 'inner');
  await writeFile('b.md', 'outer');
  process.chdir(join(folder, 'sub'));
  try {
    const title = (name: string): Record<string, string> => ({ 'org.opencontainers.image.title': name });
    const named = (path: string): string => `file-${createHash('sha256').update(path).digest('hex').slice(0, 12)}`;
    const absolute = join(folder, 'b.md');
    const files = ['../b.md', 'b.md', absolute, '..//hi.txt'];
    const config = ['--config', '../b.md:a/b', '--artifact-type', 'a/b', '--disable-path-validation'];
    expect((await submit(['push', `${APP}:v1`, ...files, ...config])).err).toBe('');
    const [body = ''] = bodies;
    expect(JSON.parse(body)).toEqual({
      operation: 'push',
      reference: `${APP}:v1`,
      artifactType: 'a/b',
      files: [
        { path: named('../b.md'), base64: base64('outer'), annotations: title('../b.md') },
        { path: 'b.md', base64: base64('inner') },
        { path: named(absolute), base64: base64('outer'), annotations: title(absolute) },
        { path: named('../hi.txt'), base64: base64('hi'), annotations: title('../hi.txt') },
      ],
      config: { path: named('../b.md'), mediaType: 'a/b', base64: base64('outer') },
    });
    expect(parseJob(JSON.parse(body), { messageId: 'm' })).toMatchObject({ operation: 'push' });
  } finally {
    process.chdir(folder);
  }
});

test('every operation that a verb has can be submitted', () => {
  const reached = new Set(CASES.map(([, { operation }]) => operation));
  expect(JOB_OPERATIONS.filter((each) => !reached.has(each))).toEqual(['promote', 'verify', 'sbom', 'sign']);
});

describe('an option or file that a job cannot have is refused, and nothing is sent', () => {
  test.each<[string[], string]>([
    [['resolve', `${APP}:v1`, '-u', 'me', '-p', 'hunter2!'], 'OPTION_NOT_IN_JOB'],
    [['resolve', `${APP}:v1`, '--plain-http'], 'OPTION_NOT_IN_JOB'],
    [['pull', '--oci-layout', 'folder:v1'], 'OPTION_NOT_IN_JOB'],
    [['push', `${APP}:v1`, 'hi.txt', '--export-manifest', 'm.json'], 'OPTION_NOT_IN_JOB'],
    [['push', `${APP}:v1`, 'large.bin'], 'FILE_TOO_LARGE'],
    [['push', `${APP}:v1`, 'half.bin', 'hi.txt', 'other-half.bin'], 'FILE_TOO_LARGE'],
    [['push', `${APP}:v1`, 'random'], 'FILE_TOO_LARGE'],
    [['push', `${APP}:v1`, 'hi.txt', '--config', 'random'], 'NOT_A_FILE'],
    [['blob', 'push', APP, 'random'], 'NOT_A_FILE'],
    [['push', `${APP}:v1`, '.'], 'FILE_TOO_LARGE'],
    [['push', `${APP}:v1`, '/hi.txt'], 'PATH_ABSOLUTE'],
    [['push', `${APP}:v1`, '/elsewhere/hi.txt', '--disable-path-validation'], 'FILE_NOT_FOUND'],
    [['push', `${APP}:v1`, '../elsewhere/hi.txt'], 'FILE_NOT_FOUND'],
    [['manifest', 'push', APP, '/elsewhere/hi.txt'], 'FILE_NOT_FOUND'],
    [['push', `${APP}:v1`, 'hi.txt', '-a', 'k=v', '--annotation-file', 'notes.json'], 'OPTIONS_EXCLUSIVE'],
    [['blob', 'push', APP, '-'], 'OPTION_MISSING'],
    [['blob', 'push', APP, '-', '--size', '1'], 'DIGEST_INVALID'],
  ])('%j ends with %s', async (argv, code) => {
    const { code: exit, err } = await submit(argv);
    expect(exit).toBe(1);
    expect(err).toContain(`(${code})`);
    expect(err).not.toContain('hunter2');
    expect(bodies).toEqual([]);
  });

  test('if standard input is larger than a job', async () => {
    for (const line of [
      ['blob', 'push', `${APP}@${DIGEST}`, '-', '--size', '32769'],
      ['manifest', 'push', APP, '-'],
    ]) {
      const { code, err } = await submit(line, Buffer.alloc(32 * 1024 + 1));
      expect([code, bodies]).toEqual([1, []]);
      expect(err).toMatch(/^Error: standard input has more than 32768 bytes; .*\(FILE_TOO_LARGE\)/);
    }
    expect((await submit(['manifest', 'push', APP, '-'], Buffer.alloc(32 * 1024))).code).toBe(0);
  });

  test.each([['login', 'r.io'], ['version'], ['completion', 'bash']])('%s has no --submit', async (...argv) => {
    expect((await submit(argv)).code).toBe(1);
  });
});
