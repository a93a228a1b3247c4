import { relative, sep } from 'node:path';
import { inlineBytes, type JobFile } from './job-fields.js';
import { IntegrityError, InputError, type CallOptions, type OpenBody } from '../oci/index.js';
import { createFolderSink, createFolderSource, withTempFolder, type FileSource, type FileSink } from '../oras/index.js';
import type { Files } from '../ports/files.js';
import type { StepCall } from '../ports/step.js';
import type { KeepBlob } from './blob-fetch.js';
import { contentOf } from './content.js';
import { isBlobFolder, walkBlobFolder } from './blob-folder.js';
import type { PackingFiles } from './packing.js';
import type { PullFiles } from './pull.js';

// The files of jobs: they are read from and written to containers of the app's storage.

/** The most bytes of a file that is read as a whole: a manifest. `TOO_LARGE` */
const WHOLE_FILE_BYTES = 4 * 1024 * 1024;
/** The most characters of a pulled file's blob name, and the most parts between slashes: limits of Azure Storage. `FILE_NAME_INVALID` */
const BLOB_NAME_CHARS = 1024;
const BLOB_NAME_PARTS = 250;
/** The most files that one job pulls. `TOO_MANY_FILES` */
const MOST_PULLED_FILES = 10_000;
const TITLE = 'org.opencontainers.image.title';
/** The annotation of a folder's archive. */
const UNPACK = 'io.deis.oras.content.unpack';
/** Maximum bytes of a blob in the output itself. */
const INLINE_BLOB_BYTES = 20_000;
/** Maximum unpacked bytes of a pulled archive, because a function's disk is small. `TOO_LARGE` */
const UNPACK_BYTES = 1024 * 1024 * 1024;

/** The files of a job: blobs of the container `source`, folders of them, or content in the job itself. */
function jobFileSource(files: Files, listed: readonly JobFile[]): FileSource {
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
async function checkIsFile(source: FileSource, path: string): Promise<void> {
  if ((await source.stat(path)).kind === 'file') return;
  throw new InputError('NOT_A_FILE', `${path} is a folder in the container source, not a file`, {
    remedy: 'Name one of its files.',
  });
}

/**
 * Reads a whole file into memory.
 * @throws InputError `FILE_NOT_FOUND`, `NOT_A_FILE`; IntegrityError `TOO_LARGE`
 */
async function readFile(source: FileSource, path: string): Promise<Uint8Array> {
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
function pullToBlobs<T>(
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

/** The files that a job packs. @throws InputError `FILE_NAME_DUPLICATE`; as {@link jobFileSource} */
export async function packingFiles(
  files: Files,
  { files: listed, config }: { files: readonly JobFile[]; config?: JobFile },
): Promise<PackingFiles> {
  const source = jobFileSource(files, config === undefined ? listed : [...listed, config]);
  await checkNames(source, listed);
  return { source };
}

/**
 * Refuses a file whose name is the folder of another file, because nobody could pull both.
 * @throws InputError `FILE_NAME_DUPLICATE`
 */
async function checkNames(source: FileSource, files: readonly JobFile[]): Promise<void> {
  const titled = files.map((file) => ({ file, title: file.annotations?.[TITLE] ?? file.path }));
  for (const { file, title } of titled) {
    const below = titled.find((other) => other.title.startsWith(`${title}/`));
    // A folder may contain more files, and so may an archive that is unpacked to a folder.
    if (below === undefined || file.annotations?.[UNPACK] === 'true') continue;
    if ((await source.stat(file.path)).kind === 'folder') continue;
    throw new InputError(
      'FILE_NAME_DUPLICATE',
      `${title} is a file, and ${below.title} would be in a folder of that name`,
      { remedy: 'Give one of them another name, or a title (the annotation org.opencontainers.image.title).' },
    );
  }
}

/** The content of a job's file. @throws InputError `FILE_NOT_FOUND`, `NOT_A_FILE`; IntegrityError `TOO_LARGE` */
export function readFileOf(files: Files, file: JobFile): Promise<Uint8Array> {
  return readFile(jobFileSource(files, [file]), file.path);
}

/**
 * Opens a job's file as a body that can be read several times.
 * @throws InputError `FILE_NOT_FOUND`, `NOT_A_FILE`
 */
export async function openFile(files: Files, file: JobFile): Promise<OpenBody> {
  const source = jobFileSource(files, [file]);
  await checkIsFile(source, file.path);
  return () => source.open(file.path);
}

/** Pulls to the prefix `output` of the container `target`. Default: the run's id. */
export function pullToTarget(
  files: Files,
  { runId, signal, progress }: Pick<StepCall, 'signal' | 'progress'> & { runId: string },
): PullFiles {
  return {
    unpackLimitBytes: UNPACK_BYTES,
    async into({ output: prefix = runId, keepOldFiles: keepOld = false }, work) {
      const { pulled, put, leftOut, blobOf } = await pullToBlobs(files, { prefix, keepOld, signal }, work);
      progress.text(`${put.length} files in target/${prefix}`);
      return { pulled, place: (path) => ({ blob: blobOf(path) }), kept: { files: put, leftOut } };
    },
  };
}

/**
 * Stores a blob under the name `output`. Without a name, a small blob is put into the output, and a large one is stored
 * under the run's id.
 */
export function keepInTarget(
  files: Files,
  { runId, signal, progress }: Pick<StepCall, 'signal' | 'progress'> & { runId: string },
): KeepBlob {
  return async ({ descriptor: { digest, size }, open }, output) => {
    if (output === undefined && size <= INLINE_BLOB_BYTES) {
      const chunks: Uint8Array[] = [];
      for await (const chunk of await open()) chunks.push(chunk);
      return contentOf(Buffer.concat(chunks));
    }
    const blob = output ?? `${runId}/${digest.replace(':', '-')}`;
    await files.put('target', blob, await open(), { signal });
    progress.text(`target/${blob}`);
    return { blob };
  };
}
