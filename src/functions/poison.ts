import { poisonEnvelope } from '../inbox/poison.js';
import type { Ports } from '../steps/ports.js';

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
