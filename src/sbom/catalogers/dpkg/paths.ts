import { listedDigest } from '../file-digests.js';
import { Lines } from '../lines.js';
import { Skips } from '../skips.js';
import { TextRoom } from '../text-room.js';

const LONGEST_PATH = 4096;
const CHECKSUM = /^[0-9a-f]{32} [ *]/;
const CHECKSUM_BYTES = 34;
const MD5_DIGITS = 32;

/** Paths, and the digests of the files if the list has them. */
export interface PathList {
  paths: string[];
  digests?: string[];
}

/**
 * The paths that a text lists: one on each line (`info/NAME.list`, and the triples of `diversions`), or after its
 * checksum (`NAME.md5sums`, relative to the root). Undefined if it is neither.
 */
export function readPaths(bytes: Uint8Array): (PathList & { skips: Skips }) | undefined {
  const start = Buffer.from(bytes.subarray(0, CHECKSUM_BYTES)).toString('latin1');
  const hasSums = CHECKSUM.test(start);
  if (!hasSums && !start.startsWith('/')) return undefined;
  const paths: string[] = [];
  const digests: string[] = [];
  const [skips, room] = [new Skips(), new TextRoom()];
  const from = hasSums ? CHECKSUM_BYTES : 0;
  for (const lines = new Lines(bytes); lines.next();) {
    const text = lines.text(from, from + LONGEST_PATH + 1);
    const path = hasSums ? `/${text.replace(/^\.\//, '')}` : text;
    if (path.length <= 1 || path === '/.') continue;
    // dpkg lists a folder before what is in it. Several packages have the same folders: they are left out.
    const last = paths.at(-1);
    if (last !== undefined && path.startsWith(last) && path[last.length] === '/') paths.pop();
    const digest = hasSums ? listedDigest(lines.text(0, MD5_DIGITS)) : '';
    if (path.length <= LONGEST_PATH && room.take(path.length + digest.length)) digests[paths.push(path) - 1] = digest;
    else skips.add('paths that take too much room');
  }
  digests.length = paths.length;
  return { paths, ...(hasSums && { digests }), skips };
}
