import { createReadStream } from 'node:fs';
import { lstat, readdir, readlink, realpath, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { InputError } from '../oci/index.js';
import { fileErrorCode } from './file-error.js';
import type { FileSource, FolderEntry, SourceStat } from './file-source.js';

const PERMISSIONS = 0o7777;
const CHUNK_BYTES = 256 * 1024;

/** Go sorts names by their bytes, JavaScript by UTF-16 units. */
function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
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

/** Files below a folder on disk; absolute paths are taken as they are. @param root the process's own as it comes */
export function createFolderSource(root = '.'): FileSource {
  const at = (path: string): string => resolve(root, path);
  return {
    async stat(path): Promise<SourceStat> {
      const status = await stat(at(path)).catch((cause: unknown) => {
        const missing = ['ENOENT', 'ENOTDIR'].includes(fileErrorCode(cause) ?? '');
        throw new InputError(
          missing ? 'FILE_NOT_FOUND' : 'FILE_UNREADABLE',
          `${at(path)} ${missing ? 'is not there' : 'cannot be read'}`,
          { cause },
        );
      });
      if (status.isDirectory()) return { kind: 'folder' };
      if (status.isFile()) return { kind: 'file', sizeBytes: status.size };
      throw new InputError('NOT_A_FILE', `${at(path)} is neither a file nor a folder`);
    },
    open: (path) => createReadStream(at(path), { highWaterMark: CHUNK_BYTES }),
    // A link to a folder stands for the folder.
    walk: async function* (path) {
      yield* walkFolder(await realpath(at(path)), '');
    },
  };
}
