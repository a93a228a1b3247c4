import { listedDigest } from './file-digests.js';
import { linesOf } from './lines.js';

/** Maximum files of one package that are kept. The largest packages have about 20,000. */
const MOST_FILES = 200_000;
/** Maximum requirements of one package that are kept. */
const MOST_REQUIREMENTS = 2000;
const LONGEST_PATH = 4096;
/** Python code is not a program or an interpreter, so an SBOM can be complete even if no package owns it. */
const CODE = /\.py[ci]?$/;
/** The hash and the size at the end of a line of RECORD. */
const HASH_AND_SIZE = /,(?:(\w+)=([\w-]*)=*)?,\d*$/;

/** What a list beside the metadata says. */
export interface PythonList {
  /** Files of the package, from the folder of the list. */
  owns: string[];
  /** For each of them, its `listedDigest`, or ''. */
  digests: string[];
  /** Lines of `requires.txt` that apply without extras. */
  requirements: string[];
  /** Number of lines that name neither a file nor a requirement, and of lines beyond the limits. */
  bad: number;
}

/** The digest in a line of RECORD. */
function digestOf(line: string): string {
  const [, algorithm, base64 = ''] = HASH_AND_SIZE.exec(line) ?? [];
  return algorithm === 'sha256' ? listedDigest(Buffer.from(base64, 'base64url').toString('hex')) : '';
}

/** The path at the start of a line of RECORD, which is a line of a CSV file. */
function pathOf(line: string): string {
  const path = line.replace(HASH_AND_SIZE, '');
  return path.startsWith('"') && path.endsWith('"') ? path.slice(1, -1).replaceAll('""', '"') : path;
}

/** @param from `../` for RECORD, whose paths start where the package is installed */
function ownedPath(path: string, from: './' | '../'): string {
  if (path.startsWith('/')) return path;
  return from === './' && path.startsWith('../') ? path : `${from}${path}`;
}

/**
 * Reads a list beside the metadata: RECORD, `installed-files.txt` or `requires.txt`. Its first line shows which it is.
 * @see https://packaging.python.org/en/latest/specifications/recording-installed-packages/#the-record-file
 */
export function readRecord(bytes: Buffer): PythonList {
  const list: PythonList = { owns: [], digests: [], requirements: [], bad: 0 };
  let kind: 'record' | 'files' | 'requirements' | undefined;
  let isExtra = false;
  for (const bytesOfLine of linesOf(bytes)) {
    // Line by line, because a slice of the whole text would keep it in memory.
    const line = bytesOfLine.toString('utf8', 0, 2 * LONGEST_PATH).trim();
    if (line === '') continue;
    kind ??= HASH_AND_SIZE.test(line) ? 'record' : /^\.{0,2}\//.test(line) ? 'files' : 'requirements';
    if (kind === 'requirements') {
      const section = /^\[([^:\]]*).*\]$/.exec(line);
      if (section !== null) isExtra = section[1] !== '';
      else if (!/^[A-Za-z0-9]/.test(line)) list.bad += 1;
      else if (!isExtra) list.requirements.push(line.slice(0, LONGEST_PATH));
      if (list.requirements.length > MOST_REQUIREMENTS) list.requirements.length = MOST_REQUIREMENTS;
      continue;
    }
    const path = kind === 'files' ? line : HASH_AND_SIZE.test(line) ? pathOf(line) : '';
    if (path === '' || path.endsWith('/') || path.length > LONGEST_PATH || list.owns.length === MOST_FILES)
      list.bad += 1;
    else if (!CODE.test(path)) {
      list.owns.push(ownedPath(path, kind === 'files' ? './' : '../'));
      list.digests.push(digestOf(line));
    }
  }
  return list;
}

/**
 * The names of required packages. Requirements of extras are left out, because nothing tells which extras were
 * installed; those with other conditions are kept.
 * @see https://packaging.python.org/en/latest/specifications/dependency-specifiers/
 */
export function readRequirements(lines: readonly string[], normalize: (name: string) => string): string[] {
  const names = new Set<string>();
  for (const line of lines.slice(0, MOST_REQUIREMENTS)) {
    const name = /^[A-Za-z0-9][\w.-]{0,200}/.exec(line)?.[0];
    if (name !== undefined && !/;.*\bextra\b/s.test(line)) names.add(normalize(name));
  }
  return [...names];
}
