import {
  isPaxSparse,
  isZeroBlock,
  parsePaxRecords,
  parseTarHeader,
  paxSize,
  TAR_BLOCK,
  untilZero,
  type PaxRecords,
  type TarHeader,
} from '../../oci/index.js';
import type { SbomLimits } from '../limits.js';
import { ByteReader } from './byte-reader.js';
import { layerInvalid, overLimit } from '../sbom-errors.js';

/** An entry of a tar archive. */
export interface TarEntry {
  /** The name in the archive, not cleaned. Bytes that are not UTF-8 are lone surrogates. */
  name: string;
  /**
   * `other`: a device or pipe. `removal`: a global header: a runtime removes what has its name, even a whole folder,
   * and writes nothing.
   */
  type: 'file' | 'hardlink' | 'symlink' | 'directory' | 'other' | 'removal';
  linkName: string;
  /** Bytes of content in the archive. */
  size: number;
  mode: number;
  /** True if the archive contains a list of pieces instead of the file's bytes (GNU sparse files). */
  sparse: boolean;
  /** Why runtimes may unpack something else; undefined if they all unpack the same. */
  doubt: string | undefined;
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
  ['3', 'other'],
  ['4', 'other'],
  ['5', 'directory'],
  ['6', 'other'],
]);
/** Types that Go reads and containerd refuses. */
const REFUSED = new Set(['7', 'S']);
/** Types without content, whatever their size field says: links, devices, directories and pipes. */
const WITHOUT_CONTENT = new Set(['1', '2', '3', '4', '5', '6']);

/**
 * Yields the entries of a tar archive, with constant memory.
 * It follows Go's archive/tar and containerd, and does not use tar-stream, which reads on after the end-of-archive
 * marker and lets a global header rename the entries after it: an image could then show an SBOM other files than the
 * runtime unpacks. What Go refuses is refused; what only containerd refuses is a doubt. Bytes after the marker are
 * skipped.
 * @see https://github.com/containerd/containerd/blob/v2.4.2/pkg/archive/tar.go
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
    let pending: Pending = {};
    for (;;) {
      const block = reader.takeNow(TAR_BLOCK) ?? (await reader.take(TAR_BLOCK));
      if (block.length === 0) break;
      if (block.length < TAR_BLOCK) throw layerInvalid(layer, 'the archive ends in the middle of a header');
      if (isZeroBlock(block)) {
        const second = await reader.take(TAR_BLOCK);
        if (second.length > 0 && (second.length < TAR_BLOCK || !isZeroBlock(second)))
          throw layerInvalid(layer, 'a zero block stands before other bytes');
        break;
      }
      onHeader();
      const header = parseTarHeader(block);
      if (typeof header === 'string') throw layerInvalid(layer, header);
      const isExtended = block[482] !== 0;
      const { typeFlag } = header;
      let entry: Omit<TarEntry, 'next'>;
      if (typeFlag === 'L' || typeFlag === 'K') {
        const name = untilZero(await readExtension(reader, header, layer, limits));
        pending = typeFlag === 'L' ? { ...pending, name } : { ...pending, linkName: name };
        continue;
      } else if (typeFlag === 'x' || typeFlag === 'g') {
        const pax = parsePaxRecords(await readExtension(reader, header, layer, limits));
        if (pax === undefined) throw layerInvalid(layer, 'a pax header is malformed');
        if (typeFlag === 'x') {
          pending = { ...pending, pax };
          continue;
        }
        // Go returns a global header as an entry, without what the headers before it said.
        entry = globalEntry(header, pax);
      } else entry = merge(header, pending, layer);
      pending = {};
      if (typeFlag === 'S' && isExtended) await skipSparseMap(reader, layer);
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
      const filler = padding(entry.size);
      if (left + filler > 0 && (await reader.skip(left + filler)) < left)
        throw layerInvalid(layer, `the archive ends inside ${JSON.stringify(entry.name)}`);
    }
    // The source is read to its end, so that the blob's digest is verified.
    while ((await reader.some(Number.MAX_SAFE_INTEGER)) !== undefined);
  } finally {
    await reader.close();
  }
}

/** What the headers before an entry say of it. */
interface Pending {
  pax?: PaxRecords;
  name?: string;
  linkName?: string;
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
  if (header.size < 0) throw layerInvalid(layer, 'a header has a size below zero');
  if (header.size > limits.headerBytes) {
    throw overLimit(
      'headerBytes',
      `layer ${layer} has an extended header of ${header.size} bytes: more`,
      limits.headerBytes,
    );
  }
  const bytes = reader.takeNow(header.size)?.slice() ?? (await reader.take(header.size)).slice();
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

function globalEntry(header: TarHeader, pax: PaxRecords): Omit<TarEntry, 'next'> {
  const isNumeric = typeof paxSize(pax) !== 'string';
  return {
    name: pax.get('path') || header.name,
    type: 'removal',
    linkName: '',
    size: 0,
    mode: 0,
    sparse: false,
    // Go reads the records in a random order, up to the first that is wrong.
    doubt: isNumeric ? undefined : 'a global header has a field that is no number',
  };
}

const NO_RECORDS: PaxRecords = new Map();

function merge(header: TarHeader, { pax = NO_RECORDS, ...long }: Pending, layer: string): Omit<TarEntry, 'next'> {
  const { typeFlag } = header;
  const statedSize = paxSize(pax);
  if (typeof statedSize === 'string') throw layerInvalid(layer, statedSize);
  const name = long.name || pax.get('path') || header.name;
  const known = TYPES.get(typeFlag);
  // Archives older than POSIX have no type for directories.
  const type = typeFlag === '\0' && name.endsWith('/') ? 'directory' : (known ?? 'other');
  const hasContent = !WITHOUT_CONTENT.has(typeFlag) && type !== 'directory';
  const size = hasContent ? (statedSize ?? header.size) : 0;
  // Go checks the header's own size even if a pax header states another.
  if (size < 0 || (header.size < 0 && !WITHOUT_CONTENT.has(typeFlag)))
    throw layerInvalid(layer, 'an entry has a size below zero');
  if (typeFlag === 'S' && !header.isGnu) throw layerInvalid(layer, 'a sparse file has no GNU header');
  const isPaxSparseFile = typeFlag !== 'S' && isPaxSparse(pax);
  if (isPaxSparseFile && !hasContent) throw layerInvalid(layer, 'an entry without content is sparse');
  return {
    name: (isPaxSparseFile && pax.get('GNU.sparse.name')) || name,
    type,
    linkName: long.linkName || pax.get('linkpath') || header.linkName,
    size,
    mode: header.mode,
    sparse: typeFlag === 'S' || isPaxSparseFile,
    doubt: doubtOf(typeFlag, known !== undefined, pax),
  };
}

function doubtOf(typeFlag: string, isKnown: boolean, pax: PaxRecords): string | undefined {
  if (!isKnown || REFUSED.has(typeFlag)) return `an entry of type ${JSON.stringify(typeFlag)}`;
  const attribute = pax.get('overlay');
  return attribute === undefined ? undefined : `an entry with the attribute ${attribute}`;
}
