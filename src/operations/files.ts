import { relative, sep } from 'node:path';
import { inlineBytes, type JobFile } from './job-file-fields.js';
import { IntegrityError, InputError, type CallOptions } from '../oci/index.js';
import { createFolderSink, createFolderSource, withTempFolder, type FileSource, type FileSink } from '../oras/index.js';
import type { Files } from '../ports/files.js';
import { isBlobFolder, walkBlobFolder } from './folder.js';

/** The most bytes of a file that is read as a whole: a manifest. `TOO_LARGE` */
const WHOLE_FILE_BYTES = 4 * 1024 * 1024;
/** The most characters of a pulled file's blob name, and the most parts between slashes: limits of Azure Storage. `FILE_NAME_INVALID` */
const BLOB_NAME_CHARS = 1024;
const BLOB_NAME_PARTS = 250;
/** The most files that one job pulls. `TOO_MANY_FILES` */
const MOST_PULLED_FILES = 10_000;

/** The files of a job: blobs of the container `source`, folders of them, or content in the job itself. */
export function jobFileSource(files: Files, listed: readonly JobFile[]): FileSource {
  const inline = new Map(
    listed.flatMap((file) => {
      const bytes = inlineBytes(file);
      return bytes === undefined ? [] : [[file.path, bytes] as const];
    }),
  );
  return {
    async stat(path) {
      const sizeBytes = inline.get(path)?.length ?? (await files.sizeOf('source', path));
      if (sizeBytes === undefined) {
        if (await isBlobFolder(files, path)) return { kind: 'folder' };
        throw new InputError('FILE_NOT_FOUND', `there is no blob ${path} in the container source`, {
          remedy: 'Upload it before you send the job, or put its content into the job (at most 32 KiB).',
        });
      }
      return { kind: 'file', sizeBytes };
    },
    open: async function* (path) {
      const bytes = inline.get(path);
      if (bytes === undefined) yield* files.open('source', path);
      else yield bytes;
    },
    walk: (path) => walkBlobFolder(files, path),
  };
}

/** @throws InputError `FILE_NOT_FOUND`, `NOT_A_FILE` */
export async function checkIsFile(source: FileSource, path: string): Promise<void> {
  if ((await source.stat(path)).kind === 'file') return;
  throw new InputError('NOT_A_FILE', `${path} is a folder in the container source, not a file`, {
    remedy: 'Name one of its files.',
  });
}

/**
 * Reads a whole file into memory.
 * @throws InputError `FILE_NOT_FOUND`, `NOT_A_FILE`; IntegrityError `TOO_LARGE`
 */
export async function readFile(source: FileSource, path: string): Promise<Uint8Array> {
  await checkIsFile(source, path);
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of source.open(path)) {
    size += chunk.length;
    if (size > WHOLE_FILE_BYTES) {
      throw new IntegrityError('TOO_LARGE', `${path} is more than ${WHOLE_FILE_BYTES} bytes`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** A file that was written to the container `target`. */
export interface PutFile {
  /** Its path in the artifact. */
  path: string;
  /** Its name in the container. Characters that a blob name may not have are percent-encoded. */
  blob: string;
  sizeBytes: number;
}

/** @throws InputError `FILE_NAME_INVALID` if the name is too long or has too many parts for a blob */
function blobName(prefix: string, path: string): string {
  const parts = path.split('/').map((part) => encodeURIComponent(part).replace(/\.$/, '%2E'));
  const name = [prefix, ...parts].join('/');
  if (name.length <= BLOB_NAME_CHARS && name.split('/').length <= BLOB_NAME_PARTS) return name;
  throw new InputError('FILE_NAME_INVALID', `${JSON.stringify(path.slice(0, 300))} is too long for a blob's name`, {
    remedy:
      'Give a shorter "output", or push the file under a shorter name: a blob name has at most 1,024 characters, and characters other than ASCII letters and digits may count several times.',
  });
}

/**
 * Pulls into the container `target`: first into a local folder, where names, links and archives are checked, then blob
 * by blob. Links are left out, because blobs cannot be links.
 * @returns `blobOf` maps a path in the sink to its blob name
 * @throws InputError `FILE_EXISTS` with `keepOld`, if another blob has the name; `FILE_NAME_INVALID`
 */
export function pullToBlobs<T>(
  files: Files,
  { prefix, keepOld, signal }: CallOptions & { prefix: string; keepOld: boolean },
  pull: (sink: FileSink) => Promise<T>,
): Promise<{ pulled: T; put: PutFile[]; leftOut: string[]; blobOf: (path: string) => string }> {
  return withTempFolder(async (folder) => {
    const blobOf = (path: string): string => {
      // The name as the file system returns it: half a surrogate pair has no bytes.
      const there = Buffer.from(relative(folder, path).replaceAll(sep, '/')).toString();
      const name = blobName(prefix, there);
      return path.endsWith('/') ? `${name}/` : name;
    };
    const pulled = await pull(createFolderSink(folder));
    const source = createFolderSource(folder);
    const put: PutFile[] = [];
    const leftOut: string[] = [];
    for await (const entry of source.walk('.')) {
      signal?.throwIfAborted();
      if (entry.kind === 'folder') continue;
      if (entry.kind !== 'file') {
        leftOut.push(entry.path);
        continue;
      }
      const { path, sizeBytes } = entry;
      const blob = blobName(prefix, path);
      if (put.length >= MOST_PULLED_FILES) {
        throw new IntegrityError('TOO_MANY_FILES', `more than ${MOST_PULLED_FILES} files are pulled`);
      }
      if (keepOld && (await files.sizeOf('target', blob)) !== undefined) {
        throw new InputError('FILE_EXISTS', `the container target already has a blob ${blob}`, {
          remedy: 'Leave "keepOldFiles" out, or give another "output".',
        });
      }
      put.push({ path, blob, sizeBytes });
    }
    for (const { path, blob } of put) await files.put('target', blob, source.open(path), signal ? { signal } : {});
    return { pulled, put, leftOut, blobOf };
  });
}
