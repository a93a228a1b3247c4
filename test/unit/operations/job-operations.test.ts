import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { JOB_OPERATIONS, storedJobSchema } from '../../../src/operations/job-schema.js';
import { jobJsonSchema } from '../../../src/operations/job-schema.js';
import { parseJob } from '../../../src/operations/parse-job.js';
import { codeOf, problemPaths } from '../../support/codes.js';

const DIGEST = `sha256:${'a'.repeat(64)}`;
const parse = (value: unknown) => parseJob(value, { messageId: 'message-1' });
const page = readFileSync('docs/reference/jobs.md', 'utf8');
const examples = [...page.matchAll(/^\{.*\}$/gm)].map(([text]) => JSON.parse(text) as { operation: string });
const schema = readFileSync('schemas/job.schema.json', 'utf8');
const isValid = new Ajv2020({ strict: false, validateFormats: false }).compile(JSON.parse(schema) as object);

test('docs/reference/jobs.md has an example of each operation and of no other', () => {
  const operations = new Set(examples.map(({ operation }) => operation));
  expect([...operations].sort()).toEqual([...JOB_OPERATIONS].sort());
});

test.each(examples)('$operation: the example is valid for the code and for the schema', (example) => {
  const job = parse(example);
  expect(job).toMatchObject(example);
  expect(isValid(example)).toBe(true);
  expect(isValid({ ...example, other: 1 })).toBe(false);
  // As a run's row has it, and with what a later version may have added.
  expect(storedJobSchema.parse({ ...job, later: true })).toEqual(job);
});

test('schemas/job.schema.json is the schema of the code', () => {
  expect(JSON.parse(schema)).toEqual(jobJsonSchema());
});

describe('all problems of a job are reported at once', () => {
  const app = 'a.io/b:v1';
  test.each<[string, Record<string, unknown>, string[]]>([
    ['resolve', { reference: 'a.io/b' }, ['reference']],
    ['resolve', { reference: app, platform: 'linux' }, ['platform']],
    ['discover', { reference: app, depth: 0, format: 'yaml' }, ['depth', 'format']],
    ['tags', { reference: app }, ['reference']],
    ['repos', { registry: 'https://a.io', namespace: 'A' }, ['registry', 'namespace']],
    ['verify', { reference: app, signatures: [] }, ['signatures']],
    [
      'verify',
      { reference: app, signatures: [{ format: 'notary', trustStore: '/etc/passwd' }] },
      ['signatures.0.trustStore'],
    ],
    ['tag', { reference: app, tags: ['ok', '-no', 'a/b'] }, ['tags.1', 'tags.2']],
    ['tag', { reference: app, tags: [] }, ['tags']],
    ['push', { reference: 'a.io/b@sha256:1', files: [{ path: '../x' }] }, ['reference', 'files.0.path']],
    ['copy', { source: app, destination: app, tags: ['a/b'] }, ['tags.0']],
    ['blob.push', { reference: app, file: { path: 'a' }, size: -1 }, ['reference', 'size']],
    [
      'push',
      { reference: app, files: [{ path: '/etc/passwd' }, { path: 'a//b' }, { path: 'a\\b' }] },
      ['files.0.path', 'files.1.path', 'files.2.path'],
    ],
    ['push', { reference: app, files: [{ path: 'a', text: 'x', base64: 'eA==' }] }, ['files.0']],
    ['push', { reference: app, files: [{ path: 'a' }, { path: 'a' }] }, ['files']],
    [
      'push',
      {
        reference: app,
        files: [
          { path: 'a', text: 'x'.repeat(20_000) },
          { path: 'b', text: 'y'.repeat(20_000) },
        ],
      },
      ['files'],
    ],
    ['push', { reference: app, files: [{ path: 'a', base64: 'no base64!' }] }, ['files.0.base64']],
    ['push', { reference: app, files: [{ path: 'folder/' }] }, ['files.0']],
    ['attach', { reference: app }, ['artifactType']],
    ['pull', { reference: app, output: '../x', concurrency: 1000 }, ['output', 'concurrency']],
    ['manifest.push', { reference: app, file: { path: 'm', text: 'x'.repeat(33 * 1024) } }, ['file']],
    ['manifest.index.create', { reference: app, manifests: ['v1', DIGEST, 'a:b'] }, ['manifests.2']],
    ['manifest.index.update', { reference: app, remove: ['v1'] }, ['remove.0']],
    ['blob.fetch', { reference: app }, ['reference']],
    ['blob.delete', { reference: 'a.io/b' }, ['reference']],
    ['sign', { reference: app, recursive: 'yes' }, ['recursive']],
    ['sbom', { reference: app, credential: 'Not A Name' }, ['credential']],
  ])('%s %j', (operation, fields, paths) => {
    const job = { operation, ...fields };
    expect(codeOf(() => parse(job))).toBe('JOB_INVALID');
    expect(problemPaths(() => parse(job))).toEqual(paths);
  });
});

test.each(['a b.txt', 'ü.txt', '日本/🚢.txt', "it's 100% #1?.txt"])(
  'the path %j is a title and a blob’s name',
  (path) => {
    expect(parse({ operation: 'push', reference: 'a.io/b:v1', files: [{ path }] })).toMatchObject({
      files: [{ path }],
    });
    const blob = { operation: 'pull', reference: 'a.io/b:v1', output: path };
    expect(parse(blob)).toMatchObject({ output: path });
  },
);

test('a job may contain 32 KiB of text and bytes in total', () => {
  const files = [
    { path: 'a', text: 'ä'.repeat(8 * 1024) },
    { path: 'b', base64: Buffer.alloc(16 * 1024).toString('base64') },
  ];
  expect(parse({ operation: 'push', reference: 'a.io/b:v1', files })).toMatchObject({ files });
});
