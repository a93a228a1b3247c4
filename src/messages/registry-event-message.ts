import type { LoginServers } from './login-servers.js';
import { parseRegistryEvent, type RegistryEvent } from './registry-event.js';
import { openMessage, type Retry } from './retry.js';

/**
 * Parses the registry event in a message of the queue `registry-events`. The message may be text or parsed, new or
 * wrapped for a retry.
 * @throws InputError `MESSAGE_INVALID`, `UNKNOWN_EVENT_TYPE`, `EVENT_INVALID`
 */
export function parseRegistryEventMessage(
  value: unknown,
  servers: LoginServers,
): { event: RegistryEvent; retry?: Retry } {
  const { message, retry } = openMessage(value);
  return { event: parseRegistryEvent(message, servers), ...(retry !== undefined && { retry }) };
}
