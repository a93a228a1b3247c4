import { createHash } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import {
  OCI_IMAGE_CONFIG,
  OCI_IMAGE_INDEX,
  OCI_IMAGE_MANIFEST,
  digestOf,
  encodeManifest,
  packArtifact,
  pushPacked,
  type Descriptor,
  type Repository,
} from '../../../src/oci/index.js';
import { until, type Everything } from '../../support/stack/everything.js';

// Graphs that are too large for one activity, pushed without ever being in memory as a whole.

const PUSHES_AT_ONCE = 16;
const CHUNK = Buffer.alloc(1024 * 1024, 'generated, and never kept ');

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

export async function pushBlob(repository: Repository, mediaType: string, bytes: Uint8Array): Promise<Descriptor> {
  const descriptor = { mediaType, digest: digestOf(bytes), size: bytes.length };
  await repository.pushBlob(descriptor, () => once(bytes));
  return descriptor;
}

/** The header of a file in a tar. */
export function tarHeader(name: string, fileBytes: number): Buffer {
  const header = Buffer.alloc(512);
  header.write(name, 0);
  header.write('0000644\0', 100);
  header.write('0000000\0', 108);
  header.write('0000000\0', 116);
  header.write(`${fileBytes.toString(8).padStart(11, '0')}\0`, 124);
  header.write('00000000000\0', 136);
  header.write('        0', 148);
  header.write('ustar\u000000', 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return header;
}

/** What follows the last file of a tar. */
export function tarPadding(fileBytes: number): Buffer {
  return Buffer.alloc(((512 - (fileBytes % 512)) % 512) + 1024);
}

/** A tar of one file, so large; the same size gives the same bytes. */
function* tarOfSize(fileBytes: number): Generator<Uint8Array> {
  yield tarHeader('data/large', fileBytes);
  for (let left = fileBytes; left > 0; left -= CHUNK.length) yield CHUNK.subarray(0, Math.min(left, CHUNK.length));
  yield tarPadding(fileBytes);
}

/** An image of one layer, which no process here ever holds. The tag comes last. */
export async function pushLargeImage(repository: Repository, fileBytes: number): Promise<Descriptor> {
  const hash = createHash('sha256');
  let size = 0;
  for (const chunk of tarOfSize(fileBytes)) {
    hash.update(chunk);
    size += chunk.length;
  }
  const digest = `sha256:${hash.digest('hex')}` as Descriptor['digest'];
  const layer = { mediaType: 'application/vnd.oci.image.layer.v1.tar', digest, size };
  await repository.pushBlob(layer, async function* () {
    yield* tarOfSize(fileBytes);
  });
  return pushImage(repository, [layer], 'v1');
}

/** Pushes an image of layers that are already there. @param diffIds by default, the layers are uncompressed */
export async function pushImage(
  repository: Repository,
  layers: Descriptor[],
  tag?: string,
  diffIds: readonly string[] = layers.map(({ digest }) => digest),
): Promise<Descriptor> {
  const rootfs = { type: 'layers', diff_ids: diffIds };
  const json = { architecture: 'amd64', os: 'linux', config: {}, rootfs };
  const config = await pushBlob(repository, OCI_IMAGE_CONFIG, Buffer.from(JSON.stringify(json)));
  const bytes = encodeManifest({ schemaVersion: 2, mediaType: OCI_IMAGE_MANIFEST, config, layers });
  return repository.pushManifest(bytes, OCI_IMAGE_MANIFEST, tag === undefined ? {} : { tag });
}

function smallLayer(content: string): Uint8Array {
  const chunks = [...tarOfSize(512)];
  const [header = new Uint8Array(), , end = new Uint8Array()] = chunks;
  return Buffer.concat([header, Buffer.alloc(512, content), end]);
}

async function inTurns<T>(items: readonly T[], work: (item: T) => Promise<unknown>): Promise<void> {
  const queue = [...items];
  await Promise.all(
    Array.from({ length: PUSHES_AT_ONCE }, async () => {
      for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item);
    }),
  );
}

/** A subject with so many referrers, each with a blob of its own. The tag comes last. */
export async function pushSubject(repository: Repository, referrers: number): Promise<Descriptor> {
  const layer = await pushBlob(repository, 'application/vnd.oci.image.layer.v1.tar', smallLayer(`of ${referrers} `));
  const subject = await pushImage(repository, [layer]);
  await inTurns(
    Array.from({ length: referrers }, (_, index) => index),
    (index) => {
      const layers = [{ mediaType: 'text/plain', bytes: Buffer.from(`report ${index} of ${referrers}`) }];
      return pushPacked(repository, packArtifact({ artifactType: 'application/x-report', layers, subject }));
    },
  );
  const { bytes } = await repository.fetchManifest(subject);
  return repository.pushManifest(bytes, OCI_IMAGE_MANIFEST, { tag: 'v1' });
}

