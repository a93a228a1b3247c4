import { channel } from 'node:diagnostics_channel';
import type { RequestKind } from './transport.js';

/**
 * Event about a request that is sent. It is published twice: when the request starts, and when its body was read or
 * failed.
 */
export interface RequestEvent {
  phase: 'start' | 'end';
  /** The same number in both phases; unique in the process. */
  id: number;
  method: string;
  /** Without userinfo and query. */
  url: string;
  kind: RequestKind;
  /** Number of the try, from 1. */
  attempt: number;
  /** Only in phase `end`, and only if there was a response. */
  status?: number;
  /** Only in phase `end`: milliseconds from the start to the last byte. */
  durationMs?: number;
  /** Only in phase `end`: bytes of the request body and of the response body. */
  sentBytes?: number;
  receivedBytes?: number;
  /** Only in phase `end`, if the request failed: the error code. */
  error?: string;
}

/** Name of the `node:diagnostics_channel` to which {@link RequestEvent}s are published. */
export const REQUEST_CHANNEL = 'acr-promoter:oci:request';

const requests = channel(REQUEST_CHANNEL);
let lastId = 0;

/** Publishes the start of a request. The returned function publishes the end, once. */
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
