import { inflateSync } from 'node:zlib';
import { isRecord } from '../../oci/index.js';
import type { Finder } from './byte-scanner.js';
import { isUsable, unreadable, type Package, type Reading } from './cataloger.js';
import { parseJson } from './json.js';

/**
 * First bytes of the section that cargo-auditable adds: a zlib stream, at the default or the best compression level.
 */
const ZLIB_STARTS = [Buffer.from([0x78, 0x9c]), Buffer.from([0x78, 0xda])];
/** Bytes that show whether a zlib stream is this one. */
const PROBE_BYTES = 128;
const PACKED_BYTES = 1024 * 1024;
const UNPACKED_BYTES = 16 * 1024 * 1024;
/** Maximum crates of one program. The largest have about 1,000. */
const MOST_CRATES = 20_000;
const MOST_DEPENDENCIES = 200_000;
/** Bytes of the file for each attempt to unpack. In other data, the first bytes of a zlib stream occur every 32 KiB. */
const BYTES_PER_PROBE = 8192;

function inflate(bytes: Buffer, most: number, isWhole: boolean): Buffer | undefined {
  try {
    // 2 is Z_SYNC_FLUSH: the stream may go on behind these bytes.
    return inflateSync(bytes, { maxOutputLength: most, ...(!isWhole && { finishFlush: 2 }) });
  } catch {
    return undefined;
  }
}

/** Symbols of the code that packs the lengths of the two other codes of a block. */
const LENGTH_SYMBOLS = 19;

/**
 * True if a deflate stream that unpacks to `{` may start here. Most bytes that look like the start of a zlib stream
 * fail here, which costs much less than an attempt to unpack them.
 * @see https://www.rfc-editor.org/rfc/rfc1951#section-3.2
 */
function mayInflate(bytes: Buffer): boolean {
  if (bytes.length < 10) return true;
  const start = bytes.readUInt32LE(0);
  const type = (start >> 1) & 3;
  // Stored bytes: their number stands there twice, the second time inverted.
  if (type === 0) return bytes.readUInt16LE(1) + bytes.readUInt16LE(3) === 0xffff;
  // Fixed codes: the first is that of `{`, with its bits reversed, or that of the end of the block.
  if (type === 1) return ((start >> 3) & 0xff) === 0xd5 || ((start >> 3) & 0x7f) === 0;
  const [lengths, distances, count] = [(start >> 3) & 31, (start >> 8) & 31, ((start >> 13) & 15) + 4];
  if (lengths > 29 || distances > 29) return false;
  // Dynamic codes: a Huffman code is complete if the shares of its words (128 / 2^length) add up to 128.
  let room = 0;
  for (let at = 0, bit = 17; at < Math.min(count, LENGTH_SYMBOLS); at += 1, bit += 3) {
    const length = (bytes.readUInt16LE(bit >> 3) >> (bit & 7)) & 7;
    if (length > 0) room += 128 >> length;
  }
  return room === 128;
}

/**
 * The crates that a program contains. Those used only to build it are left out.
 * @see https://github.com/rust-secure-code/cargo-auditable/blob/v0.7.0/PARSING.md
 */
function readRustAudit(bytes: Uint8Array): Reading {
  const parsed = parseJson(bytes);
  const json = 'json' in parsed ? parsed.json : undefined;
  const crates: unknown[] = isRecord(json) && Array.isArray(json.packages) ? json.packages : [];
  const named = crates.slice(0, MOST_CRATES).map((crate) => {
    if (!isRecord(crate) || !isUsable(crate.name) || !isUsable(crate.version)) return undefined;
    return { name: crate.name, version: crate.version, key: `${crate.name}@${crate.version}`, crate };
  });
  const packages: Package[] = [];
  let dependencies = 0;
  for (const each of named) {
    if (each === undefined || each.crate.kind === 'build') continue;
    const needed: unknown[] = Array.isArray(each.crate.dependencies) ? each.crate.dependencies : [];
    const dependsOn = needed
      .slice(0, MOST_DEPENDENCIES - dependencies)
      .map((index) => (typeof index === 'number' ? named[index] : undefined))
      .filter((other) => other !== undefined && other.crate.kind !== 'build')
      .map((other) => other?.key ?? '');
    dependencies += dependsOn.length;
    packages.push({
      type: 'cargo',
      name: each.name,
      version: each.version,
      ...(dependsOn.length > 0 && { dependsOn }),
      provides: [each.key],
    });
  }
  const bad = crates.length - named.filter((each) => each !== undefined).length;
  if (bad > 0) return { packages, gaps: [{ cause: 'entry-skipped', detail: `${bad} crates of a Rust program` }] };
  if (packages.length > 0) return { packages };
  return unreadable('the crates of a Rust program');
}

/** Looks for the crates that `cargo auditable` writes into a Rust program (section `.dep-v0`). */
export class RustAudit {
  readonly finders: readonly Finder[] = ZLIB_STARTS.map((needle) => ({
    needle,
    bytes: PROBE_BYTES,
    found: (bytes, _, isEnd) => this.#read(bytes, isEnd),
  }));
  #probes: number;
  #reading: Reading | undefined;

  constructor(fileBytes: number) {
    this.#probes = 16 + Math.floor(fileBytes / BYTES_PER_PROBE);
  }

  /** What was found. Undefined if the file has no such section. */
  result(): Reading | undefined {
    return this.#reading;
  }

  #read(bytes: Buffer, isEnd: boolean): number | undefined {
    if (this.#reading !== undefined) return undefined;
    if (bytes.length <= PROBE_BYTES && !this.#isAudit(bytes)) return undefined;
    if (bytes.length <= PROBE_BYTES && !isEnd) return PACKED_BYTES;
    const json = inflate(bytes, UNPACKED_BYTES, true);
    this.#reading = json === undefined ? unreadable('the crates of a Rust program') : readRustAudit(json);
    return undefined;
  }

  #isAudit(bytes: Buffer): boolean {
    // Three of the four types of block exist.
    if (((bytes[2] ?? 0) & 6) === 6 || this.#probes === 0) return false;
    this.#probes -= 1;
    if (!mayInflate(bytes.subarray(2))) return false;
    return (
      inflate(bytes, 1024 * 1024, false)
        ?.toString('latin1', 0, 12)
        .startsWith('{"packages":') ?? false
    );
  }
}
