import { formatRegistryEvent, type RegistryEvent } from '../../messages/registry-event.js';
import { continuedEnvelope, retryEnvelope, type Retry, type RetryPace } from '../../messages/retry.js';
import type { Handled } from '../../promotions/change.js';
import { keepIgnored } from '../../promotions/registry-event.js';
import type { IgnoredEvents } from '../../ports/ignored-events.js';
import type { Ports } from '../../ports/ports.js';
import type { StorePort } from '../../ports/store.js';

/** How often a registry is asked for a manifest of which an event tells: for a quarter of an hour, since a replica may be late. */
const UNREADABLE: RetryPace = { firstSeconds: 10, longestSeconds: 2 * 60, attempts: 10 };

/**
 * What is left of an event goes to the queue `registry-events`: promotions that one call did not come to, or a manifest that the registry
 * does not know yet. After 15 minutes such an event is kept as ignored; the change scan finds the manifest.
 * @param seen the message that brought it
 */
export async function handleAgain(
  ports: Pick<Ports, 'queues' | 'now'> & StorePort<IgnoredEvents>,
  event: RegistryEvent,
  { state, next, text }: Handled,
  { retry, ...seen }: { messageId: string; insertedAt: Date; retry?: Retry | undefined },
): Promise<void> {
  if (state === 'done') return;
  const at = { ...seen, now: ports.now() };
  const message = formatRegistryEvent(event);
  const value = retry === undefined ? message : { retry, message };
  const again = next === undefined ? retryEnvelope(value, at, UNREADABLE) : continuedEnvelope(value, at, next);
  if (again === undefined) return keepIgnored(ports, event, `${text}, and did not within 15 minutes`);
  await ports.queues.send('registry-events', again.text, { delaySeconds: again.delaySeconds });
}
