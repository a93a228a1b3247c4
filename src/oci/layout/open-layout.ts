import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { InputError } from '../errors.js';
import { makeFolder } from '../make-folder.js';
import type { BlobRepository } from '../repository.js';
import { FolderFiles, isMissingFile, writing } from './folder-files.js';
import { checkMarker, encodeIndex, INDEX_FILE, MARKER, MARKER_FILE, readIndex } from './index-file.js';
import { LayoutFolder } from './layout-folder.js';
import { LayoutReader } from './layout-reader.js';
import { TarFiles } from './tar-files.js';

function archiveReadOnly(path: string): InputError {
  return new InputError('LAYOUT_READ_ONLY', `${path} is a tar archive, which is read-only`, {
    remedy: 'Write to a layout folder, and create an archive of it with tar.',
  });
}

/** An OCI image layout in a tar archive. Every write fails with `LAYOUT_READ_ONLY`. */
class LayoutArchive extends LayoutReader implements BlobRepository {
  readonly pushBlob = (): Promise<never> => Promise.reject(archiveReadOnly(this.name));
  readonly mountBlob = this.pushBlob;
  readonly pushManifest = this.pushBlob;
  readonly deleteManifest = this.pushBlob;
  readonly deleteBlob = this.pushBlob;
}

/** Creates a layout in a folder, which may have other content. An existing index.json is kept as the layout's. */
async function create(path: string, files: FolderFiles): Promise<void> {
  // Throws before anything is written if index.json belongs to something else.
  await readIndex(files, path);
  await makeFolder(join(path, 'blobs', 'sha256'));
  if ((await files.size(INDEX_FILE)) === undefined) await writeFile(join(path, INDEX_FILE), encodeIndex([]));
  await writeFile(join(path, MARKER_FILE), MARKER);
}

/**
 * Opens an OCI image layout: a folder for reading and writing, or a tar archive for reading.
 * @param options.create creates a layout if the path does not exist or is a folder without one. Default: false.
 * @param options.write fails at once if the layout is read-only. Default: the value of `create`.
 * @param options.signal stops writing when aborted. Pass the signal of a lock, because only one process may write to a
 *   layout.
 * @throws InputError `LAYOUT_NOT_FOUND`, `LAYOUT_INVALID`, `LAYOUT_READ_ONLY`
 * @throws ConfigurationError `LAYOUT_UNWRITABLE`
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
      remedy: 'Use the path of a folder or tar archive that contains oci-layout, index.json and blobs/.',
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
