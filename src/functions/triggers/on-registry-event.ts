import { app, type InvocationContext } from '@azure/functions';
import { getClient, input } from 'durable-functions';
import { describeError } from '../../oci/index.js';
import { parseRegistryEvent } from '../../messages/registry-event.js';
import { isForGood, keepAsPoison } from './poison.js';
import { handleRegistryEvent } from '../../promotions/registry-event.js';
import { runIdText } from '../step-log.js';
import { handleAgain } from './event-again.js';
import type { EngineOf, StaticPorts } from '../activities.js';

/** Event Grid waits 30 s for an answer. */
const ANSWER_MS = 25_000;

/**
 * The direct Event Grid trigger: Event Grid schema and CloudEvents. What can never be handled is kept at the first try; what may
 * pass is thrown, and Event Grid delivers it again.
 */
export function registerOnRegistryEvent(ports: StaticPorts, engineOf: EngineOf): void {
  app.eventGrid('onRegistryEvent', {
    extraInputs: [input.durableClient()],
    handler: async (raw: unknown, context: InvocationContext): Promise<void> => {
      try {
        const event = parseRegistryEvent(raw, ports.loginServers);
        const all = { ...ports, engine: engineOf(getClient(context)) };
        const handled = await handleRegistryEvent(all, event, AbortSignal.timeout(ANSWER_MS));
        context.info(`${handled.text} ${runIdText(...handled.runs)}`.trimEnd());
        await handleAgain(ports, event, handled, { messageId: context.invocationId, insertedAt: ports.now() });
      } catch (error) {
        if (!isForGood(error)) throw error;
        const { code, message } = describeError(error);
        context.warn(`event kept as poison: ${code}: ${message}`);
        await keepAsPoison(ports, 'registry-events', { code, reason: message, original: raw });
      }
    },
  });
}
