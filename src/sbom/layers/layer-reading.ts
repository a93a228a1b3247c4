import { PromoterError, type Descriptor, type Digest, type DigestAlgorithm } from '../../oci/index.js';
import type { Counts, LayerBudget } from '../budget.js';
import type { Cataloger, Gap, LayerFile, Reading } from '../catalogers/cataloger.js';
import { ALGORITHMS, fileDigests, LikelyDigests } from '../catalogers/file-digests.js';
import { unreadEcosystem } from '../catalogers/unread.js';
import type { SbomLimits } from '../limits.js';
import { ChangeWriter } from './changes.js';
import { EntryContent } from './layer-file.js';
import { baseOf, cleanPath } from './path.js';
import { readTar, type TarEntry } from './tar.js';

/** What a cataloger found in one file of a layer. */
export interface FileReading {
  /** Position of the file's entry in the layer. */
  index: number;
  /** Name of the cataloger. {@link RECOGNIZERS}: none recognized the content when it was read once more. */
  cataloger: string;
  /** Why it was read: a cataloger wants the path, recognizes the content, or may want a path that links to the file. */
  by: 'path' | 'content' | 'link';
  reading: Reading;
  /** What it costs an image that needs it. Absent if the counts of the layer have it, because it was read with the layer. */
  cost?: Partial<Counts>;
}

/** A file that the kernel can start. */
export interface Program {
  index: number;
  /** What the first line of a script names: its interpreter and perhaps arguments; absent for ELF and PE files. */
  interpreter?: string;
}

/**
 * What one layer contributes to an SBOM: plain data that depends on nothing but the bytes of the layer, the limits and
 * the version of the tool.
 */
export interface LayerReading {
  /** Digest of the unpacked layer. */
  diffId: Digest;
  /** All entries, for {@link readChanges}. */
  changes: Uint8Array;
  /** True if the layer makes a folder opaque. */
  hasOpaque: boolean;
  files: FileReading[];
  programs: Program[];
  /** Digests of programs and of files of packages of languages; not those that are unlikely to be listed. */
  digests: { index: number; digests: string[] }[];
  gaps: (Gap & { path: string })[];
  counts: Counts;
}

/** The readers of a file: catalogers by name. `recognizers`: all that recognize its content. `digests`: all digests. */
export type Readers = ReadonlySet<string>;
export const RECOGNIZERS = 'recognizers';
export const DIGESTS = 'digests';

/** A layer that is unpacked while it is read. */
export interface UnpackedLayer {
  /** The unpacked bytes, each piece valid until the next is asked for. */
  pieces: AsyncIterable<Uint8Array>;
  /** Digest of the unpacked bytes, once they are read. */
  diffId: () => Digest;
}

/**
 * Opens a layer.
 * @param algorithm of the digest of the unpacked layer
 * @param onFrames called before frames of zstd are unpacked, and for those that were not reported at the end
 */
export type OpenLayer = (
  layer: Descriptor,
  algorithm: DigestAlgorithm,
  onFrames: (frames: number, needsMuchMemory: boolean) => Promise<void>,
) => UnpackedLayer;

/** What {@link readLayer} needs. */
export interface LayerOptions {
  catalogers: readonly Cataloger[];
  limits: SbomLimits;
  budget: LayerBudget;
  /**
   * Waits until no other layer needs much memory, or throws what ends the reading. The permit lasts until the layer is
   * read, or for a file until the returned function is called.
   */
  needMuchMemory: (user: 'layer' | 'file') => Promise<() => void>;
  /** By index, the files to read and their readers. Default: those that a cataloger wants by path or recognizes. */
  only?: ReadonlyMap<number, Readers>;
}

/** Larger files are read one at a time over all layers. */
const MUCH_MEMORY = 16 * 1024 * 1024;
const ELF = Buffer.from('\x7fELF', 'latin1');
const MZ = Buffer.from('MZ');
const SCRIPT = Buffer.from('#!');
/** The offset of the second header of PE files: .NET assemblies, which run on Linux as well. */
const PE_OFFSET_AT = 0x3c;
const SPARSE: Gap = { cause: 'sparse-file', detail: 'a sparse file' };
/** Libraries are loaded even without an execute permission. */
const LIBRARY = /\.so(?:\.[0-9.]+)?$/;
/** Linux cuts off longer lines. */
const INTERPRETER = /^#![ \t]*([^ \t\r\n\0][^\r\n\0]*)/;

/**
 * Reads one layer by itself, to its end, so that the digests of the packed and of the unpacked bytes are known.
 * @throws InputError `LAYER_INVALID`, `SBOM_LIMIT`
 */
