import type { TarEntry } from '../layers/tar.js';

/** What the Go linker puts before the list of modules. @see https://pkg.go.dev/debug/buildinfo */
const MARKER = Buffer.from('\xff Go buildinf:', 'latin1');
/** ELF, PE, and Mach-O in both byte orders. */
const EXECUTABLE = /^(?:\x7fELF|MZ|\xcf\xfa\xed\xfe|\xfe\xed\xfa\xcf)/;
/** The smallest program of a Go compiler is over a megabyte. */
const LEAST_BYTES = 256 * 1024;

/**
 * Whether a file is a program that a Go compiler made, by its content: its name doesn't tell. Reads the entry, to its end where it
 * isn't one; what is no executable is left after its first piece.
 */
export async function isGoBinary(entry: TarEntry): Promise<boolean> {
  if (entry.type !== 'file' || (entry.mode & 0o111) === 0 || entry.size < LEAST_BYTES) return false;
  let seen = Buffer.alloc(0);
  let checked = false;
  for (let piece = await entry.next(); piece !== undefined; piece = await entry.next()) {
    // The marker may lie across two pieces: the end of what was seen goes before the next.
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
