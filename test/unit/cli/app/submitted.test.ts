import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startRegistry, type RunningRegistry } from '../../../../local/registry/server.js';
import { createJobRegistries } from '../../../../src/azure/job-registries.js';
import { run } from '../../../../src/cli/run.js';
import { parseJob } from '../../../../src/operations/parse-job.js';
import { JOB_OPERATIONS } from '../../../../src/operations/job-schema.js';
import {
  anonymousCredentials,
  createRegistries,
  describeError,
  OCI_IMAGE_MANIFEST,
  type RegistryClient,
} from '../../../../src/oci/index.js';
import { runOperationStep } from '../../../../src/operations/run-operation.js';
import { pushMultiPlatform } from '../../../support/images.js';
import { newCall, newSigner, newWorld, type World } from '../../../support/world.js';
import { createMemoryIo } from '../../../support/memory-io.js';

// `--submit --wait` beside the same command at once: what came of the app's own steps is printed as what came of ours.

let folder: string;
let registry: RunningRegistry;
let client: RegistryClient;
const clients: RegistryClient[] = [];
let world: World;
let app: Server;
let url: string;
let repo: string;
let jobs = 0;
let before: string;
const key = newSigner('ours');

/** What the app answers of a job that it has done with its own steps; of others what the test says. */
let told: Record<string, unknown> = {};

async function answer(path: string, body: string): Promise<unknown> {
  if (path in told) return told[path];
  const [, kind, id = ''] = /^\/api\/(jobs|runs)\/?([^/]*)/.exec(path) ?? [];
  if (kind === 'jobs' && id === '') {
    const runId = `r${(jobs += 1)}`;
    const job = parseJob(JSON.parse(body), { messageId: runId });
    await world.store.insertRun({
      id: runId,
      input: { kind: 'job', runId, job },
      state: 'running',
      openedAt: '2026-01-01T00:00:00Z',
    });
    return { id: job.id, runId, statusUrl: `/api/runs/${runId}` };
  }
  const row = (await world.store.getRun(id))?.value;
  if (row === undefined) throw new Error(`no run ${id}`);
  if (path.endsWith('/output')) return row.output?.kind === 'inline' ? row.output.value : undefined;
  let result: Record<string, unknown>;
  try {
    const ports = { ...world, registries: client, listing: client };
    const reply = await runOperationStep(ports, { runId: id, label: 'it' }, newCall());
    result = { outcome: 'completed', ...('done' in reply && reply.done) };
  } catch (error) {
    const { code, message } = describeError(error);
    result = { outcome: 'refused', code, reason: message };
  }
  return { ...(await world.store.getRun(id))?.value, state: 'ended', result, steps: [] };
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'submitted-'));
  registry = await startRegistry({ dataDir: join(folder, 'registry'), anonymous: true });
  client = createRegistries({ credentials: anonymousCredentials });
  world = newWorld();
  world.signer = key.signer;
  world.jobRegistries = createJobRegistries({
    entries: {},
    others: anonymousCredentials,
    readSecret: () => Promise.reject(new Error('there is none')),
    connect: (credentials, referrers = 'auto') => {
      const made = createRegistries({ credentials, referrers });
      clients.push(made);
      return made;
    },
  });
  world.jobPolicy = { allowedRegistries: [registry.name], operations: JOB_OPERATIONS, scopes: {}, credentials: {} };
  app = createServer((request, response) => {
    void text(request)
      .then((body) => answer(request.url ?? '', body))
      .then(
        (value) => response.writeHead(200).end(JSON.stringify(value)),
        (error: unknown) => response.writeHead(500).end(String(error)),
      );
  });
  app.listen(0, '127.0.0.1');
  await once(app, 'listening');
  url = `http://127.0.0.1:${(app.address() as AddressInfo).port}`;
  repo = `${registry.name}/samples/app`;
  await pushMultiPlatform(client.repository(registry.name, 'samples/app'), 'v1');
  before = process.cwd();
  process.chdir(folder);
  await writeFile('hi.txt', 'hi');
  await writeFile('a b.txt', 'spaced');
  await writeFile('ü.txt', 'umlaut');
  await writeFile('odd.json', '{ "b" : 1.0,\n"10": "x", "a": [] }\n');
  await mkdir('docs/below', { recursive: true });
  await writeFile('docs/below/run.sh', '#!/bin/sh', { mode: 0o755 });
  await writeFile('docs/notes', 'n');
  await writeFile('notes.json', '{"docs":{"a":"1","org.opencontainers.image.title":"named"},"$manifest":{"m":"2"}}');
  await writeFile('ca.pem', key.certificatePem);
  await writeFile('key.pem', key.keyPem);
  for (const line of ['push {repo}:files hi.txt odd.json', 'attach --artifact-type a/b {repo}:v1 hi.txt -a k=v']) {
    expect((await here(line)).code).toBe(0);
  }
}, 60_000);
afterAll(async () => {
  process.chdir(before);
  app.closeAllConnections();
  app.close();
  await Promise.all([client, ...clients].map((each) => each.close()));
  await registry.close();
  await rm(folder, { recursive: true, force: true });
});

