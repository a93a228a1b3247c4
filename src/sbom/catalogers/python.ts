import { cleanPath } from '../layers/path.js';
import {
  LONGEST_NAME,
  unreadable,
  type Cataloger,
  type FoundFile,
  type Gap,
  type LocatedPackage,
  type Package,
  type Reading,
} from './cataloger.js';
import { licensesOfClassifiers } from './python-licenses.js';
import { readRecord, readRequirements, type PythonList } from './python-lists.js';

/** What the files beside the metadata of a package say. */
interface PythonFacts {
  /** Files that belong to the package, from the folder of this file. */
  owns?: string[];
  /** For each of them, its `listedDigest`, or ''. */
  digests?: string[];
  /** Normalized names of packages that it needs. */
  dependsOn?: string[];
}

/** Maximum headers of one file, and maximum lines of its header block. Large packages have about 200. */
const MOST_HEADERS = 20_000;
const LONGEST_LICENSE = 200;
const BLANK = ['', 'UNKNOWN', 'NONE'];

/** `A.B_c` and `a-b-c` are the same project. @see https://packaging.python.org/en/latest/specifications/name-normalization/ */
function normalizeName(name: string): string {
  return name.toLowerCase().replaceAll(/[-_.]+/g, '-');
}

/** The values of each header, by name in lower case. A continued value has line breaks. */
function parseHeaders(text: string): Map<string, string[]> {
  const headers = new Map<string, string[]>();
  let last: string[] | undefined;
  let lines = 0;
  for (const line of text.split(/\r?\n/)) {
    if (line === '' || ++lines > MOST_HEADERS) break;
    if (/^[ \t]/.test(line)) {
      if (last !== undefined) last.push(`${last.pop() ?? ''}\n${line.trim()}`);
      continue;
    }
    const colon = line.indexOf(':');
    if (colon < 1) continue;
    const name = line.slice(0, colon).toLowerCase();
    last = headers.get(name) ?? [];
    headers.set(name, last);
    last.push(line.slice(colon + 1).trim());
  }
  return headers;
}

/** The first value of a header that says something, without the lines that continue it. */
function firstLine(headers: Map<string, string[]>, name: string): string | undefined {
  const value = headers.get(name)?.[0]?.split('\n', 1)[0]?.trim() ?? '';
  return BLANK.includes(value.toUpperCase()) || value.length > LONGEST_NAME ? undefined : value;
}

function licensesOf(headers: Map<string, string[]>): string[] {
  const expression = firstLine(headers, 'license-expression');
  if (expression !== undefined) return [expression];
  const { ids, names } = licensesOfClassifiers(headers.get('classifier') ?? []);
  if (ids.length > 0) return ids;
  const license = firstLine(headers, 'license');
  // Some packages put the whole text of their license here.
  const isName = license !== undefined && license.length <= LONGEST_LICENSE && !/copyright/i.test(license);
  return isName ? [license] : names;
}

function supplierOf(headers: Map<string, string[]>): string | undefined {
  for (const name of ['author', 'maintainer', 'author-email', 'maintainer-email']) {
    const value = firstLine(headers, name);
    if (value !== undefined) return /^"?([^"<]+?)"?\s*<[^>]*>/.exec(value)?.[1] ?? value;
  }
  return undefined;
}

function readMetadata(text: string): Reading<PythonFacts> {
  const headers = parseHeaders(text);
  const name = firstLine(headers, 'name');
  const version = firstLine(headers, 'version');
  if (name === undefined || version === undefined) return unreadable('metadata without a usable name or version');
  const licenses = licensesOf(headers);
  const supplier = supplierOf(headers);
  const dependsOn = readRequirements(headers.get('requires-dist') ?? [], normalizeName);
  const found: Package = {
    type: 'pypi',
    name,
    version,
    ...(licenses.length > 0 && { licenses }),
    ...(supplier !== undefined && { supplier }),
    ...(dependsOn.length > 0 && { dependsOn }),
    provides: [normalizeName(name)],
  };
  return { packages: [found] };
}

function isEmpty({ packages = [], gaps = [] }: Reading): boolean {
  return packages.length === 0 && gaps.length === 0;
}

/** A file `NAME.egg-info`. Python does not distinguish capitals here. */
function isEggInfo(path: string): boolean {
  return path.slice(-9).toLowerCase() === '.egg-info';
}

function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/') + 1);
}

/** Matches a folder where packages are installed. The group is the folder that contains its Python. */
const SITE = /^(.*\/)?lib(?:32|64)?\/(?:python|pypy)[^/]*\/(?:site|dist)-packages\/$/;

/**
 * The files of a list that are the package's, because a list could name any others. Those with a digest may be below
 * the folder of its Python (`bin/ruff`), or beside the list in any folder but the root; those without only beside the
 * list in a folder for packages.
 * @param folder of the list, with a slash at the end
 */
function boundedFiles(folder: string, { owns = [], digests = [] }: PythonFacts): Pick<PythonList, 'owns' | 'digests'> {
  const site = folder.slice(0, folder.lastIndexOf('/', folder.length - 2) + 1);
  const [match, python = ''] = SITE.exec(site) ?? [];
  const bounded: ReturnType<typeof boundedFiles> = { owns: [], digests: [] };
  for (const [at, path] of owns.entries()) {
    const digest = digests[at] ?? '';
    // `pip install --target` puts `bin` into the folder, and lists it as if it were around it.
    const owned = match === undefined ? path.replace(/^(?:\.\.\/)+/, '../') : path;
    const place = cleanPath(owned.startsWith('/') ? owned : `${folder}${owned}`);
    const isBounded = match !== undefined || (digest !== '' && site !== '');
    if (!isBounded || !place.startsWith(match === undefined || digest === '' ? site : python)) continue;
    bounded.owns.push(owned);
    bounded.digests.push(digest);
  }
  return bounded;
}

