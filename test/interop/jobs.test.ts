import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { BlobServiceClient } from '@azure/storage-blob';
import { QueueServiceClient } from '@azure/storage-queue';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createStorage } from '../../src/azure/storage.js';
import { newRunId } from '../../src/rows/open-run.js';
import { JOB_OPERATIONS } from '../../src/operations/job-schema.js';
import {
  basicCredentials,
  createRegistries,
  packArtifact,
  pushPacked,
  type Digest,
  type RegistryClient,
} from '../../src/oci/index.js';
import { startEverything, until, type Everything } from '../support/stack/everything.js';

interface Run {
  id: string;
  state: string;
  input: { job?: { id: string; operation: string } };
  result?: { outcome: string; code?: string; digest?: string };
  output?: { kind: string; value?: unknown; name?: string };
}
type Job = Record<string, unknown> & { operation: string };

let up: Everything;
let client: RegistryClient;
let connection: string;
let digest: Digest;
let folder: string;
let outside: Server;
let outsideRegistry: string;
let knocks = 0;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'acr-promoter-jobs-'));
  outside = createServer((socket) => {
    knocks += 1;
    socket.destroy();
  });
  await new Promise<void>((resolve) => outside.listen(0, '127.0.0.1', resolve));
  const address = outside.address();
  outsideRegistry = `localhost:${typeof address === 'object' && address !== null ? address.port : 0}`;
  up = await startEverything({
    schedule: '*/10 * * * * *',
    settings: {
      JOB_OPERATIONS: JOB_OPERATIONS.filter((operation) => operation !== 'blob.delete').join(','),
      JOB_SCOPES: JSON.stringify({
        repos: ['jobs/**'],
        tag: ['jobs/**', 'staging/**'],
        push: ['jobs/**', 'staging/**'],
      }),
    },
  });
  client = createRegistries({ credentials: basicCredentials(up.user.name, up.user.password, [up.source, up.staging]) });
  const packed = packArtifact({
    artifactType: 'doc/example',
    layers: [
      {
        mediaType: 'text/plain',
        bytes: Buffer.from('hello'),
        annotations: { 'org.opencontainers.image.title': 'hello.txt' },
      },
    ],
  });
  for (const repository of ['jobs/hello', 'closed/hello']) {
    await pushPacked(client.repository(up.source, repository), packed, { tag: 'v1' });
  }
  ({ digest } = packed.descriptor);
  connection = (await readFile(join(up.dataDir, 'storage-connection-string.txt'), 'utf8')).trim();
}, 120_000);

afterAll(async () => {
  await client?.close();
  await up?.stop();
  outside?.close();
  await rm(folder, { recursive: true, force: true });
}, 60_000);

const post = (job: unknown): Promise<Response> =>
  fetch(`${up.hostUrl}/api/jobs`, { method: 'POST', body: JSON.stringify(job) });
const queue = (name: string) => QueueServiceClient.fromConnectionString(connection).getQueueClient(name);
const blob = (container: string, name: string) =>
  BlobServiceClient.fromConnectionString(connection).getContainerClient(container).getBlockBlobClient(name);

function ended(jobId: string): Promise<Run> {
  return until(
    () => `the job ${jobId}\n${up.output().slice(-2000)}`,
    async () => {
      const response = await fetch(`${up.hostUrl}/api/jobs/${jobId}`);
      if (!response.ok) return undefined;
      const run = (await response.json()) as Run;
      return run.state === 'ended' ? run : undefined;
    },
  );
}

let count = 0;
/** By one door or the other, in turn; as a message in base64 and as plain JSON, in turn too. */
async function run(job: Job): Promise<Run> {
  count += 1;
  const id = `job-${count}`;
  const text = JSON.stringify({ id, ...job });
  if (count % 2 === 0) {
    await queue('jobs').sendMessage(count % 4 === 0 ? Buffer.from(text).toString('base64') : text);
  } else {
    const response = await post({ id, ...job });
    expect(response.status).toBe(202);
    expect(await response.json()).toMatchObject({ id });
  }
  return ended(id);
}

async function valueOf(job: Job): Promise<unknown> {
  const { result, output } = await run(job);
  expect(result).toMatchObject({ outcome: 'completed' });
  return output?.value;
}