interface Ran {
  code: number;
  out: string;
  err: string;
}

const words = (line: string): string[] =>
  line
    .split(' ')
    .map((word) =>
      word
        .replaceAll('{base}', basename(folder))
        .replaceAll('{here}', folder)
        .replaceAll('{repo}', repo)
        .replaceAll('{host}', registry.name)
        .replaceAll('~', ' '),
    );

async function ran(argv: string[], env: Record<string, string> = {}, input = ''): Promise<Ran> {
  const { io, out, err } = createMemoryIo({
    input,
    env: { ACR_PROMOTER_APP: url, DOCKER_CONFIG: folder, HOME: folder, ...env },
  });
  const code = await run(argv, io);
  return { code, out: out().toString(), err: err() };
}
const here = (line: string): Promise<Ran> => ran(words(line));
const there = (line: string): Promise<Ran> => ran([...words(line), '--submit', '--wait']);

/** Without the lines of single nodes on their way, which a job does not keep. */
const results = (out: string): string =>
  out.replaceAll(
    /^(?:Uploading|Uploaded|Exists|Downloading|Downloaded|Restored|Processing|Preparing|Fetching|Fetched|Added|Removed|Merged) .*\n/gm,
    '',
  );

test.each([
  'resolve {repo}:v1',
  'resolve -l --platform linux/arm64 {repo}:v1',
  'repo tags {repo}',
  'repo tags --format json {repo}',
  'repo tags --format go-template --template {{len~.tags}} {repo}',
  'repo ls {host}',
  'repo ls {host}/samples',
  'repo ls --format json {host}/samples',
  'discover {repo}:v1',
  'discover --format json {repo}:v1',
  'discover --format table {repo}:v1',
  'discover -o json {repo}:v1',
  'discover --format go-template={{range~.referrers}}{{.artifactType}}{{end}} {repo}:v1',
  'manifest fetch {repo}:v1',
  'manifest fetch --pretty {repo}:v1',
  'manifest fetch --descriptor --platform linux/arm64 {repo}:v1',
  'manifest fetch --descriptor --pretty {repo}:v1',
  'manifest fetch --format json {repo}:files',
  'manifest fetch --format go-template={{.content.mediaType}} {repo}:files',
  'manifest fetch-config --platform linux/amd64 {repo}:v1',
  'manifest fetch-config --descriptor {repo}:files',
  'manifest fetch-config --pretty {repo}:files',
  'tag {repo}:v1 v2 v3',
  'tag {repo}:v1 {repo}:v2 v3',
  'push {repo}:p1,p2 hi.txt:text/plain --artifact-type a/b',
  'push --format json {repo}:p2,p1 hi.txt',
  'push --format go-template={{.digest}} {repo} hi.txt',
  'attach --artifact-type c/d {repo}:v1 hi.txt',
  'attach --artifact-type c/d --format json {repo}:v1 hi.txt',
  'push {repo}:folder ./docs/ hi.txt',
  'push {repo}:folder docs:x/y --annotation-file notes.json',
  'attach --artifact-type c/d {repo}:v1 docs',
  'push {repo}:p3 ../{base}/hi.txt hi.txt a~b.txt ü.txt ../{base}/docs',
  'push {repo}:p4 {here}/docs/../hi.txt {here}/docs --disable-path-validation --config {here}/odd.json:c/d',
  'manifest push {repo}:m3 ../{base}/manifest.json',
  'blob push {repo} {here}/hi.txt',
  'manifest push {repo}:m1,m2 manifest.json',
  'manifest push --descriptor {repo}:m1 manifest.json',
  'manifest index create {repo}:i1,i2 v1 files',
  'manifest index create {repo}:i1,i2 {repo}:v1 files',
  'manifest index update {repo}:i2 --artifact-type x/z --tag {repo}:i4 --tag i3',
  'manifest index update {repo}:i2 --artifact-type x/y --tag i3',
  'blob push {repo} odd.json',
  'blob push --descriptor --pretty {repo} odd.json',
])('%s --submit does and prints what it does here', async (line) => {
  if (line.includes('manifest.json')) await here('manifest fetch -o manifest.json {repo}:v1');
  const own = await here(line);
  const job = await there(line);
  expect({ code: job.code, err: job.err }).toEqual({
    code: 0,
    err: expect.stringMatching(/^(?:.*deprecated.*\n)*r\d+: \S+, completed, run r\d+\n$/),
  });
  expect(job.out).toBe(results(own.out));
});

