import { InputError } from '../errors.js';
import type { BlobRepository } from '../store.js';
import { LayoutReader } from './layout-reader.js';

/** An OCI image layout in a tar archive: whatever writes is refused with `LAYOUT_READ_ONLY`. */
export class LayoutArchive extends LayoutReader implements BlobRepository {
  pushBlob(): Promise<void> {
    return Promise.reject(this.#readOnly());
  }

  mountBlob(): Promise<boolean> {
    return Promise.reject(this.#readOnly());
  }

  pushManifest(): Promise<never> {
    return Promise.reject(this.#readOnly());
  }

  deleteManifest(): Promise<void> {
    return Promise.reject(this.#readOnly());
  }

  deleteBlob(): Promise<void> {
    return Promise.reject(this.#readOnly());
  }

  #readOnly(): InputError {
    return archiveReadOnly(this.name);
  }
}

export function archiveReadOnly(path: string): InputError {
  return new InputError('LAYOUT_READ_ONLY', `${path} is a tar archive, which is only read`, {
    remedy: 'Write to a layout folder, and make an archive of it with tar.',
  });
}
