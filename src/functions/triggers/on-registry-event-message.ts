import { app, type InvocationContext } from '@azure/functions';
import { getClient, input } from 'durable-functions';
import { parseRegistryEventMessage } from '../../messages/registry-event.js';
import { handleRegistryEvent } from '../../promotions/registry-event.js';
import { runIdText } from '../step-log.js';
import type { EngineOf, StaticPorts } from '../activities.js';
import { handleAgain } from './event-again.js';
import { handleMessage, messageOf } from './message.js';

const ANSWER_MS = 60_000;

/** The same events as `onRegistryEvent`, delivered through the queue `registry-events`. */
export function registerOnRegistryEventMessage(ports: StaticPorts, engineOf: EngineOf): void {
  const parse = (raw: unknown) => parseRegistryEventMessage(raw, ports.loginServers);
  app.storageQueue('onRegistryEventMessage', {
    queueName: 'registry-events',
    connection: 'AzureWebJobsStorage',
    extraInputs: [input.durableClient()],
    handler: (raw: unknown, context: InvocationContext): Promise<void> =>
      handleMessage(ports, 'registry-events', raw, context, parse, async ({ event, retry }) => {
        const all = { ...ports, engine: engineOf(getClient(context)) };
        const handled = await handleRegistryEvent(all, event, AbortSignal.timeout(ANSWER_MS), retry?.from);
        context.info(`${handled.text} ${runIdText(...handled.runs)}`.trimEnd());
        await handleAgain(ports, event, handled, { ...messageOf(context), retry });
      }),
  });
}
