import type { Stats } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { devNull, tmpdir } from 'node:os';
import { join, relative, resolve, sep } from 'node:path';
import { ConfigurationError, isRecord } from '../oci/index.js';

/** The code of a file system's error: `ENOENT`, `EXDEV`; undefined for any other error. */
export function fileErrorCode(error: unknown): string | undefined {
  return isRecord(error) && typeof error.code === 'string' && 'syscall' in error ? error.code : undefined;
}

/** Turns an error of this machine's file system into `FILE_UNWRITABLE`, and returns any other unchanged. */
export function asFileError(error: unknown): unknown {
  const code = fileErrorCode(error);
  if (code === undefined || error instanceof ConfigurationError) return error;
  const message = isRecord(error) ? String(error.message) : code;
  return new ConfigurationError('FILE_UNWRITABLE', message, {
    cause: error,
    details: { code },
    remedy: 'Check that the folder exists, is writable, and has enough space.',
  });
}

/**
 * True for the device that is always empty (`/dev/null`), under any name. It is read as an empty file. Other devices
 * may never end.
 */
export async function isNullDevice(status: Stats): Promise<boolean> {
  if (!status.isCharacterDevice()) return false;
  const known = await stat(devNull).catch(() => undefined);
  return known?.isCharacterDevice() === true && known.rdev === status.rdev;
}

/** True for the folder itself and everything below it. */
export function isWithin(root: string, path: string): boolean {
  const way = relative(root, path);
  return way === '' || (way !== '..' && !way.startsWith(`..${sep}`) && resolve(root, way) === path);
}

/** Makes a temporary folder, and removes it after the work. */
export async function withTempFolder<T>(work: (path: string) => Promise<T>): Promise<T> {
  const path = await mkdtemp(join(tmpdir(), 'acr-promoter-'));
  try {
    return await work(path);
  } finally {
    await rm(path, { recursive: true, force: true });
  }
}