test('a file that a job writes has exactly the bytes of the content', async () => {
  const digest = (await here('manifest fetch {repo}:files --format go-template={{(index~.content.layers~1).digest}}'))
    .out;
  for (const line of [
    `blob fetch -o FILE {repo}@${digest}`,
    `blob fetch -o FILE --descriptor {repo}@${digest}`,
    'manifest fetch -o FILE {repo}:v1',
    'manifest fetch -o FILE --descriptor {repo}:v1',
    'manifest fetch-config -o FILE {repo}:files',
  ]) {
    const own = await here(line.replace('FILE', 'own'));
    const job = await there(line.replace('FILE', 'job'));
    expect([line, job.code, job.out]).toEqual([line, 0, own.out]);
    expect(await readFile('job')).toEqual(await readFile('own'));
  }
  expect((await there(`blob fetch -o - {repo}@${digest}`)).out).toBe(await readFile('odd.json', 'utf8'));
});

test('a job with a required digest pushes nothing if the content has another digest', async () => {
  await here('manifest fetch -o manifest.json {repo}:v1');
  const other = `{repo}@sha256:${'0'.repeat(64)}`;
  for (const line of ['push NAME hi.txt', 'manifest push NAME manifest.json', 'manifest index create NAME v1']) {
    const [, digest = ''] = /^Digest: (\S+)$/m.exec((await here(line.replace('NAME', '{repo}'))).out) ?? [];
    const named = line.replace('NAME', `{repo}@${digest}`);
    const [own, job] = [await here(named), await there(named)];
    expect([own.code, job.out]).toEqual([0, results(own.out)]);
    expect((await there(line.replace('NAME', other))).err).toContain('(DIGEST_MISMATCH)');
  }
});

test('a job uses SOURCE_DATE_EPOCH like the command', async () => {
  const env = { SOURCE_DATE_EPOCH: '1767225600' };
  const line = words('push {repo} docs hi.txt --format go-template={{.digest}}');
  const [own, job] = [await ran(line, env), await ran([...line, '--submit', '--wait'], env)];
  expect(job.out).toBe(own.out);
  expect(job.out).not.toBe((await ran(line)).out);
});

test('a blob that is too large for the output is in the app’s storage, and the command names it', async () => {
  await writeFile('large.bin', Buffer.alloc(21_000));
  const pushed = await here('blob push {repo} large.bin');
  const digest = /^Digest: (\S+)$/m.exec(pushed.out)?.[1] ?? '';
  const { code, out, err } = await there(`blob fetch -o got.bin {repo}@${digest}`);
  expect({ code, out }).toEqual({ code: 1, out: '' });
  expect(err).toMatch(/ is target\/r\d+\/sha256-\w+ in the app’s storage \(OUTPUT_NOT_HERE\)/);
  await expect(readFile('got.bin')).rejects.toMatchObject({ code: 'ENOENT' });
});

