import { deleteManifest, type DeleteOptions, type Deletion } from '../oras/index.js';
import type { manifestDelete } from './manifest-delete.schema.js';
import { described, tagOrDigestOf, type Opened, type OperationResult, type Operation } from './operation.js';

/** Asks for confirmation of a deletion, and says whether a missing manifest is an error. */
export type Deleting = Pick<DeleteOptions, 'confirm' | 'ignoreMissing'>;

/** Deletes a manifest and all its tags. */
export const run: Operation<typeof manifestDelete, Deleting> = async (opened, _input, how, { signal }) => {
  const deletion = await deleteManifest(opened.repository, tagOrDigestOf(opened), { ...how, signal });
  return deletionResult(opened, deletion);
};

/** The result of a deletion of a manifest or a blob. */
export function deletionResult({ repository }: Opened, deletion: Deletion): OperationResult {
  if (deletion.state === 'missing') return { output: { deleted: false } };
  const { state, descriptor } = deletion;
  const output = { ...described(repository.name, descriptor), deleted: state === 'deleted' };
  return { output, digest: descriptor.digest };
}