/** Joins metadata with the lists of files and requirements in its folder. */
function combine(found: readonly FoundFile<PythonFacts>[]): {
  packages: LocatedPackage[];
  gaps: (Gap & { path: string })[];
} {
  const packages: LocatedPackage[] = [];
  const gaps: (Gap & { path: string })[] = [];
  const lists = new Map<string, Required<PythonFacts>>();
  const described = new Set<string>();
  /** Folders whose METADATA says something: their PKG-INFO says nothing. */
  const withMetadata = new Set<string>();
  for (const { path, reading } of found) {
    const folder = folderOf(path);
    if (!/\/(?:RECORD|INSTALLER)$/.test(path)) described.add(folder);
    if (path.endsWith('/METADATA') && !isEmpty(reading)) withMetadata.add(folder);
    if (reading.facts === undefined || path.endsWith('/INSTALLER')) continue;
    const list = lists.get(folder) ?? { owns: [], digests: [], dependsOn: [] };
    const { owns, digests } = boundedFiles(folder, reading.facts);
    lists.set(folder, {
      owns: list.owns.concat(owns),
      digests: list.digests.concat(digests),
      dependsOn: list.dependsOn.concat(reading.facts.dependsOn ?? []),
    });
  }
  for (const { path, layer, reading } of found) {
    const folder = folderOf(path);
    // A file `NAME.egg-info` lies among the files of other packages.
    const facts = isEggInfo(path) ? undefined : lists.get(folder);
    // As importlib.metadata, which takes either file in either kind of folder.
    const isHidden = path.endsWith('/PKG-INFO') && withMetadata.has(folder);
    for (const each of isHidden ? [] : (reading.packages ?? [])) {
      const dependsOn = [...new Set([...(each.dependsOn ?? []), ...(facts?.dependsOn ?? [])])];
      const owns = isEggInfo(path) ? [] : ['./', ...(facts?.owns ?? [])];
      packages.push({
        ...each,
        ...(dependsOn.length > 0 && { dependsOn }),
        ...(owns.length > 0 && { owns, digests: ['', ...(facts?.digests ?? [])] }),
        path,
        layer,
      });
    }
    const isList = !/(?:METADATA|PKG-INFO)$/.test(path) && !isEggInfo(path);
    if (isList ? path.startsWith(folder) && !described.has(folder) : isEmpty(reading)) {
      described.add(folder);
      const detail = isList ? 'a package without METADATA' : 'metadata without headers';
      gaps.push({ cause: 'database-unreadable', detail, path });
    }
  }
  return { packages, gaps };
}

/**
 * Reads installed Python packages: `NAME.dist-info` of wheels, `NAME.egg-info` (a folder or a file) of setuptools and
 * distutils, and unpacked eggs.
 * @see https://packaging.python.org/en/latest/specifications/recording-installed-packages/
 */
export const pythonCataloger: Cataloger<PythonFacts> = {
  name: 'python',
  kind: 'language',
  maxBytes: 16 * 1024 * 1024,
  wants(path) {
    switch (path.slice(path.lastIndexOf('/') + 1)) {
      case 'METADATA':
      case 'RECORD':
      case 'INSTALLER':
        return /\.(?:dist|egg)-info\/[^/]+$/i.test(path);
      case 'PKG-INFO':
      case 'requires.txt':
        return /(?:\.(?:dist|egg)-info|(?:^|\/)EGG-INFO)\/[^/]+$/i.test(path);
      case 'installed-files.txt':
        return /\.egg-info\/[^/]+$/i.test(path);
      default:
        return isEggInfo(path);
    }
  },
  async read(file): Promise<Reading<PythonFacts>> {
    const bytes = Buffer.from(await file.whole());
    const start = bytes.subarray(0, 3).equals(Buffer.from('\ufeff')) ? 3 : 0;
    // The first line tells what the file is, because a reading must not depend on the path.
    const newline = bytes.indexOf('\n', start);
    const first = bytes.toString('utf8', start, newline < 0 ? Math.min(bytes.length, 4096) : newline).trim();
    if (/^[A-Za-z][\w-]*:(?:\s|$)/.test(first)) {
      const ends = ['\n\n', '\n\r\n'].map((mark) => bytes.indexOf(mark, start)).filter((at) => at >= 0);
      return readMetadata(bytes.toString('utf8', start, Math.min(bytes.length, ...ends)));
    }
    const { owns, digests, requirements, bad } = readRecord(bytes.subarray(start));
    const gaps: Gap[] =
      bad === 0 ? [] : [{ cause: 'entry-skipped', detail: `${bad} lines that name no file and no package` }];
    const dependsOn = readRequirements(requirements, normalizeName);
    return {
      facts: { ...(owns.length > 0 && { owns, digests }), ...(dependsOn.length > 0 && { dependsOn }) },
      ...(gaps.length > 0 && { gaps }),
    };
  },
  combine,
};