test('a job pushes the content of standard input', async () => {
  await world.files.put('source', '-', Readable.from([Buffer.from('a blob of the app’s')]));
  const digest = `sha256:${createHash('sha256').update('own').digest('hex')}`;
  for (const [line, input] of [
    [`blob push --size 3 {repo}@${digest} -`, 'own'],
    ['manifest push {repo}:stdin -', await readFile('manifest.json', 'utf8')],
  ] as const) {
    const job = await ran([...words(line), '--submit', '--wait'], {}, input);
    const own = await ran(words(line), {}, input);
    expect([own.code, job.out]).toEqual([0, results(own.out)]);
  }
  expect((await here(`blob fetch -o - {repo}@${digest}`)).out).toBe('own');
  const wrong = await ran([...words(`blob push --size 3 {repo}@${digest} -`), '--submit', '--wait'], {}, 'oww');
  expect(wrong.err).toContain('(DIGEST_MISMATCH)');
  const long = await ran([...words(`blob push --size 3 {repo}@${digest} -`), '--submit', '--wait'], {}, 'more');
  expect(long.err).toContain('(SIZE_MISMATCH)');
});

test('a pull job prints the last lines of the command, and where the files are', async () => {
  const own = await here('pull -o out {repo}:files');
  expect((await there('pull {repo}:files')).out).toBe(results(own.out));
  // Files and folders, each with all that is said of it; only where they stand is another place.
  await here('push {repo}:folders docs a~b.txt hi.txt:text/plain --annotation-file notes.json');
  for (const [at, name] of [
    ['files', 'below'],
    ['folders', 'folders'],
  ]) {
    const options = `-o ${name} {repo}:${at} --format`;
    const placed = (text: string): string => text.replaceAll(`${folder}/${name}/`, `target/${name}/`);
    const [direct, json] = [await here(`pull ${options} json`), await there(`pull ${options} json`)];
    expect(json.out.replaceAll('a%20b', 'a b')).toBe(placed(direct.out));
    const digests = 'go-template={{range~.files}}{{println~.digest}}{{end}}';
    expect((await there(`pull ${options} ${digests}`)).out).toBe((await here(`pull ${options} ${digests}`)).out);
  }
});

test('the distribution spec of a job decides how referrers are stored', async () => {
  const pushed = await here('push {repo} hi.txt --format go-template={{.digest}} -a spec=tag');
  const subject = `{repo}@${pushed.out}`;
  const spec = '--distribution-spec v1.1-referrers-tag';
  expect((await there(`attach --artifact-type a/b ${subject} hi.txt ${spec}`)).code).toBe(0);
  const tag = pushed.out.replace(':', '-');
  expect((await here('repo tags {repo}')).out.split('\n')).toContain(tag);
  const listed = `discover --format json ${subject}`;
  expect((await there(`${listed} ${spec}`)).out).toBe((await here(`${listed} ${spec}`)).out);
  // The API has it as well: without it the tag would be all there is.
  await here(`manifest delete -f {repo}:${tag}`);
  expect(JSON.parse((await there(`${listed} ${spec}`)).out)).toMatchObject({ referrers: [] });
  expect(JSON.parse((await there(listed)).out)).toMatchObject({ referrers: [{ artifactType: 'a/b' }] });
  expect((await there(`${listed} --distribution-spec v1.2`)).code).toBe(1);
});

