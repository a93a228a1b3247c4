import { isZeroBlock, parsePaxRecords, parseTarHeader, TAR_BLOCK, untilZero, type TarHeader } from '../../oci/index.js';
import type { SbomLimits } from '../limits.js';
import { ByteReader } from './byte-reader.js';
import { layerInvalid, overLimit } from '../sbom-errors.js';

/** An entry of a tar archive. */
export interface TarEntry {
  /** The name in the archive, not cleaned. */
  name: string;
  type: 'file' | 'hardlink' | 'symlink' | 'directory' | 'other';
  linkName: string;
  /** Bytes of content in the archive. */
  size: number;
  mode: number;
  /** True if the archive contains a list of pieces instead of the file's bytes (GNU sparse files). */
  sparse: boolean;
  /** The next chunk of the content; undefined at its end. Unread content is skipped. */
  next(): Promise<Uint8Array | undefined>;
}

const TYPES: ReadonlyMap<string, TarEntry['type']> = new Map([
  ['\0', 'file'],
  ['0', 'file'],
  ['7', 'file'],
  ['S', 'file'],
  ['1', 'hardlink'],
  ['2', 'symlink'],
  ['5', 'directory'],
]);
/** Types without content, whatever their size field says: links, devices, directories and pipes. */
const WITHOUT_CONTENT = new Set(['1', '2', '3', '4', '5', '6']);

/**
 * Yields the entries of a tar archive, with constant memory.
 * It follows Go's archive/tar and does not use tar-stream, which reads on after the end-of-archive marker and lets a
 * global header rename the entries after it: an image could then show an SBOM other files than the runtime unpacks.
 * Bytes after the marker are skipped.
 * @param onHeader called for each header, including extended headers
 * @throws InputError `LAYER_INVALID`, `SBOM_LIMIT`
 */
export async function* readTar(
  source: AsyncIterable<Uint8Array>,
  layer: string,
  limits: SbomLimits,
  onHeader: () => void = () => {},
): AsyncGenerator<TarEntry> {
  const reader = new ByteReader(source);
  try {
    yield* readEntries(reader, layer, limits, onHeader);
    // The source is read to its end, so that the blob's digest is verified.
    while ((await reader.some(Number.MAX_SAFE_INTEGER)) !== undefined);
  } finally {
    await reader.close();
  }
}

async function* readEntries(
  reader: ByteReader,
  layer: string,
  limits: SbomLimits,
  onHeader: () => void,
): AsyncGenerator<TarEntry> {
  let pax: Map<string, string> | undefined;
  let longName: string | undefined;
  let longLink: string | undefined;
  for (;;) {
    const block = await reader.take(TAR_BLOCK);
    if (block.length === 0) break;
    if (block.length < TAR_BLOCK) throw layerInvalid(layer, 'the archive ends in the middle of a header');
    if (isZeroBlock(block)) {
      const second = await reader.take(TAR_BLOCK);
      if (second.length === TAR_BLOCK && !isZeroBlock(second))
        throw layerInvalid(layer, 'a zero block stands before a header');
      break;
    }
    onHeader();
    const header = parseTarHeader(block);
    if (typeof header === 'string') throw layerInvalid(layer, header);
    switch (header.typeFlag) {
      case 'x':
      case 'g':
      case 'L':
      case 'K': {
        const bytes = await readExtension(reader, header, layer, limits);
        if (header.typeFlag === 'L') longName = untilZero(bytes);
        else if (header.typeFlag === 'K') longLink = untilZero(bytes);
        else {
          const records = parsePaxRecords(bytes);
          if (records === undefined) throw layerInvalid(layer, 'a pax header is malformed');
          // Runtimes ignore a global header.
          if (header.typeFlag === 'x') pax = records;
        }
        continue;
      }
      default:
    }
    const entry = merge(header, pax, longName, longLink, layer);
    pax = longName = longLink = undefined;
    if (header.typeFlag === 'S' && block[482] !== 0) await skipSparseMap(reader, layer);
    for (const path of [entry.name, entry.linkName]) {
      if (path.length > limits.pathBytes) {
        throw overLimit(
          'pathBytes',
          `layer ${layer} has a path of ${path.length} characters: longer`,
          limits.pathBytes,
        );
      }
    }
    let left = entry.size;
    yield {
      ...entry,
      next: async () => {
        if (left === 0) return undefined;
        const piece = await reader.some(left);
        if (piece === undefined) throw layerInvalid(layer, `the archive ends inside ${JSON.stringify(entry.name)}`);
        left -= piece.length;
        return piece;
      },
    };
    if ((await reader.skip(left)) < left)
      throw layerInvalid(layer, `the archive ends inside ${JSON.stringify(entry.name)}`);
    await reader.skip(padding(entry.size));
  }
}

function padding(size: number): number {
  return (TAR_BLOCK - (size % TAR_BLOCK)) % TAR_BLOCK;
}

async function readExtension(
  reader: ByteReader,
  header: TarHeader,
  layer: string,
  limits: SbomLimits,
): Promise<Uint8Array> {
  if (header.size > limits.headerBytes) {
    throw overLimit(
      'headerBytes',
      `layer ${layer} has an extended header of ${header.size} bytes: more`,
      limits.headerBytes,
    );
  }
  const bytes = (await reader.take(header.size)).slice();
  if (bytes.length < header.size) throw layerInvalid(layer, 'the archive ends inside an extended header');
  await reader.skip(padding(header.size));
  return bytes;
}

/** In the old GNU format, there are further blocks between header and content, which no size includes. */
async function skipSparseMap(reader: ByteReader, layer: string): Promise<void> {
  for (;;) {
    const block = await reader.take(TAR_BLOCK);
    if (block.length < TAR_BLOCK) throw layerInvalid(layer, 'the archive ends inside a sparse file');
    if (block[504] === 0) return;
  }
}

function merge(
  header: TarHeader,
  pax: Map<string, string> | undefined,
  longName: string | undefined,
  longLink: string | undefined,
  layer: string,
): Omit<TarEntry, 'next'> {
  const paxSize = pax?.get('size');
  if (paxSize !== undefined && paxSize !== '' && !/^[0-9]{1,15}$/.test(paxSize)) {
    throw layerInvalid(layer, 'a pax header has a size that is no number');
  }
  const sparse =
    header.typeFlag === 'S' || pax?.has('GNU.sparse.major') === true || pax?.has('GNU.sparse.map') === true;
  const name = longName ?? (pax?.get('GNU.sparse.name') || pax?.get('path') || header.name);
  const declared = TYPES.get(header.typeFlag) ?? 'other';
  // Archives older than POSIX have no type for directories.
  const type = header.typeFlag === '\0' && name.endsWith('/') ? 'directory' : declared;
  return {
    name,
    type,
    linkName: longLink ?? (pax?.get('linkpath') || header.linkName),
    size: WITHOUT_CONTENT.has(header.typeFlag) || type === 'directory' ? 0 : paxSize ? Number(paxSize) : header.size,
    mode: header.mode,
    sparse,
  };
}
