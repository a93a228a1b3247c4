import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { userRegistries } from '../../local/start/push.js';
import type { Descriptor, RegistryClient, Repository } from '../../src/oci/index.js';
import { startEverything, until, type Everything } from '../support/stack/everything.js';
import {
  HostWatch,
  copyIs,
  historyOf,
  pushIndex,
  pushLargeImage,
  pushSubject,
  requestsAt,
  stepsOf,
  type HistorySize,
  type Step,
} from './promotion/large.js';
import { expectPromotedOnce, settled } from './promotion/promoted.js';

// However large a graph is: activities of bounded count and time, a history that stays small, memory that stays where it is. What
// it took is printed; only bounds that hold on any machine fail it.

const FULL = process.env['FULL'] !== undefined;
const MIB = 1024 * 1024;
const REFERRERS = FULL ? [100, 1_000, 5_000] : [100, 1_000];
const CHILDREN = 100;
const LAYER_BYTES = FULL ? 2_000 * MIB : 200 * MIB;
/** A larger blob is moved in pieces that survive a kill. */
const PART_BYTES = 32 * MIB;
const PIECE_BYTES = 16 * MIB;
/** Requests of one call: so few that the smaller graphs take several, too. */
const WALK_REQUESTS = FULL ? 5_000 : 700;
/** An instance has 2 GiB, of which the host itself takes its share. */
const MOST_HOST_BYTES = 600 * MIB;
/** What Azure Storage keeps in a message; a larger payload goes to a blob. The Durable Task Scheduler takes 1 MB. */
const MOST_EVENT_BYTES = 45_000;
/** Activities of one run: each long step takes a few calls. */
const MOST_ACTIVITIES = FULL ? 40 : 30;

let up: Everything;
let registries: RegistryClient;
beforeAll(async () => {
  up = await startEverything({
    settings: { COPY_PART_BYTES: String(PART_BYTES), WALK_REQUESTS: String(WALK_REQUESTS) },
    // Slow enough for the layer to be seen on its way on any machine.
    args: ['--source-quirks', 'blobBytesPerSecond=100000000'],
  });
  registries = userRegistries(up);
}, 120_000);
afterAll(async () => {
  await registries?.close();
  await up?.stop();
}, 60_000);

const at = (registry: string, name: string): Repository => registries.repository(registry, name);

/** What earlier graphs left in the host's memory is no other's. */
async function restartHost(): Promise<void> {
  const before = await up.processId('host');
  process.kill(before, 'SIGKILL');
  await until('another host', async () => {
    const isOther = (await up.processId('host').catch(() => before)) !== before;
    const isReady = await fetch(`${up.hostUrl}/api/health`).then(
      ({ ok }) => ok,
      () => false,
    );
    return isOther && isReady ? true : undefined;
  });
}

/** From the first step's start to the last one's end, in milliseconds. */
function spanMs(steps: readonly Step[], name = ''): number {
  const some = steps.filter(({ step }) => step.startsWith(name));
  if (some.length === 0) return 0;
  const starts = some.map(({ startedAt }) => Date.parse(startedAt));
  return Math.max(...some.map(({ updatedAt }) => Date.parse(updatedAt))) - Math.min(...starts);
}

const megabytes = (bytes: number): string => `${Math.round(bytes / MIB)} MiB`;
const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

function expectSmall(history: readonly HistorySize[]): void {
  // Size makes no other orchestrations.
  expect(history).toHaveLength(1);
  for (const { activities, largestEvent } of history) {
    expect(activities).toBeLessThanOrEqual(MOST_ACTIVITIES);
    expect(largestEvent).toBeLessThan(MOST_EVENT_BYTES);
  }
}

const sum = (history: readonly HistorySize[], of: 'activities' | 'bytes'): number =>
  history.reduce((total, each) => total + each[of], 0);

async function killDuringCopy(repository: string, isThen: (copy: Step) => boolean): Promise<void> {
  await copyIs(up, repository, isThen, 30 * 60_000);
  process.kill(await up.processId('host'), 'SIGKILL');
}

/** Pushes something, waits until it is promoted, and tells what that took. */
async function promoted(
  repository: string,
  push: (to: Repository) => Promise<Descriptor>,
  killAt?: (copy: Step) => boolean,
): Promise<{ root: Descriptor; steps: Step[]; history: HistorySize[]; took: string }> {
  const root = await push(at(up.source, repository));
  const watch = new HostWatch(up);
  const killing = killAt && killDuringCopy(repository, killAt);
  const { last } = await settled(up, repository, 'v1', 30 * 60_000);
  await killing;
  const { memory, cpuSeconds } = await watch.end();
  // Referrers are evidence, each of which may have asked for a further look.
  const run = await until('its run', async () => {
    const answer = await fetch(`${up.hostUrl}/api/runs?repository=${encodeURIComponent(repository)}`);
    const { runs } = (await answer.json()) as { runs: { id: string; result?: { outcome: string } }[] };
    return runs.find(({ result }) => result?.outcome === 'promoted');
  });
  expect(last).toMatchObject({ digest: root.digest });
  const [steps, history] = [await stepsOf(up, run.id), historyOf(up, run.id)];
  expectSmall(history);
  expect(memory).toBeLessThan(MOST_HOST_BYTES);
  return { root, steps, history, took: `host ${megabytes(memory)}, ${cpuSeconds} s of CPU` };
}

