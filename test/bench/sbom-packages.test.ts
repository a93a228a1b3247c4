import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { IS_FULL } from './bench.js';
import { readTables, reasonOf, tablesOf, writeTables, type Count, type Difference } from './sbom-differences.js';
import { IMAGES, OUT, startImages, type Images } from './sbom-images.js';
import { exactPackages, licensedPackages, plainPurl, type SbomTool } from './sbom-tools.js';

// Compares what package managers, acr-promoter, syft and trivy list in real images.

const NAMES = ['debian', 'alpine', 'rpm', 'dotnet', 'languages'];
const OURS = 'acr-promoter';
const counts: Count[] = [];
const differences: Difference[] = [];
let images: Images | undefined;

beforeAll(async () => {
  if (IS_FULL) images = await startImages(NAMES);
}, 3_600_000);
afterAll(() => images?.stop());

function started(): Images {
  if (images === undefined) throw new Error('the images are there with FULL=1');
  return images;
}

/** What the package manager lists, as package URLs with exact versions. */
function truthOf(image: string): string[] {
  const folder = join(IMAGES, image, 'truth');
  return readdirSync(folder).flatMap((type) =>
    readFileSync(join(folder, type), 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => {
        const [name = '', version = ''] = line.split(' ');
        return plainPurl(`pkg:${type}/${name.replace('@', '%40')}@${encodeURIComponent(version)}`, { isExact: true });
      }),
  );
}

const typeOf = (purl: string): string => purl.slice(0, purl.indexOf('/'));
const without = (all: Iterable<string>, others: Iterable<string>): string[] => {
  const set = new Set(others);
  return [...new Set(all)].filter((each) => !set.has(each)).sort();
};
const folderOf = (image: string, tool: string): string => join(started().work, `${image}-${tool}`);

/** Runs each tool once and gives what it finds, and where. */
async function findings(image: string): Promise<Map<string, Map<string, string>>> {
  const found = new Map<string, Map<string, string>>();
  for (const tool of started().tools) {
    const folder = folderOf(image, tool.name);
    mkdirSync(folder, { recursive: true });
    await tool.run(`${started().host}/${image}:v1`, folder);
    found.set(tool.name, tool.packages(folder));
  }
  return found;
}

function compare(image: string, tool: string, ours: Map<string, string>, theirs: Map<string, string>): Difference[] {
  const one = (purl: string, isTheirs: boolean): Difference => ({
    tool,
    image,
    purl,
    isTheirs,
    place: (isTheirs ? theirs : ours).get(purl) ?? '',
  });
  return [
    ...without(theirs.keys(), ours.keys()).map((purl) => one(purl, true)),
    ...without(ours.keys(), theirs.keys()).map((purl) => one(purl, false)),
  ];
}

test.each(NAMES)(
  'in %s, what the package manager lists is found, nothing else of its type, and each difference from other tools has a reason',
  async (image) => {
    if (!IS_FULL) return;
    const truth = truthOf(image);
    const found = await findings(image);
    const ours = found.get(OURS) ?? new Map<string, string>();
    const listed = exactPackages(folderOf(image, OURS));
    const known = new Set(truth.map(typeOf));
    expect(without(truth, listed)).toEqual([]);
    expect(without(listed, truth).filter((each) => known.has(typeOf(each)))).toEqual([]);

    const types = new Set([...found.values()].flatMap((each) => [...each.keys()].map(typeOf)));
    for (const type of [...types].sort()) {
      const of = (all: Iterable<string>): number => [...new Set(all)].filter((each) => typeOf(each) === type).length;
      const by = new Map([...found].map(([tool, all]) => [tool, of(all.keys())]));
      counts.push({ image, type, truth: known.has(type) ? of(truth) : undefined, counts: by });
      // Debian's packages state their licences in files of their own.
      if (type !== 'deb') continue;
      const licensed = [...found.keys()].map((tool) => [tool, of(licensedPackages(folderOf(image, tool)))] as const);
      counts.push({ image, type: 'deb, with licence', truth: undefined, counts: new Map(licensed) });
    }
    const differ = [...found].flatMap(([tool, theirs]) => (tool === OURS ? [] : compare(image, tool, ours, theirs)));
    differences.push(...differ);
    const lines = differ.map((each) => {
      const side = each.isTheirs ? 'only' : 'not';
      return `${side} ${each.tool}: ${each.purl} (${each.place}): ${reasonOf(each) ?? 'UNEXPLAINED'}\n`;
    });
    writeFileSync(join(OUT, `sbom-${image}.txt`), lines.join(''));
    expect(differ.filter((each) => reasonOf(each) === undefined)).toEqual([]);
  },
  600_000,
);

test.each(NAMES.flatMap((image) => ['cyclonedx', 'spdx'].map((format) => [image, format] as const)))(
  'of %s, syft and trivy find in our %s document what it lists',
  async (image, format) => {
    if (!IS_FULL) return;
    const { tools, host } = started();
    const folder = folderOf(image, format);
    mkdirSync(folder, { recursive: true });
    const document = join(folder, 'ours.json');
    const ours = tools.find(({ name }) => name === OURS);
    await ours?.write?.(`${host}/${image}:v1`, document, format);
    const expected = [...(ours?.packages(folderOf(image, OURS)).keys() ?? [])].sort();
    expect(expected.length).toBeGreaterThan(0);
    const readers = tools.filter(
      (tool): tool is SbomTool & Required<Pick<SbomTool, 'read'>> => tool.read !== undefined,
    );
    expect(readers.map(({ name }) => name)).toEqual(['syft', 'trivy']);
    for (const reader of readers) expect([...(await reader.read(document, folder))].sort()).toEqual(expected);
  },
  600_000,
);

test('the tables of the page are those of this run', () => {
  if (!IS_FULL) return;
  const tables = tablesOf(counts, differences);
  if (process.env['WRITE_DOCS'] === '1') writeTables(tables);
  expect(readTables()).toBe(tables);
});
