import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { BlobServiceClient } from '@azure/storage-blob';
import { QueueServiceClient } from '@azure/storage-queue';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text as textOf } from 'node:stream/consumers';
import {
  basicCredentials,
  createRegistries,
  packArtifact,
  pushPacked,
  type RegistryClient,
  isRecord,
} from '../../src/oci/index.js';
import { inlineBytes } from '../../src/operations/job-fields.js';
import { JOB_OPERATIONS } from '../../src/operations/job-schema.js';
import { parseJob } from '../../src/operations/parse-job.js';
import { GUIDE, type GuideJob } from './guide.js';
import { submitTyped, typeInto } from './guide/typed.js';
import { startEverything, until, type Everything } from '../support/stack/everything.js';

// The guide's operations as jobs: each once, in the guide's order, by the queue and over HTTP in turn; the first of each operation
// by the other of the two as well, and by the guide's own line with --submit.

interface Run {
  state: string;
  result?: { outcome: string; code?: string; reason?: string; digest?: string };
  output?: { value?: unknown };
}

const GUIDES_REGISTRY = 'myregistry.azurecr.io';
const DOCUMENT: GuideJob = {
  operation: 'attach',
  reference: `${GUIDES_REGISTRY}/sample-staging/net-monitor:v1`,
  artifactType: 'readme/example',
  files: [{ path: 'readme.md', mediaType: 'application/markdown', text: 'Readme Content\n' }],
};
/** Without what signs in, and what only shows what is there. */
const COMMANDS = GUIDE.flatMap(({ commands }) => commands).filter(
  ({ notRun, line }) => notRun !== true && !/^(?:oras login|tree|ACR_NAME|REGISTRY|USER_NAME|PASSWORD)\b/.test(line),
);

let up: Everything;
let client: RegistryClient;
/** Where the guide is typed. */
let folder: string;
const home = process.cwd();

beforeAll(async () => {
  up = await startEverything({
    settings: { JOB_OPERATIONS: JOB_OPERATIONS.join(',') },
    rules: ({ source, staging }) => ({
      rules: [
        {
          name: 'elsewhere',
          source: { registry: source, repositories: ['elsewhere/**'] },
          destination: { reference: `${staging}/staging/{repository}:{tag}` },
        },
      ],
    }),
  });
  client = createRegistries({ credentials: basicCredentials(up.user.name, up.user.password, [up.source]) });
  const image = packArtifact({
    artifactType: 'image/example',
    layers: [{ mediaType: 'application/vnd.oci.image.layer.v1.tar', bytes: Buffer.alloc(1024) }],
  });
  await pushPacked(client.repository(up.source, 'net-monitor'), image, { tag: 'v1' });
}, 120_000);
afterAll(async () => {
  await client?.close();
  await up?.stop();
}, 60_000);
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'acr-promoter-guide-'));
  process.chdir(folder);
});
afterEach(async () => {
  process.chdir(home);
  await rm(folder, { recursive: true, force: true });
});

/** A job as it is told apart by what it does: defaults filled in, files by their bytes. */
function meaning(text: string): unknown {
  const { id: _id, ...parsed } = parseJob(JSON.parse(text), { messageId: 'm' });
  // The command draws the tree itself, out of JSON.
  const job = parsed.operation === 'discover' ? { ...parsed, format: 'json' } : parsed;
  if (!('files' in job)) return job;
  const files = job.files.map(({ text: _text, base64: _base64, ...file }) => file);
  return { ...job, files, bytes: job.files.map((file) => inlineBytes(file)?.toString('utf8')) };
}

test('a line of the guide with --submit is the job that docs/how-to/oras-guide.md shows below it', async () => {
  const bodies: string[] = [];
  const letterbox = createServer((request, response) => {
    void textOf(request).then((body) => {
      if (body !== '') bodies.push(body);
      // Nobody does it: the command is told so, and ends.
      const taken = request.method === 'POST';
      response
        .writeHead(taken ? 202 : 404)
        .end(JSON.stringify(taken ? { id: 'j1', runId: 'r1', statusUrl: '/api/runs/r1' } : {}));
    });
  });
  letterbox.listen(0, '127.0.0.1');
  await once(letterbox, 'listening');
  const app = `http://127.0.0.1:${(letterbox.address() as AddressInfo).port}`;
  const [sbomDigest, docDigest] = ['a', 'b'].map((digit) => `sha256:${digit.repeat(64)}`) as [string, string];
  for (const command of COMMANDS) {
    const argv = await typeInto(folder, command, { registry: GUIDES_REGISTRY, sbomDigest, docDigest });
    if (command.job === undefined) continue;
    // What the app has in its container `source` isn't in the working folder.
    for (const name of Object.keys(command.jobBlobs ?? {}))
      await rm(name.split('/', 1)[0] ?? name, { recursive: true });
    await submitTyped(argv, command, app);
    const shown = JSON.stringify(command.job)
      .replaceAll('<sbom-digest>', sbomDigest)
      .replaceAll('<doc-digest>', docDigest);
    expect({ argv, job: meaning(bodies.at(-1) ?? '') }).toEqual({ argv, job: meaning(shown) });
  }
  letterbox.closeAllConnections();
  letterbox.close();
}, 120_000);

async function connectionString(): Promise<string> {
  return (await readFile(join(up.dataDir, 'storage-connection-string.txt'), 'utf8')).trim();
}

