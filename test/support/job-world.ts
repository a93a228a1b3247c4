import { type JobInput, JOB_OPERATIONS } from '../../src/operations/job-schema.js';
import { parseJob } from '../../src/operations/parse-job.js';
import { digestOf, packArtifact, pushPacked, type Descriptor } from '../../src/oci/index.js';
import type { RunRow } from '../../src/rows/run-row.js';
import { runOperationStep } from '../../src/operations/run-operation.js';
import type { RegistryListing } from '../../src/ports/registry-listing.js';
import type { MemoryRepository } from './memory-repository.js';
import { REGISTRY, newCall, newWorld, notFound, runOf, type World } from './world.js';

/** Opens for each operation what rules read too. */
const EVERYWHERE = Object.fromEntries(
  JOB_OPERATIONS.map((operation) => [operation, operation === 'copy' ? { to: ['**'] } : ['**']]),
);

/** A world in which jobs may do everything but to what a rule writes, and in which single blobs can be named. */
export function newJobWorld(): World {
  const world = newWorld();
  world.jobPolicy = { allowedRegistries: [REGISTRY], operations: JOB_OPERATIONS, scopes: EVERYWHERE, credentials: {} };
  const { registry } = world.listing;
  const repository = (host: string, name: string) => withBlobs(world.registries.repository(host, name));
  // Of a registry's repository the operations ask for nothing else.
  world.listing = { registry, repository: repository as unknown as RegistryListing['repository'] };
  return world;
}

function withBlobs(repository: MemoryRepository): MemoryRepository {
  const blobs = {
    async resolveBlob(digest: string) {
      const bytes = repository.blobs.get(digest);
      if (bytes === undefined) throw notFound('BLOB_UNKNOWN', digest);
      return { mediaType: 'application/octet-stream', digest, size: bytes.length };
    },
    async deleteBlob({ digest }: Descriptor) {
      if (!repository.blobs.delete(digest)) throw notFound('BLOB_UNKNOWN', digest);
    },
  };
  return Object.assign(repository, blobs);
}

/** An artifact of one file, under a tag. */
export async function pushSample(world: World, repository: string, tag: string, text = 'hello'): Promise<Descriptor> {
  const layer = {
    mediaType: 'text/plain',
    bytes: Buffer.from(text),
    annotations: { 'org.opencontainers.image.title': 'hello.txt' },
  };
  const packed = packArtifact({ artifactType: 'doc/example', layers: [layer] });
  await pushPacked(world.registries.repository(REGISTRY, repository), packed, { tag });
  return packed.descriptor;
}

export function blobOf(text: string): { digest: string; bytes: Buffer } {
  const bytes = Buffer.from(text);
  return { digest: digestOf(bytes), bytes };
}

/** A job's row, as it is when its operation runs. */
export async function openJobRun(world: World, job: Record<string, unknown>, runId = 'r1'): Promise<JobInput> {
  const parsed = parseJob(job, { messageId: runId });
  await world.store.insertRun({
    id: runId,
    input: { kind: 'job', runId, job: parsed },
    state: 'running',
    openedAt: world.now().toISOString(),
  });
  return parsed;
}

/** Does a job's operation; @returns its run, with what it has to show. */
export async function perform(world: World, job: Record<string, unknown>, runId = 'r1'): Promise<RunRow> {
  await openJobRun(world, job, runId);
  await again(world, runId);
  return runOf(world, runId);
}

/** The activity once more, as after a crash. */
export function again(world: World, runId = 'r1'): ReturnType<typeof runOperationStep> {
  return runOperationStep(world, { runId, label: 'it' }, newCall());
}

export async function valueOf(world: World, job: Record<string, unknown>, runId = 'r1'): Promise<unknown> {
  const { output } = await perform(world, job, runId);
  return output?.kind === 'inline' ? output.value : output;
}
