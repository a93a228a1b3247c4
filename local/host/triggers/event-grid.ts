import type { AppFunction } from '../app.js';
import { json, problem } from '../http/exchange.js';
import type { HostReply, HostRequest } from '../http/exchange.js';
import type { Keys } from '../http/keys.js';
import type { Invoker } from '../invoke.js';
import { describe, log } from '../log.js';

/** The most bytes of one Event Grid delivery, including a batch. */
const EVENT_GRID_BODY_BYTES = 1024 * 1024 + 64 * 1024;

interface GridEvent {
  data?: unknown;
}

/** @returns undefined if the body is not JSON with objects */
function parseEvents(body: Buffer): GridEvent[] | undefined {
  try {
    const value: unknown = JSON.parse(body.toString('utf8'));
    const list: unknown[] = Array.isArray(value) ? value : [value];
    return list.every((event) => typeof event === 'object' && event !== null) ? list : undefined;
  } catch {
    return undefined;
  }
}

async function deliver(fn: AppFunction, invoker: Invoker, events: GridEvent[]): Promise<HostReply> {
  const results = await Promise.allSettled(
    events.map(async (event) => {
      const data = { json: JSON.stringify(event.data ?? null) };
      await invoker.invoke(fn, { string: JSON.stringify(event) }, { data });
    }),
  );
  const failed = results.filter((result) => result.status === 'rejected');
  for (const result of failed) {
    log('error', fn.name, describe(result.reason));
  }
  return failed.length > 0 ? problem(500, 'the function failed') : { status: 202 };
}

/**
 * Handles `/runtime/webhooks/EventGrid?functionName=NAME` as Event Grid calls it: validation and deliveries in its own
 * schema, and CloudEvents 1.0 (https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/http-webhook.md), single or
 * in a batch.
 */
export function createEventGridTrigger(
  functions: AppFunction[],
  invoker: Invoker,
  keys: Keys,
): (request: HostRequest) => Promise<HostReply> {
  const ofEventGrid = functions.filter((fn) => fn.trigger.type === 'eventGridTrigger');
  return async (request) => {
    if (!keys.allows(request, 'eventgrid')) {
      return { status: 401 };
    }
    const name = request.url.searchParams.get('functionName')?.toLowerCase();
    const fn = ofEventGrid.find((fn) => fn.name.toLowerCase() === name);
    if (fn === undefined) {
      return problem(404, `there is no Event Grid function '${name ?? ''}'`);
    }
    if (request.method === 'OPTIONS') {
      const origin = request.headers['webhook-request-origin'];
      return typeof origin === 'string'
        ? { status: 200, headers: { 'webhook-allowed-origin': origin, 'webhook-allowed-rate': '*' } }
        : problem(400, 'WebHook-Request-Origin is missing');
    }
    if (request.method !== 'POST') {
      return { status: 404 };
    }
    const body = await request.body(EVENT_GRID_BODY_BYTES);
    const type = request.headers['aeg-event-type'];
    const isCloudEvent = request.headers['content-type']?.startsWith('application/cloudevents') === true;
    if (!isCloudEvent && type !== 'SubscriptionValidation' && type !== 'Notification') {
      return type === 'Unsubscribe' ? { status: 202 } : problem(400, 'aeg-event-type is missing or unknown');
    }
    const events = parseEvents(body);
    if (events === undefined) {
      return problem(500, 'the body is not a list of events');
    }
    if (type === 'SubscriptionValidation') {
      const data = events[0]?.data as { validationCode?: unknown } | undefined;
      return json(200, { validationResponse: data?.validationCode });
    }
    return await deliver(fn, invoker, events);
  };
}
