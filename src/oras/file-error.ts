import { ConfigurationError, isRecord } from '../oci/index.js';

/** The code of a file system's error: `ENOENT`, `EXDEV`; undefined for any other error. */
export function fileErrorCode(error: unknown): string | undefined {
  return isRecord(error) && typeof error.code === 'string' && 'syscall' in error ? error.code : undefined;
}

/** An error of this machine's file system as one of ours; any other as it is. */
export function asFileError(error: unknown): unknown {
  const code = fileErrorCode(error);
  if (code === undefined || error instanceof ConfigurationError) return error;
  const message = isRecord(error) ? String(error.message) : code;
  return new ConfigurationError('FILE_UNWRITABLE', message, {
    cause: error,
    details: { code },
    remedy: 'See that the folder is there, may be written to, and has room.',
  });
}
