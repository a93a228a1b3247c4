import type { FileHandle } from 'node:fs/promises';
import { InputError } from '../errors.js';

/** Maximum entries of a tar archive. `LAYOUT_INVALID` */
const MOST_TAR_ENTRIES = 1_000_000;
/** Maximum bytes of an extended header. `LAYOUT_INVALID` */
const TAR_NAME_BYTES = 64 * 1024;

/** Position and size of a file in the archive, in bytes. */
export interface TarEntry {
  offset: number;
  size: number;
}

const BLOCK = 512;
const decoder = new TextDecoder();

function invalid(path: string, why: string): InputError {
  return new InputError('LAYOUT_INVALID', `${path} is not a readable tar archive: ${why}`, {
    remedy: 'Use an OCI image layout folder, or an uncompressed tar archive of one.',
  });
}

function textOf(field: Uint8Array): string {
  const end = field.indexOf(0);
  return decoder.decode(end < 0 ? field : field.subarray(0, end));
}

/** Octal digits; or, with the first bit set, a number to the base 256, as GNU writes what octal has no room for. */
function numberOf(field: Uint8Array): number {
  const [first = 0, ...rest] = field;
  if ((first & 0x80) !== 0) return rest.reduce((sum, byte) => sum * 256 + byte, first & 0x7f);
  const digits = textOf(field).trim();
  return digits === '' ? 0 : /^[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : Number.NaN;
}

/** The sum of the header's bytes, its own field taken for spaces. */
function hasGoodChecksum(header: Uint8Array): boolean {
  let sum = 8 * 0x20;
  for (const [index, byte] of header.entries()) if (index < 148 || index >= 156) sum += byte;
  return sum === numberOf(header.subarray(148, 156));
}

/** What an extended header says of the next file, as far as it matters here: lines of `<length> <key>=<value>\n`. */
function paxRecords(bytes: Uint8Array): { path?: string; size?: number } {
  const records: { path?: string; size?: number } = {};
  for (let at = 0; at < bytes.length;) {
    const space = bytes.indexOf(0x20, at);
    const length = Number(decoder.decode(bytes.subarray(at, Math.max(at, space))));
    if (space < 0 || !Number.isSafeInteger(length) || length <= space - at) return records;
    const line = decoder.decode(bytes.subarray(space + 1, at + length - 1));
    if (line.startsWith('path=')) records.path = line.slice('path='.length);
    const size = /^size=([0-9]{1,16})$/.exec(line)?.[1];
    if (size !== undefined) records.size = Number(size);
    at += length;
  }
  return records;
}

function ownName(header: Uint8Array): string {
  const name = textOf(header.subarray(0, 100));
  const isUstar = textOf(header.subarray(257, 263)) === 'ustar';
  const prefix = isUstar ? textOf(header.subarray(345, 500)) : '';
  return prefix === '' ? name : `${prefix}/${name}`;
}

async function readAt(file: FileHandle, offset: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await file.read(bytes, filled, length - filled, offset + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return bytes.subarray(0, filled);
}

/**
 * Finds the regular files of a tar archive. It skips from header to header, so the content is neither read nor
 * unpacked.
 * @throws InputError `LAYOUT_INVALID`
 * @see https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html#tag_20_94_13
 */
export async function indexTar(file: FileHandle, path: string): Promise<Map<string, TarEntry>> {
  const entries = new Map<string, TarEntry>();
  const { size: archiveBytes } = await file.stat();
  let longName: string | undefined;
  let longSize: number | undefined;
  let count = 0;
  for (let at = 0; at < archiveBytes;) {
    const header = await readAt(file, at, BLOCK);
    if (header.length < BLOCK) throw invalid(path, 'it ends in the middle of a header');
    if (header.every((byte) => byte === 0)) break;
    if (header[0] === 0x1f && header[1] === 0x8b) throw invalid(path, 'it is compressed');
    if (!hasGoodChecksum(header)) throw invalid(path, `no header at byte ${at}`);
    const type = String.fromCodePoint(header[156] ?? 0);
    const isExtension = type === 'x' || type === 'L' || type === 'g';
    // A size that does not fit into the header is in the extended header before it.
    const size = (isExtension ? undefined : longSize) ?? numberOf(header.subarray(124, 136));
    const offset = at + BLOCK;
    if (!Number.isSafeInteger(size) || offset + size > archiveBytes) throw invalid(path, 'it is cut off');
    count += 1;
    if (count > MOST_TAR_ENTRIES) throw invalid(path, `it has more than ${MOST_TAR_ENTRIES} entries`);
    if (type === 'x' || type === 'L') {
      if (size > TAR_NAME_BYTES) throw invalid(path, 'a name in it is too long');
      const body = await readAt(file, offset, size);
      const said = type === 'L' ? { path: textOf(body) } : paxRecords(body);
      longName = said.path ?? longName;
      longSize = said.size ?? longSize;
    } else if (type !== 'g') {
      const name = (longName ?? ownName(header)).replace(/^(?:\.\/)+/, '');
      if (type === '0' || type === '\0' || type === '7') entries.set(name, { offset, size });
      longName = undefined;
      longSize = undefined;
    }
    at = offset + Math.ceil(size / BLOCK) * BLOCK;
  }
  return entries;
}
