import { z } from 'zod';
import type { Descriptor } from '../oci/index.js';
import type { Ports } from '../ports/ports.js';
import type { Deleting } from './manifest-delete.js';
import type { Opened, OperationResult } from './operation.js';

const notedSchema = z.object({ digest: z.string() });

/**
 * Deletes a manifest or blob once. Its digest is noted before the deletion: after a crash, the tag may name something
 * else, and the manifest may already be gone.
 */
export async function deleteOnce(
  { ports, runId }: { ports: Pick<Ports, 'documents'>; runId: string },
  opened: Opened,
  remove: (opened: Opened, how: Deleting) => Promise<OperationResult>,
): Promise<OperationResult> {
  const name = `deletes/${runId}.json`;
  const before = await ports.documents.get('documents', name);
  if (before !== undefined) {
    const { digest } = notedSchema.parse(JSON.parse(Buffer.from(before).toString('utf8')));
    await remove({ repository: opened.repository, tag: digest }, { ignoreMissing: true });
    return { output: { reference: `${opened.repository.name}@${digest}`, deleted: true } };
  }
  const confirm = async ({ digest }: Descriptor): Promise<boolean> => {
    await ports.documents.put('documents', name, Buffer.from(JSON.stringify({ digest })));
    return true;
  };
  return remove(opened, { confirm });
}
