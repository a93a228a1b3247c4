import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { IS_FULL, measureRun, REPETITIONS, startBench, type Bench } from './bench.js';
import { copyCommands, type ClientName, type CopyCommand } from './clients.js';
import { pushImage } from './content.js';
import { describeResult, keepResult, summarize, type CaseResult, type Run } from './results.js';
import type { TlsRegistry } from './servers.js';

const MIB = 1024 * 1024;
const ROUND_TRIP_MS = 20;
const LONG_MS = 30 * 60 * 1000;
/** MB that a copy may take, whatever the size of what is copied. */
const MOST_MB = 200;

let bench: Bench | undefined;
beforeAll(async () => {
  bench = await startBench();
}, 60_000);
afterAll(() => bench?.stop());

interface Route {
  /** `localhost:port/repository` of the source. */
  from: string;
  to: (repetition: number, client: ClientName) => string;
  registries: TlsRegistry[];
}

type Runs = Map<ClientName, Run[]>;

/** Everybody in turn, each repetition; the first one warms up caches and is left out where there are others. */
async function runAll(
  commands: Map<ClientName, CopyCommand>,
  route: Route,
  times: { again: boolean },
): Promise<{ first: Runs; again: Runs }> {
  const first: Runs = new Map();
  const again: Runs = new Map();
  const note = (runs: Runs, client: ClientName, run: Run): void => {
    runs.set(client, [...(runs.get(client) ?? []), run]);
  };
  for (let repetition = 0; repetition <= REPETITIONS; repetition += 1) {
    for (const [client, command] of commands) {
      const call = command(`${route.from}:v1`, `${route.to(repetition, client)}:v1`);
      const run = await measureRun(route.registries, call);
      if (repetition > 0) note(first, client, run);
      if (!times.again) continue;
      const second = await measureRun(route.registries, call);
      if (repetition > 0) note(again, client, second);
    }
  }
  return { first, again };
}

function conclude(result: Omit<CaseResult, 'clients' | 'repetitions'>, runs: Runs): void {
  const clients = [...runs].map(([client, of]) => summarize(client, of));
  const whole = { ...result, repetitions: REPETITIONS, clients };
  keepResult(whole);
  process.stdout.write(`${describeResult(whole)}\n`);
  const ours = clients.find(({ client }) => client === 'acr-promoter');
  expect(ours?.peakMb).toBeLessThan(MOST_MB);
}

async function countReferrers({ client, destination }: Bench, repository: string): Promise<number> {
  const copied = client.repository(destination.host, repository);
  const { digest } = await copied.resolve('v1');
  return (await copied.listReferrers(digest)).length;
}

test(
  'large layers',
  async () => {
    if (bench === undefined) return;
    const { source, destination, client, folder, certificate } = bench;
    const layerBytes = (IS_FULL ? 256 : 16) * MIB;
    await pushImage(client.repository(source.host, 'large/app'), { tag: 'v1', layers: 4, layerBytes, referrers: 0 });
    const commands = await copyCommands(folder, certificate, [source.host, destination.host]);
    const to = (repetition: number, name: ClientName): string => `${destination.host}/large-${repetition}/${name}`;
    const route = { from: `${source.host}/large/app`, to, registries: [source, destination] };
    const { first } = await runAll(commands, route, { again: false });
    const title = `${(4 * layerBytes) / MIB} MiB in four layers`;
    conclude({ name: 'large-layers', title, target: { wall: 0.85, cpu: 1.3 } }, first);
    await client.repository(destination.host, 'large-1/acr-promoter').resolve('v1');
  },
  LONG_MS,
);

test(
  'many referrers, and the same again',
  async () => {
    if (bench === undefined) return;
    const { source, destination, client, folder, certificate } = bench;
    const referrers = IS_FULL ? 100 : 20;
    const image = { tag: 'v1', layers: 2, layerBytes: MIB / 4, referrers, seed: 1000 };
    await pushImage(client.repository(source.host, 'referred/app'), image);
    const [from, into] = await Promise.all([source.delayed(ROUND_TRIP_MS), destination.delayed(ROUND_TRIP_MS)]);
    const commands = await copyCommands(folder, certificate, [from, into]);
    const to = (repetition: number, name: ClientName): string => `${into}/referred-${repetition}/${name}`;
    const route = { from: `${from}/referred/app`, to, registries: [source, destination] };
    const { first, again } = await runAll(commands, route, { again: true });
    const title = `a subject with ${referrers} referrers, tag schema, ${ROUND_TRIP_MS} ms`;
    conclude({ name: 'referrers', title, target: { wall: 0.15 } }, first);
    conclude({ name: 'referrers-again', title: `${title}, nothing to do`, target: { wall: 0.1 } }, again);
    expect(await countReferrers(bench, 'referred-1/acr-promoter')).toBe(referrers);
    const writes = again
      .get('acr-promoter')
      ?.flatMap((run) => run.requests.flat().filter(({ method }) => method !== 'GET' && method !== 'HEAD'));
    expect(writes).toEqual([]);
  },
  LONG_MS,
);

test(
  'a promotion inside one registry',
  async () => {
    if (bench === undefined) return;
    const { destination, client, folder, certificate } = bench;
    const image = { tag: 'v1', layers: 40, layerBytes: IS_FULL ? 4 * MIB : MIB / 16, referrers: 6, seed: 2000 };
    await pushImage(client.repository(destination.host, 'dev/app'), image);
    const host = await destination.delayed(ROUND_TRIP_MS);
    const commands = await copyCommands(folder, certificate, [host]);
    const to = (repetition: number, name: ClientName): string => `${host}/staging-${repetition}/${name}`;
    const route = { from: `${host}/dev/app`, to, registries: [destination] };
    const { first } = await runAll(commands, route, { again: false });
    const title = `inside one registry: 40 layers, 6 referrers, ${ROUND_TRIP_MS} ms`;
    conclude({ name: 'same-registry', title, target: { wall: 0.5 } }, first);
    expect(await countReferrers(bench, 'staging-1/acr-promoter')).toBe(6);
    // Every layer is mounted: nothing is uploaded but manifests.
    const uploads = first
      .get('acr-promoter')
      ?.flatMap((run) =>
        run.requests.flat().filter(({ method, path }) => method === 'PUT' && path.includes('/blobs/uploads/')),
      );
    expect(uploads).toEqual([]);
  },
  LONG_MS,
);
