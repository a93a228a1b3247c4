import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findPeer } from '../support/peers.js';
import { IS_FULL, REPETITIONS } from './bench.js';
import { median } from './measure.js';
import { OUT, startImages, type Images } from './sbom-images.js';
import type { ToolRun } from './sbom-tools.js';

let images: Images | undefined;
beforeAll(async () => {
  if (IS_FULL) images = await startImages(['debian', 'large']);
}, 3_600_000);
afterAll(() => images?.stop());

function started(): Images {
  if (images === undefined) throw new Error('the images are there with FULL=1');
  return images;
}

interface Figures {
  image: string;
  cache: 'cold' | 'warm';
  tool: string;
  wallMs: number;
  wallRangeMs: number[];
  cpuMs: number;
  peakMb: number;
  diskMb: number;
}

function figuresOf(image: string, cache: Figures['cache'], tool: string, runs: readonly ToolRun[]): Figures {
  const of = (pick: (run: ToolRun) => number): number => Math.round(median(runs.map(pick)));
  const walls = runs.map(({ wallMs }) => Math.round(wallMs));
  return {
    image,
    cache,
    tool,
    wallMs: of((run) => run.wallMs),
    wallRangeMs: [Math.min(...walls), Math.max(...walls)],
    cpuMs: of((run) => run.cpuMs),
    peakMb: of((run) => run.peakMb),
    diskMb: of((run) => run.diskMb),
  };
}

function report(name: string, figures: readonly Figures[]): void {
  writeFileSync(join(OUT, `${name}.json`), `${JSON.stringify(figures, undefined, 2)}\n`);
  for (const { image, cache, tool, wallMs, wallRangeMs, cpuMs, peakMb, diskMb } of figures)
    process.stdout.write(
      `${image} ${cache} ${tool}: ${wallMs} ms (${wallRangeMs.join('-')}), CPU ${cpuMs} ms, ${peakMb} MB, disk ${diskMb} MB\n`,
    );
}

function emptyFolder(name: string): string {
  const folder = join(started().work, name);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  return folder;
}

test.each(['debian', 'large'])(
  'wall, CPU, memory and disk for %s',
  async (image) => {
    if (!IS_FULL) return;
    const { host, tools } = started();
    const reference = `${host}/${image}:v1`;
    const runs = new Map<string, { cold: ToolRun[]; warm: ToolRun[] }>(
      tools.map(({ name }) => [name, { cold: [], warm: [] }]),
    );
    for (let repetition = 0; repetition < REPETITIONS; repetition += 1) {
      for (const tool of tools) {
        const folder = emptyFolder(`${image}-${tool.name}`);
        runs.get(tool.name)?.cold.push(await tool.run(reference, folder));
        runs.get(tool.name)?.warm.push(await tool.run(reference, folder));
      }
    }
    const figures = [...runs].flatMap(([name, { cold, warm }]) => [
      figuresOf(image, 'cold', name, cold),
      figuresOf(image, 'warm', name, warm),
    ]);
    report(`sbom-bench-${image}`, figures);
    const ours = figures.find(({ tool, cache }) => tool === 'acr-promoter' && cache === 'cold');
    const theirs = figures.find(({ tool, cache }) => tool === 'syft' && cache === 'cold');
    // What it keeps of the layers for the next image; the layers themselves never touch the disk.
    expect(ours?.diskMb).toBeLessThan(10);
    if (ours === undefined || theirs === undefined) return;
    const [wall, memory] = [ours.wallMs / theirs.wallMs, ours.peakMb / theirs.peakMb];
    process.stdout.write(
      `${image}: wall ${wall.toFixed(2)} of syft (target 0.4), memory ${memory.toFixed(2)} (target 0.5)\n`,
    );
    // Machines differ, and Node alone takes 60 MB.
    expect(wall).toBeLessThan(0.6);
    expect(memory).toBeLessThan(0.8);
  },
  3_600_000,
);

/** Pushes the Debian image with one more layer, of an npm package. */
function pushSecondImage(): string {
  const crane = findPeer('crane');
  if (crane === undefined) throw new Error('crane is needed');
  const packages = join(emptyFolder('second'), 'srv/app/node_modules/second');
  mkdirSync(packages, { recursive: true });
  writeFileSync(join(packages, 'package.json'), '{"name":"second","version":"1.2.3"}');
  const { host, work } = started();
  const layer = join(work, 'second.tar');
  execFileSync('tar', ['-cf', layer, '-C', join(work, 'second'), '.']);
  const [second, base] = [`${host}/second:v1`, `${host}/debian:v1`];
  execFileSync(crane, ['append', '--insecure', '--base', base, '--new_layer', layer, '--new_tag', second]);
  return second;
}

test('a second image on a base that was read needs only its own layer, and has the same packages', async () => {
  if (!IS_FULL) return;
  const { host, tools } = started();
  const second = pushSecondImage();
  const figures: Figures[] = [];
  for (const tool of tools) {
    const cold: ToolRun[] = [];
    const warm: ToolRun[] = [];
    for (let repetition = 0; repetition < REPETITIONS; repetition += 1) {
      const folder = emptyFolder(`second-${tool.name}`);
      cold.push(await tool.run(second, folder));
      const found = tool.packages(folder);
      expect(found.has('npm/second@1.2.3')).toBe(true);
      emptyFolder(`second-${tool.name}`);
      await tool.run(`${host}/debian:v1`, folder);
      expect(tool.packages(folder).has('npm/second@1.2.3')).toBe(false);
      warm.push(await tool.run(second, folder));
      expect(tool.packages(folder)).toEqual(found);
    }
    figures.push(figuresOf('second', 'cold', tool.name, cold));
    figures.push(figuresOf('second', 'warm', tool.name, warm));
  }
  report('sbom-bench-second', figures);
  const of = (cache: Figures['cache']): Figures | undefined =>
    figures.find((each) => each.tool === 'acr-promoter' && each.cache === cache);
  // Machines differ, so the bound is loose. Much of the warm time is the start of Node.
  expect(of('warm')?.wallMs).toBeLessThan((of('cold')?.wallMs ?? 0) / 2);
}, 3_600_000);