describe('operations, by queue and over HTTP', () => {
  test('reading operations give the same by queue and over HTTP', async () => {
    const hello = `${up.source}/jobs/hello`;
    const reference = `${hello}:v1`;
    expect(await valueOf({ operation: 'resolve', reference })).toMatchObject({
      digest,
      reference: `${hello}@${digest}`,
    });
    expect(await valueOf({ operation: 'discover', reference, format: 'tree' })).toBe(`${hello}@${digest}`);
    expect(await valueOf({ operation: 'tags', reference: hello })).toEqual({ tags: ['v1'] });
    expect(await valueOf({ operation: 'repos', registry: up.source })).toEqual({
      registry: up.source,
      repositories: ['jobs/hello'],
    });
    expect(await valueOf({ operation: 'manifest.fetch', reference })).toMatchObject({
      content: { artifactType: 'doc/example' },
    });
    expect(await valueOf({ operation: 'manifest.fetchConfig', reference })).toMatchObject({ content: {} });
  }, 120_000);

  test('files of jobs are blobs and come back byte for byte', async () => {
    const bytes = Buffer.alloc(6 * 1024 * 1024, 'acr');
    await blob('source', 'docs/large.bin').uploadData(bytes);
    const reference = `${up.source}/jobs/files:v1`;
    const pushed = (await valueOf({
      operation: 'push',
      reference,
      artifactType: 'doc/example',
      files: [
        { path: 'docs/large.bin', mediaType: 'application/octet-stream' },
        { path: 'hello.txt', text: 'hello' },
      ],
    })) as { digest: Digest };
    expect(await client.repository(up.source, 'jobs/files').resolve('v1')).toMatchObject({ digest: pushed.digest });
    const attach = {
      operation: 'attach',
      reference,
      artifactType: 'review/example',
      files: [{ path: 'review.json', text: '{}' }],
    };
    const attached = await valueOf(attach);
    expect(await valueOf(attach)).toEqual(attached);
    const referrers = await client.repository(up.source, 'jobs/files').listReferrers(pushed.digest);
    expect(referrers).toMatchObject([{ artifactType: 'review/example' }]);
    const pulled = (await valueOf({ operation: 'pull', reference, output: 'out' })) as { files: unknown[] };
    expect(pulled.files).toHaveLength(2);
    expect((await blob('target', 'out/docs/large.bin').downloadToBuffer()).equals(bytes)).toBe(true);
    expect((await blob('target', 'out/hello.txt').downloadToBuffer()).toString()).toBe('hello');
    const file = { path: 'b', text: 'a blob' };
    const put = (await valueOf({ operation: 'blob.push', reference: `${up.source}/jobs/files`, file })) as {
      digest: Digest;
    };
    expect(
      await valueOf({ operation: 'blob.fetch', reference: `${up.source}/jobs/files@${put.digest}` }),
    ).toMatchObject({
      base64: Buffer.from('a blob').toString('base64'),
    });
  }, 180_000);

  test('jobs create and delete tags, manifests and indexes', async () => {
    const hello = `${up.source}/jobs/hello`;
    const repository = client.repository(up.source, 'jobs/hello');
    await valueOf({ operation: 'tag', reference: `${hello}:v1`, tags: ['v2'] });
    expect(await repository.resolve('v2')).toMatchObject({ digest });
    const { bytes, descriptor } = await repository.fetchManifest('v1');
    const file = { path: 'm', mediaType: descriptor.mediaType, text: Buffer.from(bytes).toString() };
    await valueOf({ operation: 'manifest.push', reference: `${hello}:v3`, file });
    expect(await repository.resolve('v3')).toMatchObject({ digest });
    const index = { operation: 'manifest.index.create', reference: `${hello}:multi`, manifests: ['v1'] };
    const made = (await valueOf(index)) as { digest: string };
    const update = { operation: 'manifest.index.update', reference: `${hello}:multi`, remove: [digest] };
    const changed = (await valueOf(update)) as { digest: string };
    expect(await repository.resolve('multi')).toMatchObject({ digest: changed.digest });
    await valueOf({ operation: 'manifest.delete', reference: `${hello}@${made.digest}` });
    await expect(repository.resolve(made.digest)).rejects.toMatchObject({ code: 'MANIFEST_UNKNOWN' });
  }, 180_000);

  test('a sign job uses the key of the app, and only its certificate verifies', async () => {
    const reference = `${up.source}/jobs/hello:v1`;
    expect(await valueOf({ operation: 'sbom', reference })).toMatchObject({ images: [{ why: expect.any(String) }] });
    await valueOf({ operation: 'sign', reference });
    const trustStore = await readFile(up.certificate, 'utf8');
    const verify = { operation: 'verify', reference, signatures: [{ format: 'notary', trustStore }] };
    expect(await valueOf(verify)).toMatchObject({ passed: true });
    const identities = ['x509.subject: CN=nobody, O=Nobody, ST=WA, C=US'];
    const refused = await run({ ...verify, signatures: [{ format: 'notary', trustStore, identities }] });
    expect(refused).toMatchObject({
      result: { outcome: 'refused', code: 'EVIDENCE_MISSING' },
      output: { value: { passed: false } },
    });
  }, 180_000);

  test('copy and promote jobs complete', async () => {
    const copied = await run({
      operation: 'copy',
      source: `${up.source}/jobs/hello:v1`,
      destination: `${up.staging}/jobs/copied`,
    });
    expect(copied.result).toMatchObject({ outcome: 'completed', digest });
    expect(copied.output).toMatchObject({
      kind: 'inline',
      value: { destination: `${up.staging}/jobs/copied`, root: { digest }, tags: ['v1'], leftOut: [] },
    });
    expect(await client.repository(up.staging, 'jobs/copied').resolve('v1')).toMatchObject({ digest });
    const untagged = {
      operation: 'copy',
      source: `${up.source}/jobs/hello:v1`,
      destination: `${up.staging}/jobs/untagged`,
    };
    expect((await run({ ...untagged, tags: [] })).result).toMatchObject({ outcome: 'completed', digest });
    const there = client.repository(up.staging, 'jobs/untagged');
    expect(await there.resolve(digest)).toMatchObject({ digest });
    await expect(there.resolve('v1')).rejects.toMatchObject({ info: { status: 404 } });
    expect(await run({ operation: 'promote', source: `${up.source}/jobs/hello:v1` })).toMatchObject({
      result: { outcome: 'refused', code: 'NO_RULE_MATCHES' },
    });
  }, 120_000);
});