/** An index of so many images. */
export async function pushIndex(repository: Repository, children: number): Promise<Descriptor> {
  const manifests: Descriptor[] = [];
  await inTurns(
    Array.from({ length: children }, (_, index) => index),
    async (index) => {
      const layer = await pushBlob(repository, 'application/vnd.oci.image.layer.v1.tar', smallLayer(`child ${index} `));
      const image = await pushImage(repository, [layer]);
      manifests.push({ ...image, platform: { os: 'linux', architecture: `a${index}` } });
    },
  );
  const bytes = encodeManifest({ schemaVersion: 2, mediaType: OCI_IMAGE_INDEX, manifests });
  return repository.pushManifest(bytes, OCI_IMAGE_INDEX, { tag: 'v1' });
}

/** A step as the run's answer has it. */
export interface Step {
  step: string;
  state: string;
  startedAt: string;
  updatedAt: string;
  doneBytes?: number;
  totalBytes?: number;
  doneNodes?: number;
  totalNodes?: number;
}

export async function stepsOf(up: Everything, runId: string): Promise<Step[]> {
  const answer = await fetch(`${up.hostUrl}/api/runs/${runId}`);
  return ((await answer.json()) as { steps: Step[] }).steps;
}

/** Waits until the copy of a promotion that is under way is that far. @throws if it was over before */
export async function copyIs(
  up: Everything,
  repository: string,
  isSo: (copy: Step) => boolean,
  withinMs = 10 * 60_000,
  everyMs = 5,
): Promise<Step> {
  const row = await until('the promotion', () => up.promotion(repository, 'v1'));
  for (const end = Date.now() + withinMs; Date.now() < end;) {
    const steps = await stepsOf(up, row.runId ?? '').catch(() => []);
    const copy = steps.find(({ step }) => step === 'copy');
    if (copy !== undefined && copy.state !== 'done' && isSo(copy)) return copy;
    if (steps.some(({ step }) => step === 'tagDestination')) throw new Error('the copy was over before it was seen');
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
  throw new Error(`the copy of ${repository} was not that far in ${withinMs} ms`);
}

/** What the engine keeps of a run: of each of its orchestrations, the run's own first. */
export interface HistorySize {
  id: string;
  events: number;
  /** Of all events, in bytes of JSON. */
  bytes: number;
  largestEvent: number;
  activities: number;
}

export function historyOf(up: Everything, runId: string): HistorySize[] {
  const database = new DatabaseSync(join(up.dataDir, 'host', 'host.sqlite'), { readOnly: true });
  try {
    const rows = database
      .prepare(
        `SELECT instance AS id, count(*) AS events, sum(length(event)) AS bytes, max(length(event)) AS largestEvent,
           sum(json_extract(event, '$.EventType') = 4) AS activities
         FROM history WHERE instance = ? OR instance LIKE ? GROUP BY instance ORDER BY instance`,
      )
      .all(runId, `${runId}-%`);
    return rows.map((row) => ({
      id: String(row['id']),
      events: Number(row['events']),
      bytes: Number(row['bytes']),
      largestEvent: Number(row['largestEvent']),
      activities: Number(row['activities']),
    }));
  } finally {
    database.close();
  }
}

/** What the host takes while it is watched. */
export class HostWatch {
  #mostBytes = 0;
  readonly #up: Everything;
  readonly #timer: NodeJS.Timeout;
  readonly #before: Promise<number>;

  constructor(up: Everything) {
    this.#up = up;
    this.#before = this.#cpuSeconds();
    this.#timer = setInterval(() => void this.#look(), 250);
  }

  async #look(): Promise<void> {
    try {
      const resident = Number(await this.#ask('rss=')) * 1024;
      this.#mostBytes = Math.max(this.#mostBytes, resident);
    } catch {
      // It was killed a moment ago.
    }
  }

  async #ask(column: string): Promise<string> {
    const pid = await this.#up.processId('host');
    return execFileSync('ps', ['-o', column, '-p', String(pid)], { encoding: 'utf8' });
  }

  async #cpuSeconds(): Promise<number> {
    return Number(await this.#ask('cputimes='));
  }

  /** @returns the most memory that was resident, and processor time: of the same process, or since it was started again. */
  async end(): Promise<{ memory: number; cpuSeconds: number }> {
    clearInterval(this.#timer);
    const [before, after] = [await this.#before, await this.#cpuSeconds()];
    return { memory: this.#mostBytes, cpuSeconds: after < before ? after : after - before };
  }
}

/** Requests that the staging registry has answered, by method. */
export function requestsAt(up: Everything, registry: 'source' | 'staging', repository: string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const line of readFileSync(join(up.dataDir, `registry-${registry}`, 'requests.jsonl'), 'utf8').split('\n')) {
    if (line === '') continue;
    const { method, path } = JSON.parse(line) as { method: string; path: string };
    if (path.includes(`/${repository}/`)) counts.set(method, (counts.get(method) ?? 0) + 1);
  }
  return counts;
}
