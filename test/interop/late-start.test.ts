import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { QueueServiceClient } from '@azure/storage-queue';
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { JOB_OPERATIONS } from '../../src/operations/job-schema.js';
import {
  basicCredentials,
  createRegistries,
  packArtifact,
  pushPacked,
  type RegistryClient,
} from '../../src/oci/index.js';
import { ORCHESTRATION_VERSION } from '../../src/promotions/orchestration-version.js';
import { startEverything, until, type Everything } from '../support/stack/everything.js';

// A job has ended, and somebody has put a tag elsewhere since. Whatever comes late of that job must not set it back.

interface Run {
  id: string;
  state: string;
  finishedAt?: string;
  result?: { outcome: string };
}

let up: Everything;
let folder: string;
let armed: string;
let marker: string;
let client: RegistryClient;
let frozen: number | undefined;

/** The app, and a hook: once armed, the second host freezes itself when it asks the engine to start a job. It has read the row just before. */
async function appThatFreezes(): Promise<string> {
  const app = join(folder, 'app');
  const root = process.cwd();
  await mkdir(app);
  await cp(join(root, 'host.json'), join(app, 'host.json'));
  await symlink(join(root, 'node_modules'), join(app, 'node_modules'));
  await writeFile(join(app, 'package.json'), JSON.stringify({ type: 'module', main: 'main.js' }));
  await writeFile(
    join(app, 'main.js'),
    `import http from 'node:http';
import { existsSync, writeFileSync } from 'node:fs';
const { request } = http;
const isSecond = process.argv[process.argv.indexOf('--port') + 1] === '0';
const pause = new Int32Array(new SharedArrayBuffer(4));
// The first host leaves the queue to the second one.
const giveWay = () => {
  for (let waitedMs = 0; waitedMs < 20_000 && !existsSync(${JSON.stringify(marker)}); waitedMs += 100) Atomics.wait(pause, 0, 0, 100);
};
http.request = (...args) => {
  if (existsSync(${JSON.stringify(armed)}) && JSON.stringify(args[0]?.path ?? '').includes('/orchestrators/runJob/')) {
    // A connection that was kept would have ended by the time that the host goes on, and the start would be delayed.
    args[0].agent = false;
    if (!isSecond) giveWay();
    let isFirst = isSecond;
    try {
      if (isSecond) writeFileSync(${JSON.stringify(marker)}, String(process.pid), { flag: 'wx' });
    } catch {
      isFirst = false;
    }
    if (isFirst) process.kill(process.pid, 'SIGSTOP');
  }
  return request(...args);
};
await import(${JSON.stringify(pathToFileURL(resolve('dist/src/main.js')).href)});
`,
  );
  return app;
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'acr-promoter-late-'));
  armed = join(folder, 'armed');
  marker = join(folder, 'frozen');
  const app = await appThatFreezes();
  up = await startEverything({
    args: ['--app', app, '--hosts', '2'],
    settings: { JOB_OPERATIONS: JOB_OPERATIONS.join(',') },
  });
  client = createRegistries({ credentials: basicCredentials(up.user.name, up.user.password, [up.source, up.staging]) });
  await push('jobs/app', 'v1', 'old');
}, 120_000);

afterAll(async () => {
  if (frozen !== undefined) process.kill(frozen, 'SIGCONT');
  await client?.close();
  await up?.stop();
  await rm(folder, { recursive: true, force: true });
}, 60_000);

async function push(repository: string, tag: string, text: string): Promise<string> {
  const layer = { mediaType: 'text/plain', bytes: Buffer.from(text) };
  const packed = packArtifact({ artifactType: 'doc/example', layers: [layer] });
  await pushPacked(client.repository(up.source, repository), packed, { tag });
  return packed.descriptor.digest;
}
const tagAt = async (repository: string, tag: string): Promise<string> =>
  (await client.repository(up.source, repository).resolve(tag)).digest;

async function send(job: Record<string, unknown>): Promise<void> {
  const connection = (await readFile(join(up.dataDir, 'storage-connection-string.txt'), 'utf8')).trim();
  await QueueServiceClient.fromConnectionString(connection).getQueueClient('jobs').sendMessage(JSON.stringify(job));
}

async function runOf(jobId: string): Promise<Run | undefined> {
  const response = await fetch(`${up.hostUrl}/api/jobs/${jobId}`);
  return response.ok ? ((await response.json()) as Run) : undefined;
}
const ended = (jobId: string, withinMs?: number): Promise<Run> =>
  until(
    () => `the job ${jobId}\n${up.output().slice(-2000)}`,
    async () => {
      const run = await runOf(jobId);
      return run?.state === 'ended' ? run : undefined;
    },
    withinMs,
  );

