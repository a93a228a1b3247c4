import { deleteBlob } from '../oras/index.js';
import type { blobDelete } from './blob-delete.schema.js';
import { deletionResult, type Deleting } from './manifest-delete.js';
import { tagOrDigestOf, type Operation } from './operation.js';

/** Deletes a blob. */
export const run: Operation<typeof blobDelete, Deleting> = async (opened, _input, how, { signal }) => {
  return deletionResult(opened, await deleteBlob(opened.repository, tagOrDigestOf(opened), { ...how, signal }));
};
