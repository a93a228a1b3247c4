import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { posix } from 'node:path';
import type { JobFile } from '../../operations/job-fields.js';
import { pathProblem, PATH_CHARS } from '../../operations/blob-folder.js';
import { InputError } from '../../oci/index.js';
import {
  checkPaths,
  createFolderSource,
  isNullDevice,
  loadLayers,
  withTempFolder,
  type FileReference,
} from '../../oras/index.js';
import { sourceDateEpoch } from '../verbs/artifact-options.js';
import type { Io } from '../io.js';
import { leftOutLine } from '../output/status-line.js';
import { INLINE_BYTES } from '../../messages/message-text.js';

/** Maximum bytes of a folder before it is packed: a larger one is not likely to fit into a job. `FILE_TOO_LARGE` */
const FOLDER_BYTES = 16 * 1024 * 1024;

const TITLE = 'org.opencontainers.image.title';

function tooLarge(what: string): InputError {
  return new InputError('FILE_TOO_LARGE', `${what}; a job may have at most ${INLINE_BYTES} bytes of files`, {
    remedy:
      'Upload it to the container “source” of the app. Then repeat the command in a folder that does not contain the file.',
  });
}

function sizeOf({ base64 = '' }: JobFile): number {
  return Buffer.byteLength(base64, 'base64');
}

/** The blob name of a path: `docs` for `./docs/`. */
function nameOf(path: string): string {
  return posix.normalize(path).replace(/(?<=.)\/$/, '');
}

/** True if a job's file may have this name. */
function isName(name: string): boolean {
  return name !== '' && name.length <= PATH_CHARS && pathProblem(name) === undefined;
}

/** The name of a local file in the job: its path, or another name if the path is not a valid blob name (`../a`). */
function sentName(path: string): string {
  const own = nameOf(path);
  return isName(own) ? own : `file-${createHash('sha256').update(own).digest('hex').slice(0, 12)}`;
}

/**
 * Puts a local file into the job. If there is no such file, the path names a blob of the app's container `source`.
 * @throws InputError `NOT_A_FILE`, `FILE_TOO_LARGE`, `FILE_NOT_FOUND` if there is no such blob either
 */
async function fileOf({ path, mediaType }: FileReference): Promise<JobFile> {
  const typed = mediaType === undefined ? {} : { mediaType };
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) {
    const name = nameOf(path);
    if (isName(name)) return { path: name, ...typed };
    throw new InputError(
      'FILE_NOT_FOUND',
      `${path} is not on this machine, and it is not a valid name of a blob in the container “source”`,
      {
        remedy: 'Check the path.',
      },
    );
  }
  if (!found.isFile() && !(await isNullDevice(found))) {
    throw new InputError('NOT_A_FILE', `${path} is not a file`, { remedy: 'Name a file.' });
  }
  if (found.size > INLINE_BYTES) throw tooLarge(`${path} has ${found.size} bytes`);
  return { path: sentName(path), ...typed, base64: (await readFile(path)).toString('base64') };
}

/** A file whose name does not matter; `-` is standard input. @throws InputError as {@link fileOf} */
async function contentOf(path: string, io: Io): Promise<JobFile> {
  if (path !== '-') return fileOf({ path });
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of io.openInput()) {
    length += chunk.length;
    if (length > INLINE_BYTES) throw tooLarge(`standard input has more than ${INLINE_BYTES} bytes`);
    chunks.push(chunk);
  }
  return { path: 'standard-input', base64: Buffer.concat(chunks).toString('base64') };
}

/** True if a folder is small enough to be packed. */
async function isWithin(path: string, mostBytes: number): Promise<boolean> {
  let bytes = 0;
  for await (const entry of createFolderSource().walk(path)) {
    if (entry.kind === 'file') bytes += entry.sizeBytes;
    if (bytes > mostBytes) return false;
  }
  return true;
}

/**
 * Puts a folder into the job as the archive that `push` makes of it, with the annotations that unpack it. The app makes
 * the same layer of it.
 * @throws InputError `FILE_TOO_LARGE`
 */
async function folderOf(file: FileReference, annotations: Record<string, string>, io: Io): Promise<JobFile> {
  if (!(await isWithin(file.path, FOLDER_BYTES))) throw tooLarge(`${file.path} has more than ${FOLDER_BYTES} bytes`);
  return withTempFolder(async (tempFolder) => {
    const [layer] = await loadLayers(createFolderSource(), [file], {
      tempFolder,
      modifiedSeconds: sourceDateEpoch(io.env),
      allowAbsolutePaths: true,
      signal: io.signal,
      annotations: { files: new Map([[file.path, annotations]]) },
      onLoad: (progress) => progress.state === 'left-out' && io.err(leftOutLine(progress.name)),
    });
    if (layer === undefined) throw new Error('a folder is a layer');
    const { mediaType, size, annotations: all = {} } = layer.descriptor;
    if (size > INLINE_BYTES) throw tooLarge(`${file.path}, packed, has ${size} bytes`);
    const chunks: Uint8Array[] = [];
    for await (const chunk of await layer.open()) chunks.push(chunk);
    const base64 = Buffer.concat(chunks).toString('base64');
    return { path: sentName(file.path), mediaType, base64, annotations: all };
  });
}

/** A file that is renamed in the job keeps its path as its title. */
function titled(file: JobFile, path: string, annotations: Record<string, string>): JobFile {
  const all = { ...(file.path !== nameOf(path) && { [TITLE]: nameOf(path) }), ...annotations };
  return Object.keys(all).length === 0 ? file : { ...file, annotations: all };
}

/**
 * The files that push and attach pack. Local files are put into the job.
 * @throws InputError `FILE_TOO_LARGE`, `NOT_A_FILE`, `FILE_NOT_FOUND`, `PATH_ABSOLUTE`
 */
async function withPacked(
  { files, config }: { files: readonly JobFile[]; config?: JobFile },
  { allowAbsolutePaths, io }: SendOptions,
): Promise<{ files: JobFile[]; config?: JobFile }> {
  checkPaths(files, { allowAbsolutePaths });
  const sent: JobFile[] = [];
  for (const file of files) {
    const { path, annotations = {} } = file;
    const isFolder = (await stat(path).catch(() => undefined))?.isDirectory() === true;
    sent.push(isFolder ? await folderOf(file, annotations, io) : titled(await fileOf(file), path, annotations));
  }
  const bytes = sent.reduce((sum, file) => sum + sizeOf(file), 0);
  if (bytes > INLINE_BYTES) throw tooLarge(`the files have ${bytes} bytes in all`);
  return { files: sent, ...(config && { config: await fileOf(config) }) };
}

interface SendOptions {
  allowAbsolutePaths: boolean;
  io: Io;
}

/** Fields of an operation's input that name local files. */
interface WithFiles {
  files?: readonly JobFile[];
  config?: JobFile;
  file?: JobFile;
  output?: string;
}

/**
 * The input of an operation as it is sent. Local files are put into it; other files are named as blobs of the app's
 * container `source`.
 * @throws InputError `FILE_TOO_LARGE`, `NOT_A_FILE`, `FILE_NOT_FOUND`, `PATH_ABSOLUTE`
 */
export async function inputToSend(input: object, options: SendOptions): Promise<object> {
  const { files, config, file, output, ...rest }: WithFiles = input;
  const folder = output === undefined ? '.' : nameOf(output);
  return {
    ...rest,
    ...(folder !== '.' && { output: folder }),
    ...(files && (await withPacked({ files, ...(config && { config }) }, options))),
    ...(file && { file: { ...file, ...(await contentOf(file.path, options.io)) } }),
  };
}
