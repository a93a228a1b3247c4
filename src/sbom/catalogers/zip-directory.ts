import { CENTRAL, END } from './zip-input.js';

const END_BYTES = 22;
const LONGEST_COMMENT = 0xffff;
const END_64 = 0x06064b50;
const LOCATOR_64 = 0x07064b50;
const [END_64_BYTES, LOCATOR_64_BYTES] = [56, 20] as const;
const HEADER_BYTES = 46;
/** The extra field has the number. */
export const IN_EXTRA = 0xffffffff;
/** Archives appended to each other have two. */
const MOST_DIRECTORIES = 10;
/** The tag of the extra field with 64-bit sizes. */
const EXTRA_64 = 0x0001;

/** An entry as the central directory lists it. */
export interface DirectoryEntry {
  name: string;
  isEncrypted: boolean;
  /** 0: stored, 8: deflated. */
  method: number;
  compressedBytes: number;
  /** Offset of the local header in the file. */
  offset: number;
}

/**
 * Lists what is wanted of the central directories of a zip archive: only what is listed there exists for the JVM. There is one, unless
 * bytes behind the archive look like the end of another. The JVM then decides by signatures elsewhere in the file which
 * one counts; here all of them do. As for the JVM, there may be bytes before the archive.
 * @param tail the end of the file, at least from the directory on
 * @param start offset of `tail` in the file
 * @param wants called for each entry
 * @returns empty if there is no directory, undefined if there are too many
 * @see https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT section 4.3
 */
export function readDirectories(
  tail: Buffer,
  start: number,
  wants: (name: string) => boolean,
): Generator<DirectoryEntry>[] | undefined {
  const earliest = Math.max(0, tail.length - END_BYTES - LONGEST_COMMENT);
  const signature = Buffer.alloc(4);
  signature.writeUInt32LE(END);
  const found: Generator<DirectoryEntry>[] = [];
  for (let at = tail.lastIndexOf(signature); at >= earliest; at = at === 0 ? -1 : tail.lastIndexOf(signature, at - 1)) {
    if (at + END_BYTES > tail.length) continue;
    const place = locate(tail, start, at);
    if (place === undefined) continue;
    if (found.length === MOST_DIRECTORIES) return undefined;
    found.push(list(tail, place, wants));
    const isLast = at + END_BYTES + tail.readUInt16LE(at + 20) === tail.length;
    if (isLast) break;
  }
  return found;
}

interface Place {
  from: number;
  to: number;
  /** Bytes before the archive. */
  prefix: number;
}

function locate(tail: Buffer, start: number, end: number): Place | undefined {
  const long = locate64(tail, start, end);
  const to = long?.at ?? end;
  const size = long?.size ?? tail.readUInt32LE(end + 12);
  const offset = long?.offset ?? tail.readUInt32LE(end + 16);
  const from = to - size;
  const prefix = start + from - offset;
  if (from < 0 || prefix < 0) return undefined;
  if (size > 0 && (size < HEADER_BYTES || tail.readUInt32LE(from) !== CENTRAL)) return undefined;
  return { from, to, prefix };
}

function locate64(tail: Buffer, start: number, end: number): { at: number; size: number; offset: number } | undefined {
  const locator = end - LOCATOR_64_BYTES;
  if (locator < 0 || tail.readUInt32LE(locator) !== LOCATOR_64) return undefined;
  const stated = Number(tail.readBigUInt64LE(locator + 8)) - start;
  // With bytes before the archive, the locator leads too far to the front.
  const at = [stated, locator - END_64_BYTES].find(
    (place) => place >= 0 && place + END_64_BYTES <= locator && tail.readUInt32LE(place) === END_64,
  );
  if (at === undefined) return undefined;
  return { at, size: Number(tail.readBigUInt64LE(at + 40)), offset: Number(tail.readBigUInt64LE(at + 48)) };
}

function* list(tail: Buffer, { from, to, prefix }: Place, wants: (name: string) => boolean): Generator<DirectoryEntry> {
  for (let at = from; at + HEADER_BYTES <= to && tail.readUInt32LE(at) === CENTRAL;) {
    const nameEnd = at + HEADER_BYTES + tail.readUInt16LE(at + 28);
    const extraEnd = nameEnd + tail.readUInt16LE(at + 30);
    const name = tail.toString('utf8', at + HEADER_BYTES, nameEnd);
    if (wants(name)) {
      const [, compressedBytes = 0, offset = 0] = readSizes(tail.subarray(nameEnd, extraEnd), [
        tail.readUInt32LE(at + 24),
        tail.readUInt32LE(at + 20),
        tail.readUInt32LE(at + 42),
      ]);
      yield {
        name,
        isEncrypted: (tail.readUInt16LE(at + 8) & 1) !== 0,
        method: tail.readUInt16LE(at + 10),
        compressedBytes,
        offset: prefix + offset,
      };
    }
    at = extraEnd + tail.readUInt16LE(at + 32);
  }
}

/** Replaces each 32-bit number that is all ones by the next 64-bit number of the extra field. */
export function readSizes(extra: Buffer, sizes: readonly number[]): number[] {
  if (!sizes.includes(IN_EXTRA)) return [...sizes];
  for (let at = 0; at + 4 <= extra.length; at += 4 + extra.readUInt16LE(at + 2)) {
    if (extra.readUInt16LE(at) !== EXTRA_64) continue;
    let next = at + 4;
    return sizes.map((size) => {
      if (size !== IN_EXTRA || next + 8 > extra.length) return size;
      next += 8;
      return Number(extra.readBigUInt64LE(next - 8));
    });
  }
  return [...sizes];
}
