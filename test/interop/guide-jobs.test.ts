import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { BlobServiceClient } from '@azure/storage-blob';
import { QueueServiceClient } from '@azure/storage-queue';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  basicCredentials,
  createRegistries,
  packArtifact,
  pushPacked,
  type RegistryClient,
} from '../../src/oci/index.js';
import { JOB_OPERATIONS } from '../../src/inbox/job-input.js';
import { GUIDE, type GuideJob } from './guide.js';
import { startEverything, until, type Everything } from './promotion/everything.js';

// The guide's operations as jobs: each once, in the guide's order, by the queue and over HTTP in turn.

interface Run {
  state: string;
  result?: { outcome: string; code?: string; reason?: string };
  output?: { value?: unknown };
}

const GUIDES_REGISTRY = 'myregistry.azurecr.io';
const DOCUMENT: GuideJob = {
  operation: 'attach',
  reference: `${GUIDES_REGISTRY}/sample-staging/net-monitor:v1`,
  artifactType: 'readme/example',
  files: [{ path: 'readme.md', mediaType: 'application/markdown', text: 'Readme Content\n' }],
};

let up: Everything;
let client: RegistryClient;

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

async function connectionString(): Promise<string> {
  return (await readFile(join(up.dataDir, 'storage-connection-string.txt'), 'utf8')).trim();
}

async function putBlob(name: string, text: string): Promise<void> {
  const container = BlobServiceClient.fromConnectionString(await connectionString()).getContainerClient('source');
  await container.getBlockBlobClient(name).upload(text, Buffer.byteLength(text));
}

let count = 0;
async function valueOf(job: GuideJob, placeholders: ReadonlyMap<string, string>): Promise<unknown> {
  count += 1;
  const id = `guide-${count}`;
  let text = JSON.stringify({ id, ...job }).replaceAll(GUIDES_REGISTRY, up.source);
  for (const [name, value] of placeholders) text = text.replaceAll(name, value);
  if (count % 2 === 0) {
    const queue = QueueServiceClient.fromConnectionString(await connectionString()).getQueueClient('jobs');
    await queue.sendMessage(Buffer.from(text).toString('base64'));
  } else {
    const response = await fetch(`${up.hostUrl}/api/jobs`, { method: 'POST', body: text });
    expect({ text, status: response.status }).toEqual({ text, status: 202 });
  }
  const run = await until(`the job ${text}\n${up.output().slice(-2000)}`, async () => {
    const response = await fetch(`${up.hostUrl}/api/jobs/${id}`);
    const seen = response.ok ? ((await response.json()) as Run) : undefined;
    return seen?.state === 'ended' ? seen : undefined;
  });
  expect({ text, result: run.result }).toMatchObject({ text, result: { outcome: 'completed' } });
  return run.output?.value;
}

test('every job that docs/guide.md shows does what the line above it does', async () => {
  for (const { jobBlobs = {} } of GUIDE.flatMap(({ commands }) => commands)) {
    for (const [name, text] of Object.entries(jobBlobs)) await putBlob(name, text);
  }
  const jobs = GUIDE.flatMap(({ commands }) => commands.flatMap(({ job }) => job ?? []));
  const operations = new Set(jobs.map(({ operation }) => operation));
  expect([...operations].toSorted()).toEqual(
    ['attach', 'copy', 'discover', 'manifest.delete', 'manifest.fetch', 'pull', 'push', 'tags'].toSorted(),
  );
  const placeholders = new Map<string, string>();
  const done = new Map<string, unknown>();
  for (const job of jobs) {
    const key = JSON.stringify(job);
    // The guide discovers again what it has attached in between; anything else that it does again is the same.
    if (done.has(key) && job.operation !== 'discover') continue;
    if (job.operation === 'discover' && job.artifactType === 'readme/example') await valueOf(DOCUMENT, placeholders);
    const value = await valueOf(job, placeholders);
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
