import { LONGEST_NAME } from './cataloger.js';
import type { Skips } from './skips.js';

/**
 * Characters of the names, relations and paths that one database may contribute. The largest real ones have 20 million.
 */
const MOST_CHARS = 64 * 1024 * 1024;
/** What a string needs besides its characters, counted in characters: an estimate. */
const STRING_CHARS = 16;

/**
 * Room for the texts of one file: paths of files are made of parts, so that a small database may name many times its
 * own size.
 */
export class TextRoom {
  #left = MOST_CHARS;

  /** False if there is no room for a text of this length: it is to be left out, and a gap. */
  take(chars: number): boolean {
    if (this.#left < chars + STRING_CHARS) return false;
    this.#left -= chars + STRING_CHARS;
    return true;
  }

  /** Those of the names that there is room for, each once. The others are counted as `skipped`. */
  keepNames(names: readonly string[], skips: Skips, skipped: string): string[] {
    return [...new Set(names)].filter((name) => {
      const isKept = name.length <= LONGEST_NAME && this.take(name.length);
      if (!isKept) skips.add(skipped);
      return isKept;
    });
  }
}
