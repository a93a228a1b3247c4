import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { join } from 'node:path';
import { IS_FULL, measureRun, REPETITIONS, startBench, type Bench } from './bench.js';
import { pushImage } from './content.js';
import { describeResult, keepResult, summarize, type Run } from './results.js';

const CHILD = join(import.meta.dirname, 'http-version.child.ts');
const ROUND_TRIP_MS = 20;
const VERSIONS = ['1.1', '2'];

let bench: Bench | undefined;
beforeAll(async () => {
  bench = await startBench();
}, 60_000);
afterAll(() => bench?.stop());

const layerBytes = (IS_FULL ? 256 : 16) * 1024 * 1024;
const KINDS: { kind: string; title: string; times: number; delayed: boolean }[] = [
  { kind: 'head', title: '300 HEAD of a manifest', times: 300, delayed: true },
  { kind: 'manifest', title: '300 GET of a manifest', times: 300, delayed: true },
  { kind: 'upload', title: '100 uploads of 4 KiB (POST, PUT)', times: 100, delayed: true },
  { kind: 'layers', title: `four layers of ${layerBytes / 1024 / 1024} MiB, hashed`, times: 4, delayed: false },
];

test.each(KINDS)(
  'HTTP/1.1 and HTTP/2: $title',
  async ({ kind, title, times, delayed }) => {
    if (bench === undefined) return;
    const { source, client, certificate } = bench;
    const image = { tag: 'v1', layers: 4, layerBytes: kind === 'layers' ? layerBytes : 1000, referrers: 0 };
    await pushImage(client.repository(source.host, `${kind}/app`), image);
    const host = delayed ? await source.delayed(ROUND_TRIP_MS) : source.host;
    const runs = new Map<string, Run[]>();
    for (let repetition = 0; repetition <= REPETITIONS; repetition += 1) {
      for (const version of VERSIONS) {
        const args = [version, kind, String(times), `https://${host}/v2/${kind}/app`, certificate.certFile];
        const node = ['--no-warnings', '--experimental-strip-types', CHILD];
        const run = await measureRun([source], { program: process.execPath, args: [...node, ...args] });
        if (repetition > 0) runs.set(version, [...(runs.get(version) ?? []), run]);
      }
    }
    const result = {
      name: `http-version-${kind}`,
      title: delayed ? `${title}, ${ROUND_TRIP_MS} ms` : title,
      repetitions: REPETITIONS,
      target: { wall: 1 },
      clients: [...runs].map(([version, of]) => summarize(`HTTP/${version}`, of)),
    };
    keepResult(result);
    process.stdout.write(`${describeResult(result)}\n`);
    // The version that was offered is the one that was spoken.
    expect(result.clients.map(({ protocols }) => protocols)).toEqual([['HTTP/1.1'], ['HTTP/2.0']]);
  },
  30 * 60 * 1000,
);
