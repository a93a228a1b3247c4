import { isDeepStrictEqual } from 'node:util';
import {
  LONGEST_NAME,
  type Cataloger,
  type FoundFile,
  type Gap,
  type LocatedPackage,
  type Package,
  type Reading,
} from '../../src/sbom/catalogers/cataloger.js';
import { makeSboms } from '../../src/sbom/documents/make.js';
import { GAP_CAUSES, Gaps } from '../../src/sbom/gaps.js';
import { SBOM_LIMITS, readSbom } from '../../src/sbom/index.js';
import { layerFile } from '../support/layer-file.js';
import { cycloneDxErrors } from '../support/sbom-schemas.js';

const TYPES = new Set(['deb', 'apk', 'rpm', 'npm', 'pypi', 'golang', 'maven', 'nuget', 'gem', 'composer', 'cargo', 'generic']); // prettier-ignore
const HEX = { MD5: 32, 'SHA-1': 40, 'SHA-256': 64, 'SHA-512': 128 } as const;
/** Characters that one input of a few kilobytes may become: paths are made of a folder and a name. */
const MOST_CHARS = 4 * 1024 ** 2;
const LAYER = `sha256:${'0'.repeat(64)}` as const;

function check(isRight: boolean, what: string, value: unknown): void {
  if (!isRight) throw new Error(`${what}: ${JSON.stringify(value)?.slice(0, 1000)}`);
}

function isName(value: unknown): boolean {
  return typeof value === 'string' && value !== '' && value.length <= LONGEST_NAME;
}

function checkPackage(each: Package): void {
  check(TYPES.has(each.type), 'a package of an unknown type', each);
  check(isName(each.name), 'a package without a usable name', each);
  check(typeof each.version === 'string' && each.version.length <= LONGEST_NAME, 'a package with a bad version', each);
  check(each.version !== '' || each.type === 'maven', 'a package without version', each);
  check(each.namespace === undefined || isName(each.namespace), 'a package with a bad namespace', each);
  for (const list of [each.licenses, each.dependsOn, each.provides, Object.values(each.qualifiers ?? {})])
    check(list?.every(isName) ?? true, 'a list with something else than names', each);
  check(each.owns?.every((path) => path !== '') ?? true, 'an owned file without a path', each);
  for (const { algorithm, hex } of each.hashes ?? [])
    check(/^[0-9a-f]+$/.test(hex) && hex.length === HEX[algorithm], 'a hash of the wrong length', each);
}

function checkGap({ cause, detail }: Gap): void {
  check(GAP_CAUSES.includes(cause), 'a gap of an unknown cause', cause);
  check(detail !== '' && detail.length <= 20_000, 'a gap without a text for people', detail);
}

function charsOf(value: unknown): number {
  return JSON.stringify(value)?.length ?? 0;
}

/** Where a reader's input lies in an image, and what lies beside it. */
export interface Place {
  path: string;
  beside?: Readonly<Record<string, string>>;
}

/** What the cataloger says of an image with this content at this place. */
async function catalog(
  cataloger: Cataloger,
  { path, beside = {} }: Place,
  content: Uint8Array,
): Promise<{ reading: Reading; packages: LocatedPackage[]; gaps: Gap[] }> {
  const reading = await cataloger.read(layerFile(content));
  const found: FoundFile[] = [{ path, layer: LAYER, reading }];
  for (const [name, text] of Object.entries(beside))
    found.push({ path: name, layer: LAYER, reading: await cataloger.read(layerFile(text)) });
  found.sort((one, other) => (one.path < other.path ? -1 : 1));
  const combined = cataloger.combine?.(found, { has: () => true });
  const packages = found.flatMap((each) =>
    (each.reading.packages ?? []).map((one) => ({ ...one, path, layer: LAYER })),
  );
  const gaps = found.flatMap((each) => each.reading.gaps ?? []);
  return { reading, packages: combined?.packages ?? packages, gaps: [...gaps, ...(combined?.gaps ?? [])] };
}

/**
 * Reads an input as a file of an image, and checks what a cataloger promises.
 * @param chunkBytes the input is read once more in such pieces, and must give the same; 0: it is read once
 * @throws Error if it does not keep a promise
 */
export async function checkCataloger(
  cataloger: Cataloger,
  place: Place,
  content: Uint8Array,
  chunkBytes: number,
): Promise<{ packages: LocatedPackage[]; gaps: Gap[] }> {
  const { reading, packages, gaps } = await catalog(cataloger, place, content);
  for (const each of [...(reading.packages ?? []), ...packages]) checkPackage(each);
  for (const gap of gaps) checkGap(gap);
  check(charsOf([reading, packages]) <= MOST_CHARS, 'a reading that is much larger than its input', charsOf(reading));
  if (chunkBytes > 0) {
    const again = await cataloger.read(layerFile(content, { chunkBytes }));
    check(isDeepStrictEqual(again, reading), `another reading in pieces of ${chunkBytes} bytes`, [reading, again]);
    check(isDeepStrictEqual(structuredClone(reading), reading), 'a reading that is no plain data', reading);
  }
  return { packages, gaps };
}

/** Checks that documents of these packages are valid, and that the command line reads from them what they list. */
export function checkDocuments({ packages, gaps: found }: { packages: LocatedPackage[]; gaps: Gap[] }): void {
  const gaps = new Gaps(SBOM_LIMITS);
  for (const { cause, detail } of found) gaps.add(cause, detail);
  const config = { created: '1970-01-01T00:00:00Z' };
  const findings = { name: 'localhost:5000/a', digest: LAYER, config, packages, gaps, covered: ['a'] };
  const documents = makeSboms(findings, ['cyclonedx', 'spdx'], SBOM_LIMITS);
  const listed = documents.map(({ bytes, format }) => {
    if (format === 'cyclonedx') {
      const errors = cycloneDxErrors(JSON.parse(Buffer.from(bytes).toString()));
      check(errors.length === 0, 'a document that its schema refuses', errors);
    }
    return readSbom(bytes).packages.map(({ type, version, purl }) => JSON.stringify([type, version, purl]));
  });
  check(isDeepStrictEqual(listed[0]?.sort(), listed[1]?.sort()), 'documents with different packages', listed);
}