/** What the frozen host wrote just before: its process id. */
const readMarker = async (): Promise<string | undefined> =>
  (await readFile(marker, 'utf8').catch(() => undefined)) || undefined;

const engine = (path: string, init?: RequestInit): Promise<Response> =>
  fetch(`${up.hostUrl}/runtime/webhooks/durabletask/${path}`, init);
const instance = async (runId: string): Promise<{ runtimeStatus: string; output: unknown }> =>
  (await (await engine(`instances/${runId}`)).json()) as { runtimeStatus: string; output: unknown };
/** The row ends first: until the instance has, the engine refuses a second start. */
const instanceEnded = (runId: string): Promise<unknown> =>
  until('the instance to end', async () => ((await instance(runId)).runtimeStatus === 'Completed' ? true : undefined));
/** Waits until the engine has started the id over, and it has ended without doing anything. */
const startedOver = (runId: string): Promise<unknown> =>
  until('the id to be started over', async () => {
    const { runtimeStatus, output } = await instance(runId);
    return runtimeStatus === 'Completed' && output === null ? true : undefined;
  });

const WRITES: [operation: string, fields: () => Record<string, unknown>, tag: string][] = [
  ['copy', () => ({ source: `${up.source}/jobs/app:v1`, destination: `${up.source}/jobs/app:copied` }), 'copied'],
  ['tag', () => ({ reference: `${up.source}/jobs/app:v1`, tags: ['stable'] }), 'stable'],
  ['push', () => ({ reference: `${up.source}/jobs/app:pushed`, files: [{ path: 'a.txt', text: 'old' }] }), 'pushed'],
  ['manifest.index.create', () => ({ reference: `${up.source}/jobs/app:multi`, manifests: ['v1'] }), 'multi'],
  ['manifest.delete', () => ({ reference: `${up.source}/jobs/app:deleted` }), 'deleted'],
];

test.each(WRITES)(
  'a job %s is not done again by its message, nor by a start, that comes after its end',
  async (operation, fields, tag) => {
    const job = { operation, id: `late-${operation}`, ...fields() };
    await push('jobs/app', tag, `before ${tag}`);
    await send(job);
    const run = await ended(job.id);
    expect(run).toMatchObject({ result: { outcome: 'completed' } });
    const newer = await push('jobs/app', tag, `newer ${tag}`);

    await send(job);
    await instanceEnded(run.id);
    const body = JSON.stringify({ runId: run.id, version: ORCHESTRATION_VERSION });
    expect((await engine(`orchestrators/runJob/${run.id}`, { method: 'POST', body })).status).toBe(202);
    await startedOver(run.id);
    // The queue is taken in turn: what was sent before this has been handled.
    await send({ operation: 'resolve', id: `after-${operation}`, reference: `${up.source}/jobs/app:v1` });
    await ended(`after-${operation}`);

    expect(await tagAt('jobs/app', tag)).toBe(newer);
    expect(await runOf(job.id)).toMatchObject({ id: run.id, finishedAt: run.finishedAt, result: run.result });
  },
  120_000,
);

test('a host that was frozen between reading a job row and starting the engine does not run the job again', async () => {
  const before = await push('jobs/app', 'release', 'before');
  await writeFile(armed, '');
  // A host takes several at a time, so several are frozen with it.
  const jobs = Array.from({ length: 12 }, (_, index) => `frozen-${index}`);
  await Promise.all(
    jobs.map((id) => send({ operation: 'tag', id, reference: `${up.source}/jobs/app:release`, tags: [id] })),
  );
  frozen = Number(await until('the second host to freeze', readMarker));
  // Their messages become visible again, and the other host does the jobs.
  const runs = await Promise.all(jobs.map((id) => ended(id, 180_000)));
  for (const [index, job] of jobs.entries()) {
    expect(runs[index]).toMatchObject({ result: { outcome: 'completed' } });
    expect(await tagAt('jobs/app', job)).toBe(before);
  }
  const newer = await push('jobs/app', 'newer', 'newer');
  for (const job of jobs) await push('jobs/app', job, 'newer');
  await Promise.all(runs.map(({ id }) => instanceEnded(id)));

  process.kill(frozen, 'SIGCONT');
  frozen = undefined;
  // One of them at least: for another the connection may have ended meanwhile, and its message is put back.
  await until('one of the ids to be started over', async () => {
    const seen = await Promise.all(runs.map(({ id }) => instance(id)));
    const isOver = seen.every(({ runtimeStatus }) => runtimeStatus === 'Completed');
    return isOver && seen.some(({ output }) => output === null) ? true : undefined;
  });
  for (const [index, job] of jobs.entries()) {
    expect(await tagAt('jobs/app', job)).toBe(newer);
    const { id, finishedAt, result } = runs[index] ?? {};
    expect(await runOf(job)).toMatchObject({ id, finishedAt, result });
  }
}, 420_000);
