import type { FileHandle } from 'node:fs/promises';
import { InputError } from '../errors.js';
import { isZeroBlock, parsePaxRecords, parseTarHeader, paxSize, TAR_BLOCK, untilZero } from '../tar-header.js';

/** Maximum entries of a tar archive. `LAYOUT_INVALID` */
const MOST_TAR_ENTRIES = 1_000_000;
/** Maximum bytes of an extended header. `LAYOUT_INVALID` */
const TAR_NAME_BYTES = 64 * 1024;

/** Position and size of a file in the archive, in bytes. */
export interface TarEntry {
  offset: number;
  size: number;
}

/** Types of headers that describe the next entry, and of regular files. */
const EXTENSIONS = new Set(['x', 'g', 'L', 'K']);
const FILES = new Set(['0', '\0', '7']);

function invalid(path: string, why: string): InputError {
  return new InputError('LAYOUT_INVALID', `${path} is not a readable tar archive: ${why}`, {
    remedy: 'Use an OCI image layout folder, or an uncompressed tar archive of one.',
  });
}

async function readAt(file: FileHandle, offset: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
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
  let pax: ReadonlyMap<string, string> | undefined;
  let count = 0;
  for (let at = 0; at < archiveBytes;) {
    const block = await readAt(file, at, TAR_BLOCK);
    if (block.length < TAR_BLOCK) throw invalid(path, 'it ends in the middle of a header');
    if (isZeroBlock(block)) break;
    if (block[0] === 0x1f && block[1] === 0x8b) throw invalid(path, 'it is compressed');
    const header = parseTarHeader(block);
    if (typeof header === 'string') throw invalid(path, `${header} (byte ${at})`);
    const { typeFlag } = header;
    const isExtension = EXTENSIONS.has(typeFlag);
    // A size that does not fit into the header is in the extended header before it.
    const size = (isExtension || pax === undefined ? undefined : paxSize(pax)) ?? header.size;
    const offset = at + TAR_BLOCK;
    if (typeof size === 'string') throw invalid(path, size);
    if (!Number.isSafeInteger(size) || size < 0 || offset + size > archiveBytes) throw invalid(path, 'it is cut off');
    count += 1;
    if (count > MOST_TAR_ENTRIES) throw invalid(path, `it has more than ${MOST_TAR_ENTRIES} entries`);
    if (typeFlag === 'x' || typeFlag === 'L') {
      if (size > TAR_NAME_BYTES) throw invalid(path, 'a name in it is too long');
      const body = await readAt(file, offset, size);
      if (typeFlag === 'L') longName = untilZero(body);
      else pax = parsePaxRecords(body);
      if (typeFlag === 'x' && pax === undefined) throw invalid(path, 'a pax header is malformed');
    } else if (!isExtension) {
      const name = (longName || pax?.get('path') || header.name).replace(/^(?:\.\/)+/, '');
      if (FILES.has(typeFlag)) entries.set(name, { offset, size });
      longName = undefined;
      pax = undefined;
    }
    at = offset + Math.ceil(size / TAR_BLOCK) * TAR_BLOCK;
  }
  return entries;
}
