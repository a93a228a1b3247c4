import { resolve } from 'node:path';
import { isRecord } from '../descriptor.js';
import { ConfigurationError } from '../errors.js';

/**
 * True if the file system refused to write a file of the layout. Reading the source can fail as well, and is not meant
 * here.
 */
function isRefusal(error: unknown, root: string): error is Record<string, unknown> {
  if (!isRecord(error) || typeof error.code !== 'string' || typeof error.syscall !== 'string') return false;
  if (typeof error.path !== 'string') return error.syscall === 'write';
  // mkdir may have failed for a parent folder.
  const [path, own] = [resolve(error.path), resolve(root)];
  return path.startsWith(own) || (error.syscall === 'mkdir' && own.startsWith(path));
}

/**
 * Runs work that writes to a layout.
 * @throws ConfigurationError `LAYOUT_UNWRITABLE` if the file system refuses
 * @throws any other error of `work`
 */
export async function writing<T>(root: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (!isRefusal(cause, root)) throw cause;
    throw new ConfigurationError(
      'LAYOUT_UNWRITABLE',
      `the OCI image layout ${root} cannot be written (${String(cause.code)})`,
      {
        cause,
        remedy: 'Choose a writable folder with free space.',
      },
    );
  }
}
