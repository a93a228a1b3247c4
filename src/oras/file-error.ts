import { isRecord } from '../oci/index.js';

/** The code of a file system's error: `ENOENT`, `EXDEV`; undefined for any other error. */
export function fileErrorCode(error: unknown): string | undefined {
  return isRecord(error) && typeof error.code === 'string' && 'syscall' in error ? error.code : undefined;
}
