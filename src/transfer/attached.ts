import { isDigest, type Digest } from '../oci/index.js';
import type { Ports } from '../ports/ports.js';

/** The document with what a run has attached at its source. */
function nameOf(runId: string): string {
  return `plans/${runId}/attached.json`;
}

/** Keeps what a run has attached at its source, for its copy: the source's lists may learn of it later. */
export async function keepAttached(
  ports: Pick<Ports, 'documents'>,
  runId: string,
  digests: readonly Digest[],
): Promise<void> {
  if (digests.length === 0) return;
  await ports.documents.put('documents', nameOf(runId), Buffer.from(JSON.stringify(digests)));
}

/** What the run has attached; nothing if another version kept it. */
export async function attachedBy(ports: Pick<Ports, 'documents'>, runId: string): Promise<Digest[]> {
  const bytes = await ports.documents.get('documents', nameOf(runId));
  if (bytes === undefined) return [];
  const kept: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
  return Array.isArray(kept) ? kept.filter((each): each is Digest => typeof each === 'string' && isDigest(each)) : [];
}
