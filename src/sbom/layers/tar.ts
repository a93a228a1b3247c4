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
import { HEAD_BYTES } from '../catalogers/cataloger.js';
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
  /** The first bytes of the content, at most {@link HEAD_BYTES}. Valid until `next` is called. */
  head: Uint8Array;
  /** The next chunk of the content, from its start; undefined at its end. Unread content is skipped. */
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
/** Headers of GNU tar and pax that say something of the next entry, or of all that follow. */
const EXTENSIONS = new Set(['L', 'K', 'x', 'g']);
/** Types without content, whatever their size field says: links, devices, directories and pipes. */
const WITHOUT_CONTENT = new Set(['1', '2', '3', '4', '5', '6']);

const NOTHING = new Uint8Array(0);

/**
 * Visits the entries of a tar archive, with constant memory.
 * It follows Go's archive/tar and containerd, and does not use tar-stream, which reads on after the end-of-archive
 * marker and lets a global header rename the entries after it: an image could then show an SBOM other files than the
 * runtime unpacks. What Go refuses is refused; what only containerd refuses is a doubt. Bytes after the marker are
 * skipped.
 * @see https://github.com/containerd/containerd/blob/v2.4.2/pkg/archive/tar.go
 * @param visit called for each entry, which is valid until it returns or its promise is fulfilled
 * @param onHeader called for each header, including extended headers
 * @throws InputError `LAYER_INVALID`, `SBOM_LIMIT`
 */
export async function readTar(
  source: AsyncIterable<Uint8Array>,
  layer: string,
  limits: SbomLimits,
  visit: (entry: TarEntry) => Promise<void> | void,
  onHeader: () => void = () => {},
): Promise<void> {
  const reader = new ByteReader(source);
  let name = '';
  let left = 0;
  const next: TarEntry['next'] = async () => {
    if (left === 0) return undefined;
    const piece = await reader.some(left);
    if (piece === undefined) throw layerInvalid(layer, `the archive ends inside ${JSON.stringify(name)}`);
    left -= piece.length;
    return piece;
  };
  try {
    let before: Before = {};
    for (;;) {
      // Nearly all headers are whole in the window. Waiting for what is there would take longer than reading it.
      if (reader.available < TAR_BLOCK) await reader.fill(TAR_BLOCK);
      const block = reader.someHere(TAR_BLOCK);
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
      let entry: TarEntry;
      if (EXTENSIONS.has(typeFlag)) {
        const length = extensionBytes(header, layer, limits);
        const withPadding = length + padding(length);
        if (reader.available < withPadding) await reader.fill(withPadding);
        const bytes = reader.someHere(withPadding).subarray(0, length);
        if (bytes.length < length) throw layerInvalid(layer, 'the archive ends inside an extended header');
        if (typeFlag === 'L' || typeFlag === 'K') {
          before[typeFlag === 'L' ? 'name' : 'linkName'] = untilZero(bytes);
          continue;
        }
        const pax = parsePaxRecords(bytes);
        if (pax === undefined) throw layerInvalid(layer, 'a pax header is malformed');
        if (typeFlag === 'x') {
          before.pax = pax;
          continue;
        }
        // Go returns a global header as an entry, without what the headers before it said.
        entry = globalEntry(header, pax, next);
      } else entry = merge(header, before, layer, next);
      before = {};
      if (typeFlag === 'S' && isExtended) await skipSparseMap(reader, layer);
      checkPath(entry.name, layer, limits);
      checkPath(entry.linkName, layer, limits);
      name = entry.name;
      left = entry.size;
      if (left > 0) {
        const headBytes = Math.min(left, HEAD_BYTES);
        if (reader.available < headBytes) await reader.fill(headBytes);
        entry.head = reader.window.subarray(reader.at, reader.at + headBytes);
      }
      const visited = visit(entry);
      if (visited !== undefined) await visited;
      const rest = left + padding(entry.size);
      if (reader.available >= rest) reader.at += rest;
      else if ((await reader.skip(rest)) < left)
        throw layerInvalid(layer, `the archive ends inside ${JSON.stringify(name)}`);
    }
    // The source is read to its end, so that the blob's digest is verified.
    while ((await reader.some(Number.MAX_SAFE_INTEGER)) !== undefined);
  } finally {
    await reader.close();
  }
}

/** What the headers before an entry say of it. */
interface Before {
  pax?: PaxRecords;
  name?: string;
  linkName?: string;
}

function padding(size: number): number {
  return (TAR_BLOCK - (size % TAR_BLOCK)) % TAR_BLOCK;
}

function extensionBytes({ size }: TarHeader, layer: string, { headerBytes }: SbomLimits): number {
  if (size < 0) throw layerInvalid(layer, 'a header has a size below zero');
  if (size > headerBytes)
    throw overLimit('headerBytes', `layer ${layer} has an extended header of ${size} bytes: more`, headerBytes);
  return size;
}

function checkPath({ length }: string, layer: string, { pathBytes }: SbomLimits): void {
  if (length > pathBytes)
    throw overLimit('pathBytes', `layer ${layer} has a path of ${length} characters: longer`, pathBytes);
}

/** In the old GNU format, there are further blocks between header and content, which no size includes. */
async function skipSparseMap(reader: ByteReader, layer: string): Promise<void> {
  for (;;) {
    const block = await reader.take(TAR_BLOCK);
    if (block.length < TAR_BLOCK) throw layerInvalid(layer, 'the archive ends inside a sparse file');
    if (block[504] === 0) return;
  }
}

function globalEntry(header: TarHeader, pax: PaxRecords, next: TarEntry['next']): TarEntry {
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
    head: NOTHING,
    next,
  };
}

const NO_RECORDS: PaxRecords = new Map();

function merge(header: TarHeader, before: Before, layer: string, next: TarEntry['next']): TarEntry {
  const { pax = NO_RECORDS } = before;
  const { typeFlag } = header;
  const statedSize = paxSize(pax);
  if (typeof statedSize === 'string') throw layerInvalid(layer, statedSize);
  const name = before.name || pax.get('path') || header.name;
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
    linkName: before.linkName || pax.get('linkpath') || header.linkName,
    size,
    mode: header.mode,
    sparse: typeFlag === 'S' || isPaxSparseFile,
    doubt: doubtOf(typeFlag, known !== undefined, pax),
    head: NOTHING,
    next,
  };
}

function doubtOf(typeFlag: string, isKnown: boolean, pax: PaxRecords): string | undefined {
  if (!isKnown || REFUSED.has(typeFlag)) return `an entry of type ${JSON.stringify(typeFlag)}`;
  const attribute = pax.get('overlay');
  return attribute === undefined ? undefined : `an entry with the attribute ${attribute}`;
}
