import { lstat, open, readdir, readlink, realpath, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { InputError } from '../oci/index.js';
import type { FileSource, FolderEntry, SourceStat } from './file-source.js';
import { fileErrorCode, isNullDevice } from './file-system.js';

const PERMISSIONS = 0o7777;
const FIRST_PIECE_BYTES = 16 * 1024;
const PIECE_BYTES = 256 * 1024;

/** Go sorts names by their bytes, JavaScript by UTF-16 units. */
function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

function unreadable(path: string, cause: unknown): InputError {
  const isMissing = ['ENOENT', 'ENOTDIR'].includes(fileErrorCode(cause) ?? '');
  if (isMissing) return new InputError('FILE_NOT_FOUND', `${path} does not exist`, { cause });
  return new InputError('FILE_UNREADABLE', `${path} cannot be read (${fileErrorCode(cause) ?? 'unknown'})`, {
    cause,
    remedy: 'Name a file that this user may read.',
  });
}

/** The bytes of a file. A stream of Node costs more than a small file. */
async function* readPieces(path: string): AsyncGenerator<Uint8Array> {
  const file = await open(path).catch((cause: unknown) => {
    throw unreadable(path, cause);
  });
  try {
    for (let wanted = FIRST_PIECE_BYTES; ; wanted = PIECE_BYTES) {
      const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(wanted), 0, wanted);
      if (bytesRead > 0) yield buffer.subarray(0, bytesRead);
      // A short read is the end of the file.
      if (bytesRead < wanted) return;
    }
  } finally {
    await file.close();
  }
}

async function* walkFolder(folder: string, path: string): AsyncGenerator<FolderEntry> {
  const here = join(folder, path);
  const status = await lstat(here);
  const mode = status.mode & PERMISSIONS;
  if (status.isDirectory()) {
    yield { kind: 'folder', path, mode };
    for (const name of (await readdir(here)).toSorted(byBytes)) {
      yield* walkFolder(folder, path === '' ? name : `${path}/${name}`);
    }
  } else if (status.isFile()) yield { kind: 'file', path, mode, sizeBytes: status.size };
  else if (status.isSymbolicLink()) yield { kind: 'link', path, mode, target: await readlink(here) };
  else yield { kind: 'other', path, mode };
}

/** Reads files below a folder on disk; absolute paths are used as they are. @param root by default the working directory */
export function createFolderSource(root = '.'): FileSource {
  const at = (path: string): string => resolve(root, path);
  return {
    async stat(path): Promise<SourceStat> {
      const status = await stat(at(path)).catch((cause: unknown) => {
        throw unreadable(at(path), cause);
      });
      if (status.isDirectory()) return { kind: 'folder' };
      if (status.isFile()) return { kind: 'file', sizeBytes: status.size };
      if (await isNullDevice(status)) return { kind: 'file', sizeBytes: 0 };
      throw new InputError('NOT_A_FILE', `${at(path)} is neither a file nor a folder`);
    },
    open: (path) => readPieces(at(path)),
    // A link to a folder is read as the folder.
    walk: async function* (path) {
      yield* walkFolder(await realpath(at(path)), '');
    },
  };
}
