import { app, type InvocationContext } from '@azure/functions';
import { getClient, input } from 'durable-functions';
import { describeError } from '../../oci/index.js';
import {
  parseRegistryEvent,
  parseRegistryEventMessage,
  formatRegistryEvent,
  type RegistryEvent,
} from '../../messages/registry-event.js';
import { isForGood, keepAsPoison, handleMessage, messageOf } from './message.js';
import type { Handled } from '../../promotions/change.js';
import { handleRegistryEvent, keepIgnored } from '../../promotions/handle-change.js';
import { runIdText } from '../step-reporting.js';
import type { EngineOf, StaticPorts } from '../activities.js';
import { continuedEnvelope, retryEnvelope, type Retry, type RetryPace } from '../../messages/retry.js';
import type { IgnoredEvents } from '../../ports/ignored-events.js';
import type { Ports } from '../../ports/ports.js';
import type { StorePort } from '../../ports/store.js';

/** The time limit for an event, in milliseconds. Event Grid waits 30 s for an answer. */
const EVENT_GRID_MS = 25_000;
/** The time limit for an event from the queue, in milliseconds. */
const MESSAGE_MS = 60_000;

/**
 * The direct Event Grid trigger, for the Event Grid schema and CloudEvents. An event that can never be handled is kept
 * at the first try. A transient error is thrown, and Event Grid delivers the event again.
 */
export function registerOnRegistryEvent(ports: StaticPorts, engineOf: EngineOf): void {
  app.eventGrid('onRegistryEvent', {
    extraInputs: [input.durableClient()],
    handler: async (raw: unknown, context: InvocationContext): Promise<void> => {
      try {
        const event = parseRegistryEvent(raw, ports.loginServers);
        const all = { ...ports, engine: engineOf(getClient(context)) };
        const handled = await handleRegistryEvent(all, event, AbortSignal.timeout(EVENT_GRID_MS));
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
        const handled = await handleRegistryEvent(all, event, AbortSignal.timeout(MESSAGE_MS), retry?.from);
        context.info(`${handled.text} ${runIdText(...handled.runs)}`.trimEnd());
        await handleAgain(ports, event, handled, { ...messageOf(context), retry });
      }),
  });
}

/**
 * How often a registry is asked for the manifest of an event: for a quarter of an hour, since a replica may be stale.
 */
const UNREADABLE: RetryPace = { firstSeconds: 10, longestSeconds: 2 * 60, attempts: 10 };

/**
 * Sends the rest of an event to the queue `registry-events`: more promotions than one call handles, or a manifest that
 * the registry does not have yet. After 15 minutes such an event is kept as ignored; the change scan finds the
 * manifest.
 * @param seen the message that brought it
 */
async function handleAgain(
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
