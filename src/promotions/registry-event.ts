import type { RegistryEvent } from '../messages/registry-event.js';
import type { Ports } from '../ports/ports.js';
import type { StorePort } from '../ports/store.js';
import type { IgnoredEvents } from '../ports/ignored-events.js';
import { referenceOf, type Change, type EventPorts, type Handled, handleChange } from './handle-change.js';

/**
 * A push or a deletion as an event: {@link handleChange}. What no rule matches is kept for a week with the nearest rule.
 * @param from where to go on: `next` of the call before
 */
export async function handleRegistryEvent(
  ports: EventPorts,
  event: RegistryEvent,
  signal: AbortSignal,
  from?: string,
): Promise<Handled> {
  const { kind, registry, repository, tag, digest, time: at, id } = event;
  const change: Change = {
    kind,
    registry,
    repository,
    at,
    by: 'push',
    id,
    ...(tag !== undefined && { tag }),
    ...(digest !== undefined && { digest }),
  };
  const handled = await handleChange(ports, change, signal, from);
  if (handled.ignored !== undefined) await keepIgnored(ports, event, handled.ignored);
  return handled;
}

/** Keeps an event that came to nothing, with the reason. */
export async function keepIgnored(
  ports: Pick<Ports, 'now'> & StorePort<IgnoredEvents>,
  event: Pick<RegistryEvent, 'id' | 'registry' | 'repository' | 'tag' | 'digest'>,
  reason: string,
): Promise<void> {
  const { id: eventId } = event;
  await ports.store.addIgnored({ at: ports.now().toISOString(), reference: referenceOf(event), eventId, reason });
}
