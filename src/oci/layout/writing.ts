import { resolve } from 'node:path';
import { isRecord } from '../descriptor.js';
import { ConfigurationError } from '../errors.js';

/** Whether the file system refused a layout's own file; what is read to be written there may break, too. */
function isRefusal(error: unknown, root: string): error is Record<string, unknown> {
  if (!isRecord(error) || typeof error.code !== 'string' || typeof error.syscall !== 'string') return false;
  if (typeof error.path !== 'string') return error.syscall === 'write';
  // A folder above it is what can't be made.
  const [path, own] = [resolve(error.path), resolve(root)];
  return path.startsWith(own) || (error.syscall === 'mkdir' && own.startsWith(path));
}

/** Does what writes to a layout. @throws ConfigurationError `LAYOUT_UNWRITABLE`; what else `work` throws */
export async function writing<T>(root: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (!isRefusal(cause, root)) throw cause;
    throw new ConfigurationError(
      'LAYOUT_UNWRITABLE',
      `the OCI image layout ${root} can not be written (${String(cause.code)})`,
      {
        cause,
        remedy: 'Choose a folder that you may write to, with room in it.',
      },
    );
  }
}
