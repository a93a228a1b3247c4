import { createHash } from 'node:crypto';

/** The algorithms with which databases list the digests of files: dpkg, apk and old rpm, new rpm. */
const ALGORITHMS = ['md5', 'sha1', 'sha256'] as const;
/** Hexadecimal digits that are compared: those of SHA-1, to which apk shortens SHA-256. */
const MOST_DIGITS = 40;
const LISTED_DIGITS: readonly number[] = [32, 40, 64];

/** A file's digest as a database lists it, for comparison. Empty if it is of another algorithm. */
export function listedDigest(hex: string): string {
  return LISTED_DIGITS.includes(hex.length) && /^[0-9a-f]+$/.test(hex) ? hex.slice(0, MOST_DIGITS) : '';
}

/** The digests of a file, one for each algorithm. One of them is the {@link listedDigest} of the same file. */
export async function fileDigests(chunks: AsyncIterable<Uint8Array>): Promise<string[]> {
  const hashes = ALGORITHMS.map((algorithm) => createHash(algorithm));
  for await (const chunk of chunks) for (const hash of hashes) hash.update(chunk);
  return hashes.map((hash) => hash.digest('hex').slice(0, MOST_DIGITS));
}
