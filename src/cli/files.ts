import { createReadStream, createWriteStream } from 'node:fs';
import { rename, rm, stat, writeFile } from 'node:fs/promises';
import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { dirname, join } from 'node:path';
import {
  ConfigurationError,
  InputError,
  IntegrityError,
  isRecord,
  PromoterError,
  type OpenBody,
} from '../oci/index.js';
import { isNullDevice, withTempFolder } from '../oras/index.js';
import type { Io } from './io.js';

function unreadable(path: string, cause: unknown): InputError {
  const missing = isRecord(cause) && cause.code === 'ENOENT';
  return new InputError('FILE_UNREADABLE', `${path} ${missing ? 'does not exist' : 'cannot be read'}`, {
    cause,
    remedy: 'Name a file that this user may read.',
  });
}

/**
 * Reads a whole file, or standard input for `-`.
 * @throws InputError `FILE_UNREADABLE`; IntegrityError `TOO_LARGE`
 */
export async function readOperand(path: string, mostBytes: number, io: Io): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const chunk of path === '-' ? io.openInput() : createReadStream(path)) {
      const bytes = chunk as Uint8Array;
      length += bytes.length;
      if (length > mostBytes) break;
      chunks.push(bytes);
    }
  } catch (cause) {
    throw unreadable(path, cause);
  }
  if (length <= mostBytes) return Buffer.concat(chunks);
  throw new IntegrityError('TOO_LARGE', `${path} has more than ${mostBytes} bytes`, { details: { mostBytes } });
}

/**
 * Opens a file, or standard input for `-`, as a body that can be read several times. Input that can be read only once
 * is stored until `work` ends.
 */
export async function withOperandBody<T>(path: string, io: Io, work: (open: OpenBody) => Promise<T>): Promise<T> {
  if (path !== '-') {
    try {
      const found = await stat(path);
      if (!found.isFile() && !(await isNullDevice(found))) {
        throw new InputError('FILE_UNREADABLE', `${path} is not a file`, {
          remedy: 'Name a file that this user may read.',
        });
      }
    } catch (cause) {
      throw cause instanceof PromoterError ? cause : unreadable(path, cause);
    }
    return work(() => createReadStream(path));
  }
  return withTempFolder(async (folder) => {
    const kept = join(folder, 'input');
    await pipeline(Readable.from(io.openInput()), createWriteStream(kept, { mode: 0o600 }), { signal: io.signal });
    return work(() => createReadStream(kept));
  });
}

function unwritable(path: string, cause: unknown): unknown {
  // Errors of the stream are thrown unchanged.
  if (cause instanceof PromoterError || !isRecord(cause) || typeof cause.code !== 'string') return cause;
  return new ConfigurationError('FILE_UNWRITABLE', `${path} cannot be written (${cause.code})`, { cause });
}

/** @throws ConfigurationError `FILE_UNWRITABLE` */
export async function writeOutput(path: string, bytes: Uint8Array): Promise<void> {
  try {
    await writeFile(path, bytes);
  } catch (cause) {
    throw unwritable(path, cause);
  }
}

/**
 * Writes a stream to a file, which appears when the stream has ended. A device or a pipe is written to directly.
 * @throws ConfigurationError `FILE_UNWRITABLE`; what the stream throws
 */
export async function writeStream(path: string, chunks: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  const isSpecial = found !== undefined && !found.isFile() && !found.isDirectory();
  const growing = isSpecial ? path : join(dirname(path), `.${randomUUID()}.part`);
  try {
    if (found?.isDirectory() === true) throw Object.assign(new Error('a folder'), { code: 'EISDIR' });
    await pipeline(chunks, createWriteStream(growing, isSpecial ? {} : { flags: 'wx' }), { signal });
    if (!isSpecial) await rename(growing, path);
  } catch (cause) {
    if (!isSpecial) await rm(growing, { force: true });
    throw unwritable(path, cause);
  }
}