describe('a subject with many referrers', () => {
  test.each(REFERRERS)(
    '%i of them, of the most with the host killed in the middle',
    async (count) => {
      const repository = `samples/referrers-${count}`;
      await restartHost();
      const isMost = count === REFERRERS.at(-1);
      const half = ({ doneNodes = 0 }: Step): boolean => doneNodes > count / 2;
      const { root, steps, history, took } = await promoted(
        repository,
        (to) => pushSubject(to, count),
        isMost ? half : undefined,
      );
      const copyMs = spanMs(steps, 'copy');
      process.stderr.write(
        `${count} referrers: ${seconds(spanMs(steps))} in all, copy ${seconds(copyMs)}` +
          ` (${(copyMs / count).toFixed(1)} ms each), arrival ${seconds(spanMs(steps, 'verifyArrival'))};` +
          ` ${sum(history, 'activities')} activities, ${sum(history, 'bytes')} bytes of history;` +
          ` ${took}\n`,
      );
      const listed = await at(up.staging, `staging/${repository}`).listReferrers(root.digest);
      const reports = listed.filter(({ artifactType }) => artifactType === 'application/x-report');
      expect(reports).toHaveLength(count);
      // Its SBOM and its signature.
      expect(listed).toHaveLength(count + 2);
      // Two requests for each at the source to be planned: so many calls, and some for the other steps. One row for all of them.
      const activities = sum(history, 'activities');
      if (2 * count > WALK_REQUESTS)
        expect(activities).toBeGreaterThan(6 + Math.floor((2 * count) / WALK_REQUESTS) - 1);
      else expect(activities).toBe(6);
      const copies = steps.filter(({ step }) => step === 'copy');
      expect(copies).toMatchObject([{ state: 'done' }]);
      expect(copies[0]?.doneNodes).toBe(copies[0]?.totalNodes);
      expect(copies[0]?.totalNodes).toBeGreaterThanOrEqual(2 * count + 2);
    },
    40 * 60_000,
  );

  test(
    'nothing differs: asked again, it says so',
    async () => {
      const count = REFERRERS.at(-1) ?? 0;
      const row = await up.promotion(`samples/referrers-${count}`, 'v1');
      const answer = await fetch(`${up.hostUrl}/api/promotions/${row?.id}/run`, { method: 'POST' });
      expect(answer.status).toBe(202);
      const { last } = await until(
        'the look',
        async () => {
          const now = await up.promotion(`samples/referrers-${count}`, 'v1');
          return now?.last !== undefined && !now.runOpen && now.last.runId !== row?.last?.runId ? now : undefined;
        },
        10 * 60_000,
      );
      expect(last?.outcome).toBe('unchanged');
      const steps = await stepsOf(up, last?.runId ?? '');
      process.stderr.write(`${count} referrers, nothing to do: ${seconds(spanMs(steps))}\n`);
    },
    15 * 60_000,
  );
});

test(
  `an index of ${CHILDREN} images`,
  async () => {
    await restartHost();
    const { root, steps, history, took } = await promoted('samples/index', (to) => pushIndex(to, CHILDREN));
    process.stderr.write(
      `an index of ${CHILDREN}: ${seconds(spanMs(steps))} in all, SBOMs and signatures ${seconds(spanMs(steps, 'attach'))},` +
        ` copy ${seconds(spanMs(steps, 'copy'))}; ${sum(history, 'activities')} activities,` +
        ` ${sum(history, 'bytes')} bytes of history, ${Math.max(...history.map(({ largestEvent }) => largestEvent))} in the largest event;` +
        ` ${took}\n`,
    );
    await expectPromotedOnce(up, 'samples/index', root.digest);
  },
  20 * 60_000,
);

test(
  'a layer that is moved in pieces, the host killed in the middle',
  async () => {
    await restartHost();
    const { root, steps, history, took } = await promoted(
      'samples/large',
      (to) => pushLargeImage(to, LAYER_BYTES),
      ({ doneBytes = 0 }) => doneBytes > LAYER_BYTES / 3,
    );
    const calls = sum(history, 'activities');
    process.stderr.write(
      `a layer of ${megabytes(LAYER_BYTES)}: ${seconds(spanMs(steps))} in all, copy ${seconds(spanMs(steps, 'copy'))}; ${calls} activities,` +
        ` ${sum(history, 'bytes')} bytes of history; ${took}\n`,
    );
    const copy = steps.find(({ step }) => step === 'copy');
    expect(copy?.doneBytes).toBeGreaterThanOrEqual(LAYER_BYTES);
    expect(copy?.doneBytes).toBe(copy?.totalBytes);
    // The kill cost a piece or two, not what had come before.
    const pieces = requestsAt(up, 'staging', 'staging/samples/large').get('PATCH') ?? 0;
    expect(pieces).toBeGreaterThanOrEqual(Math.ceil(LAYER_BYTES / PIECE_BYTES));
    expect(pieces).toBeLessThanOrEqual(Math.ceil(LAYER_BYTES / PIECE_BYTES) + 3);
    await expectPromotedOnce(up, 'samples/large', root.digest);
  },
  40 * 60_000,
);
