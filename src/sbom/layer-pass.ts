import { HEAD_BYTES, type Cataloger, type LayerFile, type Reading } from './catalogers/cataloger.js';
import { isGoBinary } from './catalogers/go-binary.js';
import { unreadEcosystem } from './catalogers/unread.js';
import type { Budget } from './budget.js';
import { FoundFiles } from './found-files.js';
import type { Gaps } from './gaps.js';
import { FOLDER_BYTES, whiteoutOf, type Overlay } from './layers/overlay.js';
import { cleanPath, linkTarget } from './layers/path.js';
import type { TarEntry } from './layers/tar.js';
import type { Turns } from './turns.js';

/** The reading of a hard link whose target does not exist. Another pass may replace it. */
const LEADS_NOWHERE: Reading = {
  gaps: [{ cause: 'link-unresolved', detail: 'a hard link whose target is not in its layer' }],
};

/** Files to read only because hard links lead to them, with the catalogers that read them. */
export type Wanted = ReadonlyMap<string, ReadonlySet<Cataloger>>;

interface Finding {
  cataloger: Cataloger;
  reading: Reading;
}

/** What a pass over a layer needs. */
export interface LayerPassOptions {
  catalogers: readonly Cataloger[];
  overlay: Overlay;
  gaps: Gaps;
  /** Limits what this pass may find. */
  budget: Budget;
  turns: Turns;
  /** Position of the layer from the top, which is 0. */
  index: number;
  /** True for the lowest layer: what it hides need not be remembered. */
  isLowest: boolean;
  /** Files wanted by earlier passes over this layer. */
  alsoRead: Wanted;
}

/** One pass over the entries of a layer: reads its visible files. */
export class LayerPass {
  /** Findings by path. A later entry of the archive replaces an earlier one. */
  readonly found: FoundFiles<Finding>;
  /** Files that hard links lead to but that were skipped. Another pass must read them. */
  readonly wanted = new Map<string, Set<Cataloger>>();
  readonly #options: LayerPassOptions;
  /** Readings of files that only hard links lead to, as of the current position in the archive. */
  readonly #aside = new Map<string, Map<Cataloger, Reading>>();

  constructor(options: LayerPassOptions) {
    this.#options = options;
    this.found = new FoundFiles(options.budget);
  }

  async add(entry: TarEntry): Promise<void> {
    const { overlay, index, isLowest, alsoRead } = this.#options;
    const path = cleanPath(entry.name);
    if (path === '') return;
    if (entry.doubt !== undefined) this.#options.gaps.add('archive-doubtful', `${entry.doubt} (${path})`);
    const whiteout = whiteoutOf(path);
    if (whiteout !== undefined) {
      if (whiteout.kind === 'file') overlay.hide(whiteout.path, index);
      else if (whiteout.kind === 'opaque') overlay.hideChildren(whiteout.folder, index);
      return;
    }
    const direct = this.#options.catalogers.find((cataloger) => cataloger.wants(path));
    if (entry.type === 'directory') {
      if (direct !== undefined) overlay.hide(path, index);
      return;
    }
    if (!isLowest) overlay.hide(path, index);
    // When unpacked, this entry replaces what the layer had at this path before, even a whole folder.
    this.found.drop(path);
    if (entry.type === 'symlink') this.#noteLostPackages(path, linkTarget(path, entry.linkName));
    const readers = new Set(alsoRead.get(path));
    const visible = direct !== undefined && !overlay.isHidden(path, index) ? direct : undefined;
    if (visible !== undefined) readers.add(visible);
    if (readers.size === 0) {
      await this.#noteUnread(entry, path);
      return;
    }
    const readings = await this.#read(entry, readers);
    if (alsoRead.has(path)) this.#aside.set(path, readings);
    const reading = visible && readings.get(visible);
    if (visible !== undefined && reading !== undefined) this.found.set(path, { cataloger: visible, reading });
    for (const each of readings.values()) this.#count(each, path);
  }

  #count({ packages = [], gaps = [] }: Reading, path: string): void {
    const chars = packages.map(({ name, version, licenses = [] }) =>
      licenses.reduce((sum, text) => sum + text.length, name.length + version.length + path.length),
    );
    this.#options.budget.take('packages', packages.length);
    this.#options.budget.take(
      'packageChars',
      chars.reduce((sum, each) => sum + each, gaps.length * path.length),
    );
  }

  async #read(entry: TarEntry, readers: ReadonlySet<Cataloger>): Promise<Map<Cataloger, Reading>> {
    const readings = new Map<Cataloger, Reading>();
    if (entry.type === 'hardlink') {
      const target = cleanPath(entry.linkName);
      for (const reader of readers) {
        const twin = this.found.get(target);
        const reading = this.#aside.get(target)?.get(reader) ?? (twin?.cataloger === reader ? twin.reading : undefined);
        readings.set(reader, reading ?? LEADS_NOWHERE);
        if (reading === undefined) this.#want(target, reader);
      }
      return readings;
    }
    if (entry.type !== 'file') return readings;
    const most = Math.max(...[...readers].map((reader) => reader.maxBytes));
    const isRead = entry.size <= most && !entry.sparse;
    if (isRead) this.#options.budget.take('readBytes', entry.size);
    const bytes = isRead ? await contentOf(entry) : undefined;
    for (const reader of readers) {
      if (entry.sparse) readings.set(reader, { gaps: [{ cause: 'sparse-file', detail: 'a sparse file' }] });
      else if (bytes === undefined || bytes.length > reader.maxBytes) {
        const detail = `a file of ${entry.size} bytes, which is too large`;
        readings.set(reader, { gaps: [{ cause: 'file-too-large', detail }] });
      } else readings.set(reader, await reader.read(fileOf(entry, bytes)));
    }
    return readings;
  }

  #want(target: string, reader: Cataloger): void {
    const { alsoRead, budget } = this.#options;
    const readers = this.wanted.get(target) ?? new Set();
    if (readers.size === 0 && !alsoRead.has(target)) budget.take('rememberedBytes', FOLDER_BYTES + target.length);
    this.wanted.set(target, readers.add(reader));
  }

  #noteLostPackages(path: string, target: string): void {
    const { catalogers, overlay, gaps, index } = this.#options;
    for (const cataloger of catalogers) {
      const why = cataloger.lost?.(path, target);
      if (why !== undefined && !overlay.isHidden(path, index)) {
        gaps.add('link-unresolved', `${cataloger.name}: ${why} (${path})`);
      }
    }
  }

  async #noteUnread(entry: TarEntry, path: string): Promise<void> {
    const { overlay, gaps, index, alsoRead } = this.#options;
    // A later pass would report the same files again.
    if (alsoRead.size > 0) return;
    const ecosystem = unreadEcosystem(path) ?? ((await isGoBinary(entry)) ? 'go' : undefined);
    if (ecosystem !== undefined && !overlay.isHidden(path, index)) {
      gaps.add('no-reader', `no reader for ${ecosystem} (${path})`);
    }
  }
}

function fileOf({ size, mode }: TarEntry, bytes: Uint8Array): LayerFile {
  return {
    size,
    mode,
    head: bytes.subarray(0, HEAD_BYTES),
    whole: () => Promise.resolve(bytes),
    async *chunks() {
      yield bytes;
    },
  };
}

async function contentOf(entry: TarEntry): Promise<Uint8Array> {
  const bytes = new Uint8Array(entry.size);
  let filled = 0;
  for (let piece = await entry.next(); piece !== undefined; piece = await entry.next()) {
    bytes.set(piece, filled);
    filled += piece.length;
  }
  return bytes;
}
