import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { join } from 'node:path';
import { IS_FULL, measureRun, REPETITIONS, startBench, type Bench } from './bench.js';
import { copyCommands } from './clients.js';
import { pushImage } from './content.js';
import { measureEach, type Command } from './measure.js';
import { describeResult, keepResult, summarize, type Run } from './results.js';

const ROUND_TRIP_MS = 20;
const TAGS = IS_FULL ? 200 : 20;
const CHILD = join(import.meta.dirname, 'compare-tags.child.ts');

let bench: Bench | undefined;
beforeAll(async () => {
  bench = await startBench();
}, 60_000);
afterAll(() => bench?.stop());

test(
  'tags that are in sync',
  async () => {
    if (bench === undefined) return;
    const { source, destination, client, folder, certificate } = bench;
    const tags = Array.from({ length: TAGS }, (_, index) => `v${index}`);
    for (const [index, tag] of tags.entries()) {
      const image = { tag, layers: 1, layerBytes: 20_000, referrers: 1, seed: 3000 + index * 10 };
      await pushImage(client.repository(source.host, 'tags/app'), image);
      await pushImage(client.repository(destination.host, 'tags/app'), image);
    }
    const registries = [source, destination];
    const [from, to] = await Promise.all(registries.map((registry) => registry.delayed(ROUND_TRIP_MS)));
    if (from === undefined || to === undefined) throw new Error('no way to the registries');
    const compare = (what: string): Command[] => [
      {
        program: process.execPath,
        args: [
          '--no-warnings',
          '--experimental-strip-types',
          CHILD,
          `${from}/tags/app`,
          `${to}/tags/app`,
          certificate.certFile,
          what,
        ],
      },
    ];
    const commands = await copyCommands(folder, certificate, [from, to]);
    const oras = commands.get('oras');
    const copies =
      oras === undefined ? [] : tags.map((tag) => oras(`${from}/tags/app:${tag}`, `${to}/tags/app:${tag}`));
    const runs = new Map<string, Run[]>();
    const all: [string, Command[]][] = [
      ['acr-promoter, referrers too', compare('referrers')],
      ['acr-promoter', compare('tags')],
      ['oras', copies],
    ];
    for (let repetition = 0; repetition <= REPETITIONS; repetition += 1) {
      for (const [name, each] of all) {
        const [first, ...more] = each;
        // Two hundred processes warm up by themselves.
        if (first === undefined || (repetition === 0 && more.length > 0)) continue;
        const run = await measureRun(registries, first, () => measureEach(each));
        if (repetition > 0) runs.set(name, [...(runs.get(name) ?? []), run]);
      }
    }
    const result = {
      name: 'tags',
      title: `${TAGS} tags that are in sync, ${ROUND_TRIP_MS} ms; oras once for each`,
      repetitions: REPETITIONS,
      target: { wall: 0.05 },
      clients: [...runs].map(([name, of]) => summarize(name, of)),
    };
    keepResult(result);
    process.stdout.write(`${describeResult(result)}\n`);
    const ours = [...(runs.get('acr-promoter') ?? []), ...(runs.get('acr-promoter, referrers too') ?? [])];
    expect(ours).toHaveLength(2 * REPETITIONS);
    const writes = ours.flatMap(({ requests }) =>
      requests.flat().filter(({ method }) => method !== 'GET' && method !== 'HEAD'),
    );
    expect(writes).toEqual([]);
  },
  60 * 60 * 1000,
);
