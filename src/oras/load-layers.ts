import { join, posix } from 'node:path';
import { createDigester, InputError, type CallOptions } from '../oci/index.js';
import type { ArtifactAnnotations } from './annotations.js';
import { FILE_TYPE, type FileReference } from './file-reference.js';
import type { FileSource } from './file-source.js';
import { TITLE, type PackedContent } from './pack-artifact.js';
import { packFolder } from './pack-folder.js';

export type LoadProgress =
  { state: 'preparing'; name: string } | { state: 'left-out'; name: string } | { state: 'empty' };

export interface LoadOptions extends CallOptions {
  annotations?: ArtifactAnnotations;
  /** Modification time of the entries of a folder's archive, in seconds since 1970. */
  modifiedSeconds: number;
  /** The folder for archives, until they have been pushed. */
  tempFolder: string;
  /** Accepts absolute paths. Default: false. */
  allowAbsolutePaths?: boolean;
  onLoad?: (progress: LoadProgress) => void;
}

const FOLDER_TYPE = 'application/vnd.oci.image.layer.v1.tar+gzip';
export const UNPACK = 'io.deis.oras.content.unpack';
export const CONTENT_DIGEST = 'io.deis.oras.content.digest';

function isAbsolute(path: string): boolean {
  return posix.isAbsolute(path) || /^(?:[A-Za-z]:|\\)/.test(path);
}

/** Reads a file once, for its digest and size. */
export async function loadFile(
  source: FileSource,
  path: string,
  mediaType: string,
  { signal }: CallOptions,
): Promise<PackedContent> {
  const found = await source.stat(path);
  if (found.kind !== 'file') throw new InputError('NOT_A_FILE', `${path} is a folder`);
  const digester = createDigester();
  let size = 0;
  for await (const chunk of source.open(path)) {
    signal?.throwIfAborted();
    digester.update(chunk);
    size += chunk.length;
  }
  return { descriptor: { mediaType, digest: digester.digest(), size }, open: () => source.open(path) };
}

async function loadFolder(
  source: FileSource,
  { path, mediaType = FOLDER_TYPE }: FileReference,
  title: string,
  archivePath: string,
  options: LoadOptions,
): Promise<PackedContent> {
  const packed = await packFolder(source, path, title, {
    modifiedSeconds: options.modifiedSeconds,
    archivePath,
    onLeftOut: (name) => options.onLoad?.({ state: 'left-out', name }),
    signal: options.signal,
  });
  const annotations = { [CONTENT_DIGEST]: packed.contentDigest, [UNPACK]: 'true' };
  return {
    descriptor: { mediaType, digest: packed.digest, size: packed.sizeBytes, annotations },
    open: () => packed.open(),
  };
}

/** @throws InputError `PATH_ABSOLUTE` for an absolute path, unless it is allowed */
export function checkPaths(files: readonly FileReference[], options: Pick<LoadOptions, 'allowAbsolutePaths'>): void {
  const absolute = files.map(({ path }) => path).filter(isAbsolute);
  if (absolute.length === 0 || options.allowAbsolutePaths === true) return;
  throw new InputError('PATH_ABSOLUTE', `absolute file path detected: ${absolute.join(', ')}`, {
    remedy: "If it's intentional, use --disable-path-validation flag to skip this check.",
  });
}

/**
 * Makes a layer of each file and folder. Its title is its path, unless an annotation gives another.
 * @throws InputError `FILE_NOT_FOUND`, `NOT_A_FILE`, `PATH_ABSOLUTE`, `FILE_NAME_DUPLICATE`, `FILE_NAME_MISSING`
 */
export async function loadLayers(
  source: FileSource,
  files: readonly FileReference[],
  options: LoadOptions,
): Promise<PackedContent[]> {
  checkPaths(files, options);
  const layers = new Map<string, PackedContent>();
  for (const [index, file] of files.entries()) {
    options.signal?.throwIfAborted();
    const annotations = options.annotations?.files?.get(file.path);
    const title = annotations?.[TITLE] ?? posix.normalize(file.path).replace(/(?<=.)\/+$/, '');
    options.onLoad?.({ state: 'preparing', name: title });
    if (title === '') throw new InputError('FILE_NAME_MISSING', `${file.path} is given an empty title: missing name`);
    if (layers.has(title)) throw new InputError('FILE_NAME_DUPLICATE', `${title}: duplicate name`);
    const { kind } = await source.stat(file.path);
    const { descriptor, open } =
      kind === 'folder'
        ? await loadFolder(source, file, title, join(options.tempFolder, `${index}.tar.gz`), options)
        : await loadFile(source, file.path, file.mediaType ?? FILE_TYPE, options);
    layers.set(title, {
      descriptor: { ...descriptor, annotations: { ...descriptor.annotations, [TITLE]: title, ...annotations } },
      open,
    });
  }
  if (files.length === 0) options.onLoad?.({ state: 'empty' });
  return [...layers.values()];
}