export async function readLayer(
  layer: Descriptor,
  algorithm: DigestAlgorithm,
  open: OpenLayer,
  options: LayerOptions,
): Promise<LayerReading> {
  const { budget, limits, needMuchMemory } = options;
  const { pieces, diffId } = open(layer, algorithm, async (frames, needsMuchMemory) => {
    budget.take('zstdFrames', frames);
    if (needsMuchMemory) await needMuchMemory('layer');
  });
  const pass = new LayerPass(options);
  const counted = budget.unpacked(pieces);
  await readTar(
    counted,
    layer.digest,
    limits,
    (entry) => pass.add(entry),
    () => budget.take('entries'),
  );
  return { diffId: diffId(), ...pass.result, counts: budget.counts };
}

interface FileReader {
  cataloger: Cataloger;
  by: FileReading['by'];
}

class LayerPass {
  readonly #options: LayerOptions;
  readonly #recognizers: readonly Cataloger[];
  readonly #behindLinks: readonly Cataloger[];
  readonly #changes = new ChangeWriter();
  readonly #likely = new LikelyDigests();
  readonly #found: Omit<LayerReading, 'diffId' | 'counts' | 'changes' | 'hasOpaque'> = {
    files: [],
    programs: [],
    digests: [],
    gaps: [],
  };
  #entries = 0;
  #hasOpaque = false;

  constructor(options: LayerOptions) {
    this.#options = options;
    this.#recognizers = options.catalogers.filter((each) => 'recognizes' in each);
    this.#behindLinks = options.catalogers.filter((each) => 'mayWant' in each);
  }

  get result(): Omit<LayerReading, 'diffId' | 'counts'> {
    return { ...this.#found, changes: this.#changes.bytes(), hasOpaque: this.#hasOpaque };
  }

  /** @returns a promise only if the content is read: most files interest nobody */
  add(entry: TarEntry): Promise<void> | void {
    const path = cleanPath(entry.name);
    if (path === '') return;
    const index = this.#entries++;
    const isWhiteout = path.startsWith('.wh.', path.lastIndexOf('/') + 1);
    this.#likely.note(path);
    const { catalogers, only } = this.#options;
    const isAsked = entry.type === 'file' && (only === undefined || only.has(index));
    const wanting = isAsked ? catalogers.find((each) => each.wants(path)) : undefined;
    if (only === undefined) {
      this.#note(entry, path, isAsked && (wanting !== undefined || unreadEcosystem(path) !== undefined));
      this.#hasOpaque ||= isWhiteout && baseOf(path) === '.wh..wh..opq';
    }
    if (isAsked && !isWhiteout) return this.#readFile(entry, index, path, wanting);
  }

  /** Notes what the first reading of a layer says of an entry. */
  #note(entry: TarEntry, path: string, isNoted: boolean): void {
    const before = this.#changes.length;
    this.#changes.add(entry.type, path, entry.linkName, isNoted);
    this.#options.budget.take('rememberedBytes', this.#changes.length - before);
    if (entry.doubt !== undefined) this.#gap(path, { cause: 'archive-doubtful', detail: entry.doubt });
  }

  #gap(path: string, gap: Gap): void {
    this.#options.budget.take('packageChars', path.length + gap.detail.length);
    this.#found.gaps.push({ ...gap, path });
  }

  #readFile(entry: TarEntry, index: number, path: string, wanting: Cataloger | undefined): Promise<void> | void {
    const asked = this.#options.only?.get(index);
    const byPath =
      asked === undefined ? wanting && [wanting] : this.#options.catalogers.filter(({ name }) => asked.has(name));
    const isRecognized = asked === undefined ? wanting === undefined : asked.has(RECOGNIZERS);
    // What no cataloger wanted by its path was shown to the recognizers when the layer was first read.
    if (asked !== undefined && (isRecognized || wanting === undefined))
      this.#keep(index, RECOGNIZERS, 'path', entry.sparse && mayRun(entry) ? { gaps: [SPARSE] } : {});
    if (entry.sparse) {
      // The archive has pieces of the file, not its bytes.
      for (const reader of byPath ?? []) this.#keep(index, reader.name, 'path', { gaps: [SPARSE] });
      if (asked === undefined && wanting === undefined && mayRun(entry)) this.#gap(path, SPARSE);
      return;
    }
    const { head, size, mode } = entry;
    const isProgram = asked === undefined && this.#noteProgram(head, mode, index);
    const readers: FileReader[] = (byPath ?? []).map((cataloger) => ({ cataloger, by: 'path' }));
    if (isRecognized)
      for (const cataloger of this.#recognizers)
        if (cataloger.recognizes?.(head, size, mode) === true) readers.push({ cataloger, by: 'content' });
    if (asked === undefined)
      for (const cataloger of this.#behindLinks)
        if (cataloger !== wanting && size <= cataloger.maxBytes && cataloger.mayWant?.(path) === true)
          readers.push({ cataloger, by: 'link' });
    const isListed = isProgram || asked?.has(DIGESTS) === true;
    if (isListed || readers.length > 0) return this.#read(entry, index, path, readers, isListed);
  }

  /** @returns true for a program */
  #noteProgram(head: Uint8Array, mode: number, index: number): boolean {
    if (startsWith(head, ELF) || isPe(head)) this.#found.programs.push({ index });
    else if (startsWith(head, SCRIPT) && (mode & 0o111) !== 0) {
      const interpreter = INTERPRETER.exec(Buffer.from(head).toString())?.[1];
      if (interpreter !== undefined) this.#found.programs.push({ index, interpreter });
    } else return false;
    this.#options.budget.take('rememberedBytes', head.length);
    return true;
  }

  async #read(
    entry: TarEntry,
    index: number,
    path: string,
    wanting: readonly FileReader[],
    isListed: boolean,
  ): Promise<void> {
    const { budget, needMuchMemory, only } = this.#options;
    const reading = wanting.filter(({ cataloger, by }) => {
      if (entry.size <= cataloger.maxBytes) return true;
      const detail = `a file of ${entry.size} bytes, which is too large`;
      this.#keep(index, cataloger.name, by, { gaps: [{ cause: 'file-too-large', detail }] });
      return false;
    });
    // Whether a package of the distribution owns a file depends on its digest. A file that is read once more gets all digests.
    const mayBeListed = isListed || wanting.some(({ cataloger }) => cataloger.kind !== 'os');
    const algorithms = only === undefined ? this.#likely.algorithmsFor(path, isListed) : ALGORITHMS;
    const digest = async (file: LayerFile): Promise<void> => {
      this.#found.digests.push({ index, digests: await fileDigests(file.chunks(), algorithms) });
    };
    const hasDigest = mayBeListed && algorithms.length > 0;
    if (mayBeListed && !hasDigest) this.#found.digests.push({ index, digests: [] });
    if (!hasDigest && reading.length === 0) return;
    const whole = reading.some(({ cataloger }) => cataloger.maxBytes < Infinity);
    if (whole) budget.take('readBytes', entry.size);
    const end = whole && entry.size > MUCH_MEMORY ? await needMuchMemory('file') : undefined;
    const content = new EntryContent(entry);
    const readers = reading.map(
      ({ cataloger }) =>
        (file: LayerFile) =>
          readSafely(cataloger, file, content),
    );
    let read: (Reading | void)[];
    try {
      read = await content.readBy<Reading | void>(hasDigest ? [...readers, digest] : readers);
    } finally {
      end?.();
    }
    let readBytes = whole ? entry.size : 0;
    for (const [at, { cataloger, by }] of reading.entries()) {
      this.#keep(index, cataloger.name, by, read[at] ?? {}, readBytes);
      readBytes = 0;
    }
  }

  #keep(index: number, cataloger: string, by: FileReading['by'], reading: Reading, readBytes = 0): void {
    const { budget, only } = this.#options;
    const cost = { packages: reading.packages?.length ?? 0, packageChars: charsOf(reading) };
    budget.take('packages', cost.packages);
    budget.take('packageChars', cost.packageChars);
    this.#found.files.push({
      index,
      cataloger,
      by,
      reading,
      ...(only !== undefined && { cost: { ...cost, readBytes } }),
    });
  }
}

