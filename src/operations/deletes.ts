import { z } from 'zod';
import type { Descriptor } from '../oci/index.js';
import {
  deleteBlob as removeBlob,
  deleteManifest as removeManifest,
  type DeleteOptions,
  type Deletion,
} from '../oras/index.js';
import {
  described,
  tagOrDigestOf,
  targetOf,
  type Operation,
  type OperationCall,
  type OperationResult,
} from './operation.js';

const notedSchema = z.object({ digest: z.string() });

/**
 * Deletes what was found the first time. What is to be deleted is noted before it is: after a crash a tag may lead somewhere else
 * by then, and that it is gone is what was wanted.
 */
async function deleteOnce(
  { ports, runId, signal }: OperationCall,
  named: string,
  repository: string,
  remove: (tagOrDigest: string, options: DeleteOptions) => Promise<Deletion>,
): Promise<OperationResult> {
  const name = `deletes/${runId}.json`;
  const before = await ports.documents.get('documents', name);
  if (before !== undefined) {
    const noted = notedSchema.parse(JSON.parse(Buffer.from(before).toString('utf8')));
    await remove(noted.digest, { signal, ignoreMissing: true });
    return { output: { reference: `${repository}@${noted.digest}`, deleted: true } };
  }
  const confirm = async ({ digest }: Descriptor): Promise<boolean> => {
    await ports.documents.put('documents', name, Buffer.from(JSON.stringify({ digest })));
    return true;
  };
  const deletion = await remove(named, { signal, confirm });
  if (deletion.state === 'missing') return { output: { deleted: false } };
  const { descriptor } = deletion;
  return { output: { ...described(repository, descriptor), deleted: true }, digest: descriptor.digest };
}

/** With all tags that lead to it. */
export const deleteManifest: Operation<'manifest.delete'> = async (call) => {
  const target = targetOf(call.ports, call.job.reference);
  const { repository } = target;
  return deleteOnce(call, tagOrDigestOf(target), repository.name, (named, options) =>
    removeManifest(repository, named, options),
  );
};

export const deleteBlob: Operation<'blob.delete'> = async (call) => {
  const target = targetOf(call.ports, call.job.reference);
  const { repository } = target;
  return deleteOnce(call, tagOrDigestOf(target), repository.name, (digest, options) =>
    removeBlob(repository, digest, options),
  );
};
