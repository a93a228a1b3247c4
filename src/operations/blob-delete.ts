import { deleteBlob } from '../oras/index.js';
import type { blobDelete } from './blob-delete.schema.js';
import { deletionResult, type Deleting } from './manifest-delete.js';
import { tagOrDigestOf, type Opened, type OperationResult, type Progress } from './operation.js';
import type { InputOf } from './operation-schema.js';

/** Deletes a blob. */
export async function run(
  opened: Opened,
  _input: InputOf<typeof blobDelete>,
  how: Deleting,
  { signal }: Progress,
): Promise<OperationResult> {
  return deletionResult(opened, await deleteBlob(opened.repository, tagOrDigestOf(opened), { ...how, signal }));
}