async function putBlob(name: string, text: string): Promise<void> {
  const container = BlobServiceClient.fromConnectionString(await connectionString()).getContainerClient('source');
  await container.getBlockBlobClient(name).upload(text, Buffer.byteLength(text));
}

async function ended(id: string, what: string): Promise<Run> {
  const run = await until(
    () => `the job ${what}\n${up.output().slice(-2000)}`,
    async () => {
      const response = await fetch(`${up.hostUrl}/api/jobs/${id}`);
      const seen = response.ok ? ((await response.json()) as Run) : undefined;
      return seen?.state === 'ended' ? seen : undefined;
    },
  );
  const { outcome, code, reason } = run.result ?? {};
  expect({ what, outcome, code, reason }).toMatchObject({ what, outcome: 'completed' });
  return run;
}

let count = 0;
async function send(job: GuideJob, door: 'queue' | 'http', placeholders: ReadonlyMap<string, string>): Promise<Run> {
  count += 1;
  const id = `guide-${count}`;
  let text = JSON.stringify({ id, ...job }).replaceAll(GUIDES_REGISTRY, up.source);
  for (const [name, value] of placeholders) text = text.replaceAll(name, value);
  if (door === 'queue') {
    const queue = QueueServiceClient.fromConnectionString(await connectionString()).getQueueClient('jobs');
    await queue.sendMessage(count % 4 === 0 ? Buffer.from(text).toString('base64') : text);
  } else {
    const response = await fetch(`${up.hostUrl}/api/jobs`, { method: 'POST', body: text });
    expect({ text, status: response.status }).toEqual({ text, status: 202 });
  }
  return ended(id, text);
}

/** What came of a job, wherever it was put; not of a copy what was there before, which is all of it the second time. */
function shown({ result, output }: Run): unknown {
  const value = output?.value;
  const told = isRecord(value) && 'report' in value ? { ...value, report: undefined } : value;
  return { digest: result?.digest, value: told };
}

test('every job in docs/how-to/oras-guide.md does what the line above it does, by queue and over HTTP', async () => {
  for (const { jobBlobs = {} } of COMMANDS) {
    for (const [name, text] of Object.entries(jobBlobs)) await putBlob(name, text);
  }
  const operations = new Set(COMMANDS.flatMap(({ job }) => job?.operation ?? []));
  expect([...operations].toSorted()).toEqual(
    ['attach', 'copy', 'discover', 'manifest.delete', 'manifest.fetch', 'pull', 'push', 'tags'].toSorted(),
  );
  const placeholders = new Map<string, string>();
  const done = new Map<string, unknown>();
  const doors = ['http', 'queue'] as const;
  let pushed: GuideJob | undefined;
  for (const command of COMMANDS) {
    const { job } = command;
    const [sbomDigest = '', docDigest = ''] = ['<sbom-digest>', '<doc-digest>'].map((name) => placeholders.get(name));
    const argv = await typeInto(folder, command, { registry: up.source, sbomDigest, docDigest });
    const key = JSON.stringify(job);
    // The guide discovers again what it has attached in between; anything else that it does again is the same.
    if (job === undefined || (done.has(key) && job.operation !== 'discover')) continue;
    if (job.operation === 'discover' && job.artifactType === 'readme/example') {
      await send(DOCUMENT, 'queue', placeholders);
    }
    const [door, other] = done.size % 2 === 0 ? doors : doors.toReversed();
    const run = await send(job, door ?? 'http', placeholders);
    if (operations.delete(job.operation)) {
      // Existing content is found, with the same result; what was deleted must be pushed again.
      const isGone = job.operation === 'manifest.delete' && pushed !== undefined;
      if (isGone && pushed) await send(pushed, 'http', placeholders);
      expect(shown(await send(job, other ?? 'queue', placeholders))).toEqual(shown(run));
      if (isGone && pushed) await send(pushed, 'http', placeholders);
      const submitted = await submitTyped(argv, command, up.hostUrl);
      expect(submitted).toEqual({ code: 0, err: expect.stringMatching(/, completed, run \S+$/m) });
      const runId = /, completed, run (\S+)$/m.exec(submitted.err)?.[1] ?? '';
      expect((await ended(runId, argv.join(' '))).result?.digest).toEqual(run.result?.digest);
    }
    if (job.operation === 'push') pushed = job;
    const value = run.output?.value;
    done.set(key, value);
    const [first] = (value as { referrers?: { digest: string; artifactType: string }[] } | undefined)?.referrers ?? [];
    if (first?.artifactType === 'sbom/example') placeholders.set('<sbom-digest>', first.digest);
    if (first?.artifactType === 'readme/example') placeholders.set('<doc-digest>', first.digest);
  }
  expect([...placeholders.keys()]).toEqual(['<sbom-digest>', '<doc-digest>']);
  const tree = [...done].find(([key]) => key.includes('"format":"tree"'))?.[1];
  expect(tree).toMatch(/sbom\/example\n[│ ] {3}└── sha256:[^]*?\n[│ ] {7}└── signature\/example/);
  const repository = client.repository(up.source, 'staging/net-monitor');
  const { digest } = await repository.resolve('v1');
  const types = (await repository.listReferrers(digest)).map(({ artifactType }) => artifactType);
  expect(new Set(types)).toEqual(new Set(['signature/example', 'sbom/example']));
  await expect(client.repository(up.source, 'samples/artifact').resolve('readme')).rejects.toMatchObject({
    code: 'MANIFEST_UNKNOWN',
  });
}, 240_000);
