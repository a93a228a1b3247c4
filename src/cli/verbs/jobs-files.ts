import { readFile, stat } from 'node:fs/promises';
import { posix } from 'node:path';
import { InputError } from '../../oci/index.js';
import {
  createFolderSource,
  isNullDevice,
  loadLayers,
  parseAnnotationFile,
  parseAnnotationFlags,
  parseConfigReference,
  parseFileReference,
  withTempFolder,
  type ArtifactAnnotations,
  type FileReference,
} from '../../oras/index.js';
import { sourceDateEpoch } from '../artifact-options.js';
import type { Io } from '../io.js';
import { listOf } from '../repeated.js';
import { leftOutLine } from '../status-line.js';
import { textOf, type Values } from '../verb.js';

/** What a job can hold of files, in all; the app has the same bound. */
const INLINE_BYTES = 32 * 1024;
/** What a folder may hold that is packed to see whether it is small enough then. */
const FOLDER_BYTES = 16 * 1024 * 1024;

const CREATED = 'org.opencontainers.image.created';

/** The options of `push` and `attach` that a job has fields for. */
export const PACKING: readonly string[] = ['annotation', 'annotationFile', 'artifactType', 'concurrency', 'config'];

/** A file of a job, as src/inbox reads it. */
interface JobFile {
  path: string;
  mediaType?: string;
  base64?: string;
  annotations?: Record<string, string>;
}

function tooLarge(what: string): InputError {
  return new InputError('FILE_TOO_LARGE', `${what}; a job holds ${INLINE_BYTES} bytes at most`, {
    remedy: 'Put it into the container “source” of the app, and name it from a folder where it isn’t.',
  });
}

function sizeOf({ base64 = '' }: JobFile): number {
  return Buffer.byteLength(base64, 'base64');
}

/** `./docs/` as a blob is called: `docs`. */
export function nameOf(path: string): string {
  return posix.normalize(path).replace(/(?<=.)\/$/, '');
}

function named({ path, mediaType }: FileReference): JobFile {
  return { path: nameOf(path), ...(mediaType !== undefined && { mediaType }) };
}

/**
 * A file of this machine stands in the job; one that isn't here is a blob of the app's container `source`.
 * @throws InputError `NOT_A_FILE`, `FILE_TOO_LARGE`
 */
export async function fileOf(text: string, file = parseFileReference(text)): Promise<JobFile> {
  const { path } = file;
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) return named(file);
  if (!found.isFile() && !(await isNullDevice(found))) {
    throw new InputError('NOT_A_FILE', `${path} is not a file, and one is wanted`, { remedy: 'Name a file.' });
  }
  if (found.size > INLINE_BYTES) throw tooLarge(`${path} has ${found.size} bytes`);
  return { ...named(file), base64: (await readFile(path)).toString('base64') };
}

/** Whether it is worth the while to pack a folder. */
async function isWithin(path: string, mostBytes: number): Promise<boolean> {
  let bytes = 0;
  for await (const entry of createFolderSource().walk(path)) {
    if (entry.kind === 'file') bytes += entry.sizeBytes;
    if (bytes > mostBytes) return false;
  }
  return true;
}

/**
 * A folder stands in the job as the archive that `push` makes of it, with the annotations by which it is unpacked: the app makes
 * the same layer of it.
 * @throws InputError `NOT_A_FILE`, `FILE_TOO_LARGE`
 */
async function folderOf(file: FileReference, title: string | undefined, io: Io): Promise<JobFile> {
  const name = title ?? named(file).path;
  if (posix.isAbsolute(name) || name.split('/').some((part) => part === '.' || part === '..')) {
    throw new InputError('NOT_A_FILE', `${file.path} has no name below which a job could hold it`, {
      remedy: 'Name the folder from the one that it is in, or leave --submit out.',
    });
  }
  if (!(await isWithin(file.path, FOLDER_BYTES))) throw tooLarge(`${file.path} has more than ${FOLDER_BYTES} bytes`);
  return withTempFolder(async (tempFolder) => {
    const [layer] = await loadLayers(createFolderSource(), [file], {
      tempFolder,
      modifiedSeconds: sourceDateEpoch(io.env),
      signal: io.signal,
      annotations: { files: new Map([[file.path, { 'org.opencontainers.image.title': name }]]) },
      onLoad: (progress) => progress.state === 'left-out' && io.err(leftOutLine(progress.name)),
    });
    if (layer === undefined) throw new Error('a folder is a layer');
    const { mediaType, size, annotations } = layer.descriptor;
    if (size > INLINE_BYTES) throw tooLarge(`${file.path}, packed, has ${size} bytes`);
    const chunks: Uint8Array[] = [];
    for await (const chunk of await layer.open()) chunks.push(chunk);
    const base64 = Buffer.concat(chunks).toString('base64');
    return { path: named(file).path, mediaType, base64, ...(annotations && { annotations }) };
  });
}

async function annotationsOf(values: Values, io: Io): Promise<ArtifactAnnotations> {
  const path = textOf(values, 'annotationFile');
  const given: ArtifactAnnotations =
    path === undefined
      ? { manifest: parseAnnotationFlags(listOf(values.annotation)) }
      : parseAnnotationFile(await readFile(path, 'utf8'), path);
  const seconds = sourceDateEpoch(io.env);
  if (seconds === 0) return given;
  // The app's own clock says 1970, as ours does without it.
  const created = new Date(seconds * 1000).toISOString().replace('.000', '');
  return { ...given, manifest: { [CREATED]: created, ...given.manifest } };
}

/** What `push` and `attach` pack, as fields of a job. @throws InputError `FILE_TOO_LARGE`, `NOT_A_FILE` */
export async function packing(files: readonly string[], values: Values, io: Io): Promise<Record<string, unknown>> {
  const { manifest = {}, config: onConfig, files: byPath } = await annotationsOf(values, io);
  const config = textOf(values, 'config');
  const listed: JobFile[] = [];
  for (const text of files) {
    const reference = parseFileReference(text);
    const annotations = byPath?.get(reference.path);
    const isFolder = (await stat(reference.path).catch(() => undefined))?.isDirectory() === true;
    const file = isFolder
      ? await folderOf(reference, annotations?.['org.opencontainers.image.title'], io)
      : await fileOf(text);
    const all = { ...file.annotations, ...annotations };
    listed.push({ ...file, ...(Object.keys(all).length > 0 && { annotations: all }) });
  }
  const bytes = listed.reduce((sum, file) => sum + sizeOf(file), 0);
  if (bytes > INLINE_BYTES) throw tooLarge(`the files have ${bytes} bytes in all`);
  return {
    files: listed,
    ...(Object.keys(manifest).length > 0 && { annotations: manifest }),
    ...(onConfig && { configAnnotations: onConfig }),
    ...(config !== undefined && { config: await fileOf(config, parseConfigReference(config)) }),
  };
}
