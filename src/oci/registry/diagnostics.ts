import { channel } from 'node:diagnostics_channel';
import type { RequestKind } from './transport.js';

/** What each request that goes over the wire says of itself, twice: as it starts, and when its body was read or broke. */
export interface RequestEvent {
  phase: 'start' | 'end';
  /** The same for both phases, counted within the process. */
  id: number;
  method: string;
  /** Without userinfo and query. */
  url: string;
  kind: RequestKind;
  /** Which try it is, from 1. */
  attempt: number;
  /** At the end only, and only where an answer came. */
  status?: number;
  /** At the end: from the start to the last byte. */
  durationMs?: number;
  /** At the end: body bytes up and down. */
  sentBytes?: number;
  receivedBytes?: number;
  /** At the end, where it broke: the error's code. */
  error?: string;
}

/** The name of the `node:diagnostics_channel` that {@link RequestEvent}s are published to. */
export const REQUEST_CHANNEL = 'acr-promoter:oci:request';

const requests = channel(REQUEST_CHANNEL);
let lastId = 0;

/** Publishes the start; the returned function publishes the end, once. */
export function announceRequest(about: Pick<RequestEvent, 'method' | 'url' | 'kind' | 'attempt'>) {
  const startedAt = performance.now();
  lastId += 1;
  const id = lastId;
  let ended = false;
  if (requests.hasSubscribers) requests.publish({ phase: 'start', id, ...about } satisfies RequestEvent);
  return (end: Pick<RequestEvent, 'status' | 'sentBytes' | 'receivedBytes' | 'error'>): void => {
    if (ended) return;
    ended = true;
    if (!requests.hasSubscribers) return;
    const durationMs = performance.now() - startedAt;
    requests.publish({ phase: 'end', id, ...about, ...end, durationMs } satisfies RequestEvent);
  };
}