describe('a forbidden job is refused with a code and kept, and sends nothing', () => {
  const refused = async (job: Job, code: string): Promise<void> => {
    expect(await run(job)).toMatchObject({ state: 'ended', result: { outcome: 'refused', code } });
  };

  test('an operation that is off, a repository out of scope and a host that is not allowed are refused', async () => {
    const reference = `${up.source}/jobs/hello@${digest}`;
    await refused({ operation: 'blob.delete', reference }, 'JOB_OPERATION_FORBIDDEN');
    await refused(
      { operation: 'tag', reference: `${up.source}/closed/hello:v1`, tags: ['mine'] },
      'JOB_SCOPE_FORBIDDEN',
    );
    for (const job of [
      { operation: 'resolve', reference: `${outsideRegistry}/jobs/hello:v1` },
      { operation: 'repos', registry: outsideRegistry },
      { operation: 'copy', source: `${up.source}/jobs/hello:v1`, destination: `${outsideRegistry}/jobs/hello:v1` },
    ]) {
      await refused(job, 'REGISTRY_NOT_ALLOWED');
    }
    expect(knocks).toBe(0);
    const tags: string[] = [];
    for await (const tag of client.repository(up.source, 'closed/hello').listTags()) tags.push(tag);
    expect(tags).toEqual(['v1']);
  }, 120_000);

  test('a copy, a push, a tag and a deletion in the destination of a rule are refused', async () => {
    const repository = 'staging/samples/never';
    const place = `${up.staging}/${repository}:v1`;
    await refused(
      { operation: 'copy', source: `${up.source}/jobs/hello:v1`, destination: place },
      'COPY_BYPASSES_RULE',
    );
    await refused({ operation: 'push', reference: place, files: [{ path: 'x', text: 'x' }] }, 'COPY_BYPASSES_RULE');
    await refused({ operation: 'tag', reference: place, tags: ['v2'] }, 'COPY_BYPASSES_RULE');
    await refused({ operation: 'manifest.delete', reference: place }, 'COPY_BYPASSES_RULE');
    await expect(client.repository(up.staging, repository).resolve('v1')).rejects.toMatchObject({
      info: { status: 404 },
    });
  }, 120_000);

  test('a copy and an attachment into the source of a rule are refused, since they would be signed and promoted', async () => {
    const place = `${up.source}/samples/planted:v1`;
    await refused({ operation: 'copy', source: `${up.source}/jobs/hello:v1`, destination: place }, 'JOB_FEEDS_RULE');
    await refused({ operation: 'attach', reference: place, artifactType: 'a/b', files: [] }, 'JOB_FEEDS_RULE');
    for (const [host, repository] of [
      [up.source, 'samples/planted'],
      [up.staging, 'staging/samples/planted'],
    ] as const) {
      await expect(client.repository(host, repository).resolve('v1')).rejects.toMatchObject({ info: { status: 404 } });
    }
  }, 120_000);

  test('a job with a secret gets 400 over HTTP, and is kept without the secret from the queue', async () => {
    const job = { operation: 'resolve', reference: `${up.source}/jobs/hello:v1`, password: 'hunter2!' };
    const response = await post(job);
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({
      error: { code: 'JOB_HOLDS_SECRET', problems: [{ path: 'password' }] },
    });
    await queue('jobs').sendMessage(Buffer.from(JSON.stringify(job)).toString('base64'));
    const poison = await until('the poison message', async () => {
      const { receivedMessageItems } = await queue('jobs-poison').receiveMessages();
      const [message] = receivedMessageItems;
      if (message !== undefined) await queue('jobs-poison').deleteMessage(message.messageId, message.popReceipt);
      return message;
    });
    const text = Buffer.from(poison.messageText, 'base64').toString();
    expect(JSON.parse(text)).toMatchObject({ code: 'JOB_HOLDS_SECRET', original: { operation: 'resolve' } });
    for (const kept of [text, up.output()]) expect(kept).not.toContain('hunter2');
  }, 120_000);

  test('a message that is neither JSON nor base64 of JSON is kept with the reason at the first try', async () => {
    await queue('jobs').sendMessage('operation=resolve password=hunter2!');
    const poison = await until('the poison message', async () => {
      const { receivedMessageItems } = await queue('jobs-poison').receiveMessages();
      return receivedMessageItems[0];
    });
    const text = Buffer.from(poison.messageText, 'base64').toString();
    expect(JSON.parse(text)).toMatchObject({
      code: 'MESSAGE_INVALID',
      original: expect.stringMatching(/^operation=resolve/),
    });
    for (const kept of [text, up.output()]) expect(kept).not.toContain('hunter2');
  }, 120_000);

  test('all errors of a job are reported together', async () => {
    const response = await post({ operation: 'copy', id: '/', source: 'B', destination: 1 });
    expect(response.status).toBe(400);
    const { error } = (await response.json()) as { error: { code: string; problems: { path: string }[] } };
    expect(error.code).toBe('JOB_INVALID');
    expect(error.problems.map(({ path }) => path)).toEqual(['id', 'source', 'destination']);
  });
});

