import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { findPeer } from '../support/peers.js';
import { startDockerRegistry, type RunningPeer } from '../support/registry-peers.js';
import { IS_FULL, REPETITIONS } from './bench.js';
import { median } from './measure.js';
import { acrPromoter, plainPurl, syft, trivy, type SbomTool, type ToolRun } from './sbom-tools.js';

/** Images of images/build.sh. They take minutes to build and 3 GB, so they stay. */
const IMAGES = resolve(process.env['REAL_IMAGES'] ?? '.peers/images');
const COMPARED = ['debian', 'alpine', 'rpm', 'dotnet'];
const OUT = join('out', 'bench');

const tools: SbomTool[] = [acrPromoter()];
let registry: RunningPeer | undefined;
let work: string;

beforeAll(async () => {
  if (!IS_FULL) return;
  const [dockerRegistry, crane] = ['docker-registry', 'crane'].map(findPeer);
  if (dockerRegistry === undefined || crane === undefined) throw new Error('docker-registry and crane are needed');
  for (const [name, make] of [
    ['syft', syft],
    ['trivy', trivy],
  ] as const) {
    const program = findPeer(name);
    if (program !== undefined) tools.push(make(program));
  }
  work = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'sbom-bench-'));
  mkdirSync(OUT, { recursive: true });
  if (process.env['REAL_IMAGES'] === undefined) {
    const peers = resolve(process.env['ACR_PROMOTER_PEERS'] ?? '.peers', 'bin');
    execFileSync('bash', ['test/bench/images/build.sh', IMAGES], {
      stdio: 'inherit',
      env: { ...process.env, PEERS: peers },
    });
  }
  registry = await startDockerRegistry(dockerRegistry);
  for (const name of readdirSync(IMAGES).filter((each) => existsSync(join(IMAGES, each, 'complete'))))
    execFileSync(crane, ['push', '--insecure', join(IMAGES, name), `${registry.host}/${name}:v1`]);
}, 3_600_000);

afterAll(async () => {
  await registry?.stop();
  if (work !== undefined) rmSync(work, { recursive: true, force: true });
});

/** What the package manager lists. */
function truthOf(image: string): Set<string> {
  const folder = join(IMAGES, image, 'truth');
  return new Set(
    readdirSync(folder).flatMap((type) =>
      readFileSync(join(folder, type), 'utf8')
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => {
          const [name = '', version = ''] = line.split(' ');
          const namespaced = name.startsWith('@') ? name.replace('@', '%40') : name;
          return plainPurl(`pkg:${type}/${namespaced}@${encodeURIComponent(version)}`);
        }),
    ),
  );
}

/** Why another tool lists what we do not: by its place and its package URL. */
const EXPLAINED: { where: RegExp; purl?: RegExp; why: string }[] = [
  {
    where: /^\/usr\/(?:share\/(?:nodejs|java|maven-repo)|lib\/python3\/dist-packages)\//,
    why: 'a file of a Debian package, which is listed as that, once',
  },
  { where: /^\/srv\/app\/package\.json$/, why: 'the manifest of an app itself: npm did not install it' },
  { where: /^\/(?:lib\/modules\/|boot\/vmlinuz-)/, why: "a part of Alpine's kernel, which is listed as linux-virt" },
  { where: /\.jar$/, purl: /@$/, why: 'a jar that states no version: its group is a guess, and we guess another one' },
  { where: /\.dll$/, purl: /^nuget\//, why: 'the version of a DLL; its package is listed with its own version' },
  {
    where: /nbgv\.deps\.json$|^\/$/,
    purl: /^nuget\/(?:nbgv|nerdbank\.gitversioning(?:\.core)?)@/,
    why: 'projects of the app, which no NuGet package brought',
  },
];

const typeOf = (purl: string): string => purl.slice(0, purl.indexOf('/'));
const without = (all: Iterable<string>, others: ReadonlySet<string>): string[] =>
  [...all].filter((each) => !others.has(each)).sort();

/** Runs each tool once and gives what it finds, and where. */
async function findings(image: string): Promise<Map<string, Map<string, string>>> {
  const found = new Map<string, Map<string, string>>();
  for (const tool of tools) {
    const folder = join(work, `${image}-${tool.name}`);
    mkdirSync(folder, { recursive: true });
    await tool.run(`${registry?.host}/${image}:v1`, folder);
    found.set(tool.name, tool.packages(folder));
    rmSync(folder, { recursive: true, force: true });
  }
  return found;
}

test.each(COMPARED)(
  'in %s, what the package manager lists is found, and nothing else of its type',
  async (image) => {
    if (!IS_FULL) return;
    expect(existsSync(join(IMAGES, image, 'complete'))).toBe(true);
    const truth = truthOf(image);
    const found = await findings(image);
    const ours = new Set(found.get('acr-promoter')?.keys());
    const lines: string[] = [];
    for (const type of [
      ...new Set([...truth, ...[...found.values()].flatMap((each) => [...each.keys()])].map(typeOf)),
    ].sort()) {
      const of = (all: Iterable<string>): string[] => [...all].filter((each) => typeOf(each) === type);
      const counts = [...found].map(([name, all]) => `${name} ${of(all.keys()).length}`).join(', ');
      lines.push(`${image} ${type}: truth ${of(truth).length || 'unknown'}, ${counts}`);
    }
    const unexplained: string[] = [];
    for (const [name, all] of found) {
      if (name === 'acr-promoter') continue;
      for (const purl of without(all.keys(), ours)) {
        const place = all.get(purl) ?? '';
        const why = EXPLAINED.find((each) => each.where.test(place) && each.purl?.test(purl) !== false)?.why;
        lines.push(`  only ${name}: ${purl} (${place}): ${why ?? 'UNEXPLAINED'}`);
        if (why === undefined) unexplained.push(`${name} ${purl} ${place}`);
      }
      for (const purl of without(ours, new Set(all.keys())))
        lines.push(`  not ${name}: ${purl} (${found.get('acr-promoter')?.get(purl)})`);
    }
    writeFileSync(join(OUT, `sbom-${image}.txt`), `${lines.join('\n')}\n`);
    process.stdout.write(`${lines.filter((line) => !line.startsWith(' ')).join('\n')}\n`);
    const known = new Set([...truth].map(typeOf));
    expect(without(truth, ours)).toEqual([]);
    expect(without(ours, truth).filter((each) => known.has(typeOf(each)))).toEqual([]);
    expect(unexplained).toEqual([]);
  },
  600_000,
);

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
  const folder = join(work, name);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  return folder;
}

test.each(['debian', 'large'])(
  'wall, CPU, memory and disk for %s',
  async (image) => {
    if (!IS_FULL) return;
    expect(existsSync(join(IMAGES, image, 'complete'))).toBe(true);
    const reference = `${registry?.host}/${image}:v1`;
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
  const layer = join(work, 'second.tar');
  execFileSync('tar', ['-cf', layer, '-C', join(work, 'second'), '.']);
  const second = `${registry?.host}/second:v1`;
  const base = `${registry?.host}/debian:v1`;
  execFileSync(crane, ['append', '--insecure', '--base', base, '--new_layer', layer, '--new_tag', second]);
  return second;
}

test('a second image on a base that was read needs only its own layer, and has the same packages', async () => {
  if (!IS_FULL) return;
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
      await tool.run(`${registry?.host}/debian:v1`, folder);
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
  // Machines differ. Node starts in a part of the rest.
  expect(of('warm')?.wallMs).toBeLessThan((of('cold')?.wallMs ?? 0) / 2);
}, 3_600_000);
