import { poisonEnvelope } from '../../messages/poison.js';
import { InputError, PolicyError } from '../../oci/index.js';
import { BROKEN_RULES } from '../../ports/rules-source.js';
import type { Ports } from '../../ports/ports.js';

/** Keeps what can never be handled, with its reason: in the queue's poison queue, and what is too large for it as a document. */
export async function keepAsPoison(
  ports: Pick<Ports, 'queues' | 'documents'>,
  queue: 'registry-events' | 'jobs',
  poison: { code: string; reason: string; original: unknown },
): Promise<void> {
  const { text, document } = poisonEnvelope(poison);
  if (document !== undefined) await ports.documents.put('dead-letters', document.name, document.bytes);
  await ports.queues.send(`${queue}-poison`, text);
}

/** True for what no later try mends: what the message says is malformed, or a policy forbids it. */
export function isForGood(error: unknown): boolean {
  return (
    (error instanceof InputError || error instanceof PolicyError) && !error.transient && !BROKEN_RULES.has(error.code)
  );
}