test('the schedule starts a job whose message was lost', async () => {
  const { runs } = createStorage({ connectionString: connection });
  const openedAt = new Date(Date.now() - 16 * 60_000);
  const runId = await runs.claimJob('lost-1', newRunId(openedAt.getTime()));
  const job = { operation: 'tags' as const, id: 'lost-1', reference: `${up.source}/jobs/hello` };
  const input = { kind: 'job' as const, runId, job };
  await runs.insertRun({ id: runId, input, state: 'pending', openedAt: openedAt.toISOString() });
  expect(await ended('lost-1')).toMatchObject({ id: runId, result: { outcome: 'completed' } });
}, 120_000);

test('acr-promoter jobs submit waits for a job, shows its status, and answers the same id with the first run', async () => {
  const file = join(folder, 'job.json');
  await writeFile(file, JSON.stringify({ operation: 'tags', id: 'waited-1', reference: `${up.source}/jobs/hello` }));
  const cli = (...args: string[]): Promise<{ stdout: string }> =>
    promisify(execFile)(process.execPath, ['dist/src/cli/main.js', ...args], {
      env: { ...process.env, ACR_PROMOTER_APP: up.hostUrl },
    });
  const jobs = (...args: string[]): Promise<{ stdout: string }> => cli('jobs', ...args);
  const { stdout } = await jobs('submit', '--wait', file);
  expect(JSON.parse(stdout)).toMatchObject({ tags: expect.arrayContaining(['v1']) });
  expect((await jobs('status', 'waited-1')).stdout).toMatch(/^waited-1: tags, completed, run /);
  const first = (await ended('waited-1')).id;
  expect((await jobs('submit', file)).stdout).toBe(`Submitted waited-1\nRun ${first}\n`);
  const resolved = await cli('resolve', '--submit', '--wait', `${up.source}/jobs/hello:v1`);
  expect(resolved.stdout).toBe(`${digest}\n`);
}, 120_000);