test('a job deletes manifests and blobs', async () => {
  for (const [kind, options, reference] of [
    ['manifest', '', '{repo}:gone'],
    ['manifest', '--descriptor', '{repo}:gone'],
    ['manifest', '--descriptor --pretty', '{repo}:gone'],
    ['blob', '', `{repo}@BLOB`],
    ['blob', '--descriptor', `{repo}@BLOB`],
  ] as const) {
    await writeFile('gone.json', '{"gone":1}');
    const put = async (): Promise<string> =>
      kind === 'manifest'
        ? (await here('push {repo}:gone gone.json')).out
        : (await here('blob push {repo} gone.json')).out;
    const line = `${kind} delete --force ${options} ${reference}`.replaceAll('  ', ' ');
    const digest = /^Digest: (\S+)$/m.exec(await put())?.[1] ?? '';
    const own = await here(line.replace('BLOB', digest));
    await put();
    const job = await there(line.replace('BLOB', digest));
    expect([line, own.code, job.out]).toEqual([line, 0, own.out]);
  }
  expect((await there('manifest delete --descriptor {repo}:v1')).err).toContain('(CONFIRMATION_MISSING)');
});

describe('a job with the app’s own key', () => {
  const signed = '--signing-key key.pem --certificate-chain ca.pem';

  test('attaches SBOMs, signs and verifies', async () => {
    // Done by the app first, it is there for us.
    const made = await there('sbom --platform linux/amd64 {repo}:v1');
    expect(made.out).toMatch(/^Attached \S+: sha256:\w+\nAttached to \[registry\] \S+\nDigest: sha256:\w+\n$/);
    const line = 'sbom --attach --platform linux/amd64 {repo}:v1';
    expect((await there(line)).out).toBe((await here(`${line} ${signed}`)).out);
    const json = `${line} --format json`;
    expect(JSON.parse((await there(json)).out)).toEqual(JSON.parse((await here(`${json} ${signed}`)).out));

    expect((await there('sign -r {repo}:v1')).out).toMatch(
      /^(?:Signed \S+ sha256:\S+: sha256:\S+\n)+Signed \[registry\] /,
    );
    expect((await there('sign -r {repo}:v1')).out).toBe((await here(`sign -r {repo}:v1 ${signed}`)).out);
    expect((await there('sign --format json {repo}:v1')).out).toBe(
      (await here(`sign --format json {repo}:v1 ${signed}`)).out,
    );

    for (const format of ['', ' --format json', ' --format go-template={{.passed}}']) {
      const verify = `verify --trust-store ca.pem {repo}:v1${format}`;
      const own = await here(verify);
      expect([own.code, (await there(verify)).out]).toEqual([0, own.out]);
    }
  });

  test('that is refused prints the refusal at once', async () => {
    for (const format of ['', ' --format json']) {
      const line = `verify --trust-store ca.pem --identity nobody {repo}:files${format}`;
      const [own, job] = [await here(line), await there(line)];
      expect([job.code, job.out]).toEqual([own.code, own.out]);
      expect(job.code).toBe(1);
      expect(job.err).toContain('(EVIDENCE_MISSING)');
    }
  });
});

