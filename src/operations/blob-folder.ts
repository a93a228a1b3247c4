import { InputError, IntegrityError } from '../oci/index.js';
import type { FolderEntry } from '../oras/index.js';
import type { Files } from '../ports/files.js';

/** The most characters of a file's path in a job. `JOB_INVALID` */
export const PATH_CHARS = 512;
/**
 * Characters that a path may not have: control characters, line ends, halves of surrogate pairs, and backslashes, which
 * Windows reads as slashes.
 */
const UNNAMEABLE = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\\\ufffe\uffff]/u;

/** The problem with the path of a job's file. It must be relative and a valid blob name. */
export function pathProblem(path: string): string | undefined {
  const parts = path.replace(/\/$/, '').split('/');
  if (parts.some((part) => part === '' || part === '.' || part === '..' || part.endsWith('.'))) {
    return 'write it as a/b/c: no part may be empty, "." or "..", or end with a dot';
  }
  return UNNAMEABLE.test(path) ? 'control characters, line ends and backslashes are not allowed' : undefined;
}

/** The most blobs of a folder that a job pushes. `TOO_MANY_FILES` */
const MOST_PUSHED_FILES = 10_000;
/** Maximum bytes of a pushed folder, because it is packed on the function's disk. `TOO_LARGE` */
export const PUSHED_FOLDER_BYTES = 1024 * 1024 * 1024;

/** Permissions in the archive. Blobs have none. */
const FOLDER_MODE = 0o755;
const FILE_MODE = 0o644;

/** True if the container `source` has blobs below a name. */
export async function isBlobFolder(files: Pick<Files, 'list'>, path: string): Promise<boolean> {
  for await (const _first of files.list('source', `${path}/`)) return true;
  return false;
}

/**
 * The blobs below a name, in the order of a folder on disk: a folder before its entries, names in byte order. The same
 * files therefore make the same archive.
 * @throws InputError `FILE_NAME_INVALID`; IntegrityError `TOO_MANY_FILES`, `TOO_LARGE`
 */
export async function* walkBlobFolder(files: Pick<Files, 'list'>, path: string): AsyncGenerator<FolderEntry> {
  const found: { parts: string[]; sizeBytes: number }[] = [];
  let totalBytes = 0;
  for await (const { name, sizeBytes } of files.list('source', `${path}/`)) {
    if (found.length >= MOST_PUSHED_FILES) {
      throw new IntegrityError('TOO_MANY_FILES', `more than ${MOST_PUSHED_FILES} blobs are below ${path}`, {
        remedy: 'Push them in several artifacts, or as an archive.',
      });
    }
    totalBytes += sizeBytes;
    if (totalBytes > PUSHED_FOLDER_BYTES) {
      throw new IntegrityError('TOO_LARGE', `the folder ${path} has more than ${PUSHED_FOLDER_BYTES} bytes`, {
        remedy: 'Push its files one by one: files are streamed, a folder is packed first.',
      });
    }
    const parts = name.slice(path.length + 1).split('/');
    if (parts.some((part) => part === '' || part === '.' || part === '..' || /[\\\0]/.test(part))) throw invalid(name);
    found.push({ parts, sizeBytes });
  }
  // The zero byte sorts before every character of a name, so the entries of a folder come directly after it.
  const orderOf = ({ parts }: { parts: string[] }): Buffer => Buffer.from(parts.join('\0'));
  const names = new Set(found.map(({ parts }) => parts.join('/')));
  const folders = new Set<string>();
  yield { kind: 'folder', path: '', mode: FOLDER_MODE };
  for (const { parts, sizeBytes } of found.toSorted((a, b) => Buffer.compare(orderOf(a), orderOf(b)))) {
    for (let depth = 1; depth < parts.length; depth += 1) {
      const folder = parts.slice(0, depth).join('/');
      if (names.has(folder)) throw invalid(`${path}/${folder}`);
      if (!folders.has(folder)) yield { kind: 'folder', path: folder, mode: FOLDER_MODE };
      folders.add(folder);
    }
    yield { kind: 'file', path: parts.join('/'), mode: FILE_MODE, sizeBytes };
  }
}

function invalid(name: string): InputError {
  return new InputError(
    'FILE_NAME_INVALID',
    `the blob ${JSON.stringify(name.slice(0, 300))} cannot be a file of a folder`,
    {
      remedy:
        'Rename it: no part of its name may be empty, "." or "..", contain a backslash, or be both a file and a folder.',
    },
  );
}
