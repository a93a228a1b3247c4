import { createHash } from 'node:crypto';

/** The algorithms with which databases list the digests of files: dpkg and old rpm, apk, new rpm. */
export const ALGORITHMS = ['md5', 'sha1', 'sha256'] as const;
type FileAlgorithm = (typeof ALGORITHMS)[number];
/** How many hexadecimal digits are compared. A SHA-1 digest has 40, and apk shortens SHA-256 to that length. */
const MOST_DIGITS = 40;
const LISTED_DIGITS: readonly number[] = [32, 40, 64];

/** A file's digest as a database lists it, for comparison. Empty if it is of another algorithm. */
export function listedDigest(hex: string): string {
  return LISTED_DIGITS.includes(hex.length) && /^[0-9a-f]+$/.test(hex) ? hex.slice(0, MOST_DIGITS) : '';
}

/**
 * Digests of a file, one for each algorithm. With all algorithms, one of them is the {@link listedDigest} of the same
 * file.
 */
export async function fileDigests(
  chunks: AsyncIterable<Uint8Array>,
  algorithms: readonly FileAlgorithm[],
): Promise<string[]> {
  const hashes = algorithms.map((algorithm) => createHash(algorithm));
  for await (const chunk of chunks) for (const hash of hashes) hash.update(chunk);
  return hashes.map((hash) => hash.digest('hex').slice(0, MOST_DIGITS));
}

/** False if one more algorithm could give the digest that a database lists. */
export function areComparable(digests: readonly string[], listed: string): boolean {
  const algorithms = listed.length < MOST_DIGITS ? 1 : ALGORITHMS.length - 1;
  return digests.filter(({ length }) => length === listed.length).length === algorithms;
}

/** Folders where distributions install programs. */
const OF_DISTRIBUTIONS = /^(?:usr\/(?!local\/)|s?bin\/|lib\w*\/|etc\/|var\/|boot\/)/;
/** Where only a few packages of distributions have programs, besides files in the folders above. */
const OPT = 'opt/';
const OF_DEBIAN: readonly FileAlgorithm[] = ['md5'];
const OF_DEBIAN_OR_CHISEL: readonly FileAlgorithm[] = ['md5', 'sha256'];
/** Paths of distributions, and the algorithms of the digests that they list. */
const KINDS: readonly { path: RegExp; algorithms: readonly FileAlgorithm[] }[] = [
  { path: /^etc\/apt\//, algorithms: OF_DEBIAN },
  {
    path: /^(?:etc\/(?:apk|rpm|yum|zypp|tdnf|dnf)\b|lib\/apk\/|usr\/lib\/(?:apk|rpm)\/)/,
    algorithms: ['sha1', 'sha256'],
  },
  { path: /^(?:usr\/)?lib\/[a-z0-9_]+-linux-gnu/, algorithms: OF_DEBIAN_OR_CHISEL },
];
/** Scripts of packages write there. Chisel runs none. */
const ALTERNATIVES = 'etc/alternatives/';
/** Folders of the system with Python packages, which list SHA-256. */
const PYTHON = /^(?:opt|var)\/|-packages\//;
const NODE = 'node_modules/';

/**
 * Guesses which digests of a file a package database lists, because each algorithm takes at least half as long as
 * unpacking. If the guess leaves out a digest that a package lists, the file is read once more.
 */
export class LikelyDigests {
  /** All algorithms, until the first path that shows which ones this distribution lists. */
  #ofSystem: readonly FileAlgorithm[] = ALGORITHMS;
  /** True once the layer has a file in a folder of distributions. Archives are sorted: `etc` is before `opt`. */
  #hasSystem = false;
  #hasScripts = false;

  /** Notes a path of the layer, in the order of the archive. */
  note(path: string): void {
    this.#hasSystem ||= OF_DISTRIBUTIONS.test(path);
    this.#hasScripts ||= path.startsWith(ALTERNATIVES);
    if (this.#ofSystem !== ALGORITHMS) return;
    const algorithms = KINDS.find((kind) => kind.path.test(path))?.algorithms ?? ALGORITHMS;
    this.#ofSystem = this.#hasScripts && algorithms === OF_DEBIAN_OR_CHISEL ? OF_DEBIAN : algorithms;
  }

  /** The algorithms for a program, or for a file of a language package: only packages of the system matter for those. */
  algorithmsFor(path: string, isProgram: boolean): readonly FileAlgorithm[] {
    const isOfSystem = OF_DISTRIBUTIONS.test(path) || path.startsWith(OPT);
    const ofSystem = isOfSystem && this.#hasSystem ? this.#ofSystem : [];
    const mayBePython = isProgram && !path.includes(NODE) && (!isOfSystem || PYTHON.test(path));
    return mayBePython && !ofSystem.includes('sha256') ? [...ofSystem, 'sha256'] : ofSystem;
  }
}