describe('a job', () => {
  const digest = `sha256:${'a'.repeat(64)}`;
  const ended = (result: Record<string, unknown>, output?: unknown): void => {
    const run = { id: 'j1', state: 'ended', result, input: { job: { operation: 'copy', id: 'j1' } }, steps: [] };
    told = {
      '/api/jobs': { id: 'j1', runId: 'j1', statusUrl: '/' },
      '/api/jobs/j1': { ...run, ...(output !== undefined && { output: { kind: 'inline', value: output } }) },
      '/api/runs/j1/output': output,
    };
  };

  test('copies an artifact', async () => {
    const line = 'copy -r {repo}:v1 q.io/app:v2';
    const mediaType = OCI_IMAGE_MANIFEST;
    const [manifest, blob] = [
      { kind: 'manifest', mediaType, digest, size: 9 },
      { kind: 'blob', mediaType: 'x/y', size: 1 },
    ];
    const names = ['b', 'c', 'd'].map((letter) => `sha256:${letter.repeat(64)}`);
    const receipt = {
      source: repo,
      destination: 'q.io/app',
      root: { mediaType, digest, size: 9 },
      tags: ['v2'],
      report: {
        copied: [{ ...blob, digest: names[0], title: 'a.txt' }, manifest],
        existed: [{ ...blob, digest: names[1] }],
        mounted: [{ ...blob, digest: names[2] }],
        tagged: [],
        movedBytes: 10,
      },
      leftOut: [{ digest: names[0], artifactType: 'x/sbom', reason: 'gone' }],
      arrival: { manifests: 1, listed: 1, restored: [{ subject: digest, referrer: names[0] }] },
    };
    ended({ outcome: 'completed', digest }, receipt);
    const { out, err } = await there(line);
    expect(out).toBe(
      [
        'Copied  bbbbbbbbbbbb a.txt',
        `Copied  aaaaaaaaaaaa ${mediaType}`,
        'Mounted dddddddddddd x/y',
        'Restored 1 referrers that the destination had lost',
        `Copied [registry] ${repo}:v1 => [registry] q.io/app:v2`,
        `Digest: ${digest}`,
        '',
      ].join('\n'),
    );
    expect(err).toContain(`Warning: ${repo}@${names[0]} was not copied: it is listed, but missing\n`);
    expect(JSON.parse((await there(`${line} --format json`)).out)).toEqual(receipt);
    ended({ outcome: 'completed', digest }, { ...receipt, report: {} });
    expect((await there(line)).err).toContain('(APP_ANSWER_INVALID)');
  });

  test('that failed prints its error, and one without a receipt is an error', async () => {
    ended({ outcome: 'completed', digest });
    expect((await there('copy -r {repo}:v1 q.io/app:v2')).err).toContain('(APP_ANSWER_INVALID)');
    ended({ outcome: 'failed', code: 'REFERRER_LOST', reason: 'gone' });
    expect(await there('copy -r {repo}:v1 q.io/app:v2')).toEqual({
      code: 1,
      out: '',
      err: 'j1: copy, failed (REFERRER_LOST), run j1\nError: gone (REFERRER_LOST)\n',
    });
  });

  test('promotes a tag', async () => {
    const promotion = {
      id: 'p1',
      rule: 'staging',
      source: { registry: registry.name, repository: 'samples/app', tag: 'v1' },
      destination: 'q.io/staging/app:v1',
      state: 'in_sync',
      incrementedAt: '',
      last: { outcome: 'promoted', digest, finishedAt: '' },
    };
    const path = `/api/promotions?${new URLSearchParams({ repository: repo, tag: 'v1' }).toString()}`;
    ended({ outcome: 'unchanged', digest });
    told[path] = { promotions: [promotion] };
    const line = `[staging] ${repo}:v1 => q.io/staging/app:v1`;
    expect((await there('promote {repo}:v1')).out).toBe(`Unchanged ${line}\nDigest: ${digest}\n`);
    ended({ outcome: 'promoted', digest });
    told[path] = { promotions: [promotion, { ...promotion, rule: 'other' }] };
    expect(JSON.parse((await there('promote --format json {repo}:v1')).out)).toMatchObject({
      promotions: [
        { rule: 'staging', source: `${repo}:v1`, destination: 'q.io/staging/app:v1', outcome: 'promoted', digest },
        { rule: 'other' },
      ],
    });
  });
});

test.each([
  ['resolve --pretty {repo}:v1', 'unknown flag'],
  ['repo tags --format xml {repo}', '(OPTION_INVALID)'],
  ['manifest fetch --descriptor --format json {repo}:v1', '(OPTIONS_EXCLUSIVE)'],
  ['blob fetch {repo}@sha256:0', '(OPTION_MISSING)'],
  ['manifest fetch --plain-http {repo}:v1', '(OPTION_NOT_IN_JOB)'],
  ['manifest index update {repo}', 'no tag or digest specified'],
])('%s: refused before anything is handed over', async (line, said) => {
  told = {};
  const count = jobs;
  const { code, err } = await there(line);
  expect([code, jobs]).toEqual([1, count]);
  expect(err).toContain(said);
});

test('without --wait is not sent the options of the output', async () => {
  const { code, err } = await ran(words('manifest fetch --pretty {repo}:v1 --submit'));
  expect(code).toBe(1);
  expect(err).toContain('--pretty cannot be used with --submit');
});
