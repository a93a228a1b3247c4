import { AsyncLocalStorage } from 'node:async_hooks';
import { subscribe } from 'node:diagnostics_channel';
import type { InvocationContext } from '@azure/functions';
import { REQUEST_CHANNEL, isRecord } from '../oci/index.js';

type Sink = Pick<InvocationContext, 'info' | 'warn'>;

/** Failed requests that one call of a step logs; what comes after is counted. */
const MOST_REQUESTS = 20;

/** The log of one call of a step: each line begins with its run and its step, `runId=7zz… step=observe`. */
export interface StepLog {
  info(text: string): void;
  warn(text: string): void;
  /** Does the work; requests to registries that fail meanwhile are in the log. */
  during<T>(work: () => Promise<T>): Promise<T>;
}

/** @param step with its label; @param input names the run, where there is one */
export function stepLog(sink: Sink, step: string, input: unknown): StepLog {
  const runId = isRecord(input) && typeof input.runId === 'string' ? input.runId : undefined;
  const prefix = `${runId === undefined ? '' : `${runIdText(runId)} `}step=${JSON.stringify(step)}`;
  const warn = (text: string): void => sink.warn(`${prefix} ${text}`);
  return {
    info: (text) => sink.info(`${prefix} ${text}`),
    warn,
    async during(work) {
      const failures: RequestFailures = { warn, count: 0 };
      try {
        return await steps.run(failures, work);
      } finally {
        if (failures.count > MOST_REQUESTS) warn(`${failures.count - MOST_REQUESTS} more requests failed`);
      }
    },
  };
}

/** As it stands in every line that is about a run. */
export function runIdText(...runIds: readonly string[]): string {
  return runIds.map((runId) => `runId=${runId}`).join(' ');
}

interface RequestFailures {
  warn(text: string): void;
  count: number;
}
const steps = new AsyncLocalStorage<RequestFailures>();

/**
 * Requests to registries say on a channel how they ended; those that broke, were too many or met a server's failure are told.
 * One that the step itself broke off has not failed: whatever was the matter, the step says it.
 */
function onRequest(message: unknown): void {
  const step = steps.getStore();
  if (step === undefined || !isRecord(message) || message.phase !== 'end') return;
  const { method, url, status, error, attempt, durationMs } = message;
  if (error === 'ABORTED') return;
  const failed = typeof error === 'string' || (typeof status === 'number' && (status === 429 || status >= 500));
  if (!failed) return;
  step.count += 1;
  if (step.count > MOST_REQUESTS) return;
  const ended = typeof error === 'string' ? error : String(status);
  step.warn(
    `request ${String(method)} ${String(url)}: ${ended}, try ${String(attempt)}, ${Math.round(Number(durationMs))} ms`,
  );
}
subscribe(REQUEST_CHANNEL, onRequest);
