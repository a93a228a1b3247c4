import { z } from 'zod';
import { InputError, type Descriptor, type OpenBody } from '../oci/index.js';
import type { FileSource } from '../oras/index.js';
import type { Files } from '../ports/files.js';
import type { Ports } from '../ports/ports.js';
import type { StepCall } from '../ports/step.js';
import type { KeepBlob } from './blob-fetch.js';
import { contentOf } from './content.js';
import { checkIsFile, jobFileSource, pullToBlobs, readFile } from './files.js';
import type { JobFile } from './job-file-fields.js';
import type { Deleting } from './manifest-delete.js';
import type { Opened, OperationResult } from './operation.js';
import type { PackingFiles } from './packing.js';
import type { PullFiles } from './pull.js';

// The files of jobs: they are read from and written to containers of the app's storage.

const TITLE = 'org.opencontainers.image.title';
/** The annotation of a folder's archive. */
const UNPACK = 'io.deis.oras.content.unpack';
/** Maximum bytes of a blob in the output itself. */
const INLINE_BLOB_BYTES = 20_000;
/** Maximum unpacked bytes of a pulled archive, because a function's disk is small. `TOO_LARGE` */
const UNPACK_BYTES = 1024 * 1024 * 1024;

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

const notedSchema = z.object({ digest: z.string() });

/**
 * Deletes a manifest or blob once. Its digest is noted before the deletion: after a crash, the tag may name something
 * else, and the manifest may already be gone.
 */
export async function deleteOnce(
  { ports, runId }: { ports: Pick<Ports, 'documents'>; runId: string },
  opened: Opened,
  remove: (opened: Opened, how: Deleting) => Promise<OperationResult>,
): Promise<OperationResult> {
  const name = `deletes/${runId}.json`;
  const before = await ports.documents.get('documents', name);
  if (before !== undefined) {
    const { digest } = notedSchema.parse(JSON.parse(Buffer.from(before).toString('utf8')));
    await remove({ repository: opened.repository, tag: digest }, { ignoreMissing: true });
    return { output: { reference: `${opened.repository.name}@${digest}`, deleted: true } };
  }
  const confirm = async ({ digest }: Descriptor): Promise<boolean> => {
    await ports.documents.put('documents', name, Buffer.from(JSON.stringify({ digest })));
    return true;
  };
  return remove(opened, { confirm });
}
