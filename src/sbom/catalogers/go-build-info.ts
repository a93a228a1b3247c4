import type { ByteScanner, Finder } from './byte-scanner.js';
import type { Reading } from './cataloger.js';
import { offsetOf, readSegments, type Segment } from './elf.js';
import { readGoModules } from './go-modules.js';

/** What the linker writes before the build info. @see https://go.dev/src/debug/buildinfo/buildinfo.go (Go 1.26) */
const MAGIC = Buffer.from('\xff Go buildinf:', 'latin1');
const ALIGNED = 16;
const HEADER_BYTES = 32;
/** A flag of the header: the strings follow it. Without the flag (before Go 1.18) it has their addresses. */
const INLINE = 2;
const BIG_ENDIAN = 1;
/** The frame of the module list: `infoStart` and `infoEnd` of cmd/go/internal/modload. */
const FRAME_START = Buffer.from('3077af0c9274080241e1c107e6d618e6', 'hex');
const FRAME_END = Buffer.from('f932433186182072008242104116d8f2', 'hex');
/** Bytes of a module list to look at: the first number is enough for nearly all. */
const [LIST_BYTES, LONG_LIST_BYTES, LONGEST_LIST_BYTES] = [16 * 1024, 512 * 1024, 4 * 1024 * 1024] as const;
const HEAD_BYTES = 4096;
const LONGEST_VERSION = 200;
/** Maximum places with `go1.` that are remembered. Programs name the folder of each source file. */
const MOST_VERSIONS = 50_000;
/** Maximum places where a list of modules is looked for. A program has one or two. */
const MOST_LISTS = 100;

function readVarint(bytes: Buffer, start: number): { value: number; end: number } | undefined {
  let value = 0;
  for (let at = start; at < Math.min(bytes.length, start + 5); at += 1) {
    const byte = bytes[at] ?? 0;
    value += (byte & 0x7f) * 2 ** (7 * (at - start));
    if (byte < 0x80) return { value, end: at + 1 };
  }
  return undefined;
}

function isVersion(text: string): boolean {
  return text.length <= LONGEST_VERSION && /^(?:go\d|devel )[\x20-\x7e]*$/.test(text);
}

/** The list without its frame; '' if there is none. */
function unframed(list: Buffer): string {
  return list.length >= 33 && list[list.length - 17] === 10 ? list.toString('utf8', 16, list.length - 16) : '';
}

/** Looks for the build info of a Go program (ELF, PE, Mach-O), as `go version -m` does, in one pass over the file. */
export class GoBuildInfo {
  readonly finders: readonly Finder[];
  readonly #scanner: () => ByteScanner;
  /** The first bytes of the file. Their segments are looked for only if there is a header. */
  #head = Buffer.alloc(0);
  #knownSegments: Segment[] | undefined;
  /** From a header with strings. */
  #info: { version: string; modules: string } | undefined;
  /** True if there is a header with addresses. */
  #hasAddresses = false;
  /**
   * Possible versions, by offset. They are collected because they usually come before the header that has their
   * addresses.
   */
  readonly #versions = new Map<number, string>();
  #versionAt: { offset: number; length: number } | undefined;
  #list: string | undefined;
  #lists = 0;

  /** @param scanner the one that gets the finders */
  constructor(scanner: () => ByteScanner) {
    this.#scanner = scanner;
    this.finders = [
      {
        needle: MAGIC,
        rareAt: 2,
        bytes: HEADER_BYTES + LIST_BYTES,
        found: (bytes, offset, isEnd) => this.#readHeader(bytes, offset, isEnd),
      },
      { needle: FRAME_START, rareAt: 2, bytes: LIST_BYTES, found: (bytes, _, isEnd) => this.#readList(bytes, isEnd) },
      { needle: Buffer.from('go1.'), bytes: 24, found: (bytes, offset) => this.#keepVersion(bytes, offset) },
    ];
  }

  /** Before the scan: the addresses are in the segments that the first bytes name. */
  start(): void {
    this.#scanner().capture(0, HEAD_BYTES, (bytes) => {
      this.#head = Buffer.from(bytes);
    });
  }

  get #segments(): readonly Segment[] {
    return (this.#knownSegments ??= readSegments(this.#head) ?? []);
  }

  /** What was found. Undefined if the file is no Go program. */
  result(): Reading | undefined {
    if (this.#info !== undefined) return readGoModules(this.#info.version, this.#info.modules);
    if (!this.#hasAddresses) return undefined;
    const place = this.#versionAt;
    const text = place && this.#versions.get(place.offset)?.slice(0, place.length);
    const version = text !== undefined && text.length === place?.length && isVersion(text) ? text : undefined;
    return readGoModules(version, this.#list ?? '');
  }

  #readHeader(bytes: Buffer, offset: number, isEnd: boolean): number | undefined {
    // Other programs, such as Go itself, have these bytes as data.
    if (this.#info !== undefined || offset % ALIGNED !== 0 || bytes.length < HEADER_BYTES) return undefined;
    const segment = this.#segments.find((each) => offset >= each.offset && offset < each.offset + each.size);
    if (this.#segments.length > 0 && segment?.isWritable !== true) return undefined;
    const flags = bytes[15] ?? 0;
    if ((flags & INLINE) === 0) {
      this.#readAddresses(bytes, flags);
      return undefined;
    }
    const first = readVarint(bytes, HEADER_BYTES);
    if (first === undefined || first.value > LONGEST_VERSION) return undefined;
    const version = bytes.toString('latin1', first.end, first.end + first.value);
    const second = readVarint(bytes, first.end + first.value);
    if (!isVersion(version) || second === undefined) return undefined;
    const end = second.end + second.value;
    if (end > bytes.length) return isEnd ? undefined : end;
    this.#info = { version, modules: unframed(bytes.subarray(second.end, end)) };
    return undefined;
  }

  /** The address is that of a Go string: the address of its bytes, then their number. */
  #readAddresses(header: Buffer, flags: number): void {
    const size = header[14];
    if (this.#hasAddresses || (size !== 4 && size !== 8)) return;
    const isBig = (flags & BIG_ENDIAN) !== 0;
    const word = (bytes: Buffer, at: number): bigint => {
      if (size === 4) return BigInt(isBig ? bytes.readUInt32BE(at) : bytes.readUInt32LE(at));
      return isBig ? bytes.readBigUInt64BE(at) : bytes.readBigUInt64LE(at);
    };
    this.#hasAddresses = true;
    const place = offsetOf(this.#segments, word(header, 16));
    if (place === undefined) return;
    this.#scanner().capture(place, 2 * size, (bytes) => {
      const offset = bytes.length < 2 * size ? undefined : offsetOf(this.#segments, word(bytes, 0));
      if (offset !== undefined) this.#versionAt = { offset, length: Number(word(bytes, size)) };
    });
  }

  #readList(bytes: Buffer, isEnd: boolean): number | undefined {
    if (bytes.length <= LIST_BYTES) this.#lists += 1;
    if (this.#list !== undefined || this.#lists > MOST_LISTS) return undefined;
    const end = bytes.indexOf(FRAME_END);
    if (end < 0) {
      return isEnd ? undefined : bytes.length < LONG_LIST_BYTES ? LONG_LIST_BYTES : LONGEST_LIST_BYTES;
    }
    this.#list = unframed(bytes.subarray(0, end + FRAME_END.length));
    return undefined;
  }

  #keepVersion(bytes: Buffer, offset: number): undefined {
    if (this.#versions.size < MOST_VERSIONS) this.#versions.set(offset, bytes.toString('latin1'));
  }
}
