import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { InputError } from '../errors.js';
import { makeFolder } from '../make-folder.js';
import type { BlobRepository } from '../blob-access.js';
import { FolderFiles, isMissingFile } from './folder-files.js';
import { checkMarker, encodeIndex, INDEX_FILE, MARKER, MARKER_FILE, readIndex } from './index-file.js';
import { archiveReadOnly, LayoutArchive } from './layout-archive.js';
import { LayoutFolder } from './layout-folder.js';
import { TarFiles } from './tar-files.js';
import { writing } from './writing.js';

/** Makes a layout of a folder that is none yet, whatever else is in it. An index.json that stands there is taken for the layout's. */
async function create(path: string, files: FolderFiles): Promise<void> {
  // Somebody else's file of that name ends it here, before anything is written.
  await readIndex(files, path);
  await makeFolder(join(path, 'blobs', 'sha256'));
  if ((await files.size(INDEX_FILE)) === undefined) await writeFile(join(path, INDEX_FILE), encodeIndex([]));
  await writeFile(join(path, MARKER_FILE), MARKER);
}

/**
 * Opens an OCI image layout: a folder, to be read and written, or a tar archive of one, to be read.
 * @param options.create makes a layout where there is nothing, or a folder without one. Default: false.
 * @param options.write refuses what can only be read, and not when it is written. Default: `create`.
 * @param options.signal ends writing: of a lock that keeps others from it, since a layout is written to by one process at a time.
 * @throws InputError `LAYOUT_NOT_FOUND`, `LAYOUT_INVALID`, `LAYOUT_READ_ONLY`; ConfigurationError `LAYOUT_UNWRITABLE`
 * @see https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md
 */
export async function openLayout(
  path: string,
  options: { create?: boolean; write?: boolean; signal?: AbortSignal } = {},
): Promise<BlobRepository> {
  const found = await stat(path).catch((error: unknown) => {
    if (isMissingFile(error)) return undefined;
    throw error;
  });
  if (!found && options.create !== true) {
    throw new InputError('LAYOUT_NOT_FOUND', `there is no OCI image layout at ${path}`, {
      remedy: 'Give the path of a folder, or of a tar archive, that holds oci-layout, index.json and blobs/.',
    });
  }
  if (found?.isFile() === true) {
    const files = await TarFiles.open(path);
    await checkMarker(files, path);
    if (options.write ?? options.create === true) throw archiveReadOnly(path);
    return new LayoutArchive(path, files);
  }
  const folder = new FolderFiles(path);
  if (options.create === true && (await folder.size(MARKER_FILE)) === undefined) {
    await writing(path, () => create(path, folder));
  }
  await checkMarker(folder, path);
  return new LayoutFolder(path, options.signal);
}