function startsWith(head: Uint8Array, start: Uint8Array): boolean {
  for (let at = 0; at < start.length; at += 1) if (head[at] !== start[at]) return false;
  return true;
}

/** @see https://learn.microsoft.com/windows/win32/debug/pe-format */
function isPe(head: Uint8Array): boolean {
  if (!startsWith(head, MZ)) return false;
  const bytes = Buffer.from(head.buffer, head.byteOffset, head.length);
  if (bytes.length < PE_OFFSET_AT + 4) return false;
  const at = bytes.readUInt32LE(PE_OFFSET_AT);
  // A header behind the first bytes is not looked at: what begins as a program counts as one.
  return at + 4 > bytes.length || bytes.toString('latin1', at, at + 4) === 'PE\0\0';
}

/** True if a file may be a program or library. */
function mayRun({ mode, name }: TarEntry): boolean {
  return (mode & 0o111) !== 0 || LIBRARY.test(name);
}

/** Reads a file. An error of the cataloger itself, which should not happen, is a gap. */
async function readSafely(reader: Cataloger, file: LayerFile, content: EntryContent): Promise<Reading> {
  try {
    return await reader.read(file);
  } catch (error) {
    if (content.hasFailed || error instanceof PromoterError) throw error;
    return { gaps: [{ cause: 'database-unreadable', detail: `a file that cannot be read: ${String(error)}` }] };
  }
}

/** Characters of all texts in plain data, and a few for each other value. */
function charsOf(value: unknown): number {
  let chars = 0;
  for (const open: unknown[] = [value]; open.length > 0;) {
    const next = open.pop();
    if (typeof next === 'string') chars += next.length;
    else if (ArrayBuffer.isView(next)) chars += next.byteLength;
    else if (typeof next === 'object' && next !== null) for (const item of Object.values(next)) open.push(item);
    chars += 8;
  }
  return chars;
}
