import type { TarEntry } from '../layers/tar.js';

/**
 * The marker that the Go linker writes before the list of modules.
 * @see https://pkg.go.dev/debug/buildinfo
 */
const MARKER = Buffer.from('\xff Go buildinf:', 'latin1');
/** First bytes of ELF, PE and Mach-O files, the last in both byte orders. */
const EXECUTABLE = /^(?:\x7fELF|MZ|\xcf\xfa\xed\xfe|\xfe\xed\xfa\xcf)/;
/** Smaller files are skipped: the smallest Go program has more than a megabyte. */
const LEAST_BYTES = 256 * 1024;

/**
 * True if a file is a Go program, judged by its content, because the name does not show it. Reads to the marker, or to
 * the end of an executable without one. Stops after the first chunk of a file that is not executable code.
 */
export async function isGoBinary(entry: TarEntry): Promise<boolean> {
  if (entry.type !== 'file' || (entry.mode & 0o111) === 0 || entry.size < LEAST_BYTES) return false;
  let seen = Buffer.alloc(0);
  let checked = false;
  for (let piece = await entry.next(); piece !== undefined; piece = await entry.next()) {
    // The marker may span two chunks, so the end of the previous chunk is kept.
    const window = Buffer.concat([seen, piece]);
    if (!checked && window.length >= 4) {
      if (!EXECUTABLE.test(window.toString('latin1', 0, 4))) return false;
      checked = true;
    }
    if (window.includes(MARKER)) return true;
    seen = window.subarray(-MARKER.length);
  }
  return false;
}
