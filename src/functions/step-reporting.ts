import { randomUUID } from 'node:crypto';
import { PromoterError, isRecord, REQUEST_CHANNEL } from '../oci/index.js';
import type { ActivityCall } from './durable-driver.js';
import type { StepProgress } from '../rows/step-progress.js';
import type { Ports } from '../ports/ports.js';
import type { StepProgressSink } from '../ports/step.js';
import { type Attempt, passing } from '../promotions/backoff.js';
import type { StorePort } from '../ports/store.js';
import type { Progress } from '../ports/progress.js';
import { AsyncLocalStorage } from 'node:async_hooks';
import { subscribe } from 'node:diagnostics_channel';
import type { InvocationContext } from '@azure/functions';

const WRITE_EVERY_MS = 1_000;

/** A step's progress row. It is written when the step begins and ends, and at most once a second while it works. */
export interface StepProgressRow extends StepProgressSink {
  /** The event that ends the wait of a step that asks to be called again. The row has it while the step waits. */
  readonly event: string;
  /** The step's name and label. */
  readonly step: string;
  readonly state: StepProgress['state'];
  readonly said: string;
  begin(): Promise<void>;
  /** Begins a step that is usually short. Its row is written only if it still works after a second. */
  beginLate(): void;
  end(state: 'done' | 'waiting'): Promise<void>;
  fail(text: string): Promise<void>;
  /** Reports the error that the step waits for, and the time of the next try. */
  wait(text: string, waitsFor: NonNullable<StepProgress['waitsFor']>): Promise<void>;
}

/** The last error, which is shown until the step reports something else. */
function lastTrouble(attempt: Attempt | undefined): string {
  return attempt?.code === undefined ? '' : `tried again, after ${attempt.code} ${attempt.count} times`;
}

/**
 * Without a run (steps of the schedule), nothing is written.
 * @param isPart true for a part of a step; only the whole step can be notified
 */
export function stepProgress(
  ports: Pick<Ports, 'now'> & StorePort<Progress>,
  name: string,
  { runId, label, attempt, startedMs = attempt?.sinceMs }: ActivityCall,
  isPart = false,
): StepProgressRow {
  // The first call of a long step, the first backoff of another step, or now.
  const started = (startedMs === undefined ? ports.now() : new Date(startedMs)).toISOString();
  const row: StepProgress = {
    runId: runId ?? '',
    step: label === undefined ? name : `${name} ${label}`,
    state: 'working',
    text: lastTrouble(attempt),
    startedAt: started,
    updatedAt: started,
  };
  const event = `notify-${randomUUID()}`;
  const wait = { state: 'waiting', ...(!isPart && { event }) } as const;
  let writing: Promise<void> = Promise.resolve();
  let writtenMs = Date.now();
  let late: NodeJS.Timeout | undefined;
  const write = (): Promise<void> => {
    if (runId === undefined) return Promise.resolve();
    writtenMs = Date.now();
    clearTimeout(late);
    const snapshot = { ...row, updatedAt: ports.now().toISOString() };
    // Progress is only shown to people, so a failed write must not fail the step.
    writing = writing.then(() => ports.store.putProgress(snapshot)).catch(() => undefined);
    return writing;
  };
  const soon = (): void => {
    if (Date.now() - writtenMs >= WRITE_EVERY_MS) void write();
  };
  return {
    event,
    step: row.step,
    get state() {
      return row.state;
    },
    get said() {
      return row.text;
    },
    async part(step, { label: of }, work) {
      // Written when the part reports progress or ends, because most parts take less than a second.
      const part = stepProgress(ports, step, { runId, label: of }, true);
      try {
        const done = await work(part);
        await part.end('done');
        return done;
      } catch (error) {
        const text = error instanceof PromoterError ? `${error.code}: ${error.message}` : part.said;
        part.text(text);
        await (error instanceof PromoterError && passing(error, step, false) === undefined
          ? part.fail(text)
          : part.end('waiting'));
        throw error;
      }
    },
    text(text) {
      row.text = text.slice(0, 1000);
      soon();
    },
    bytes(done, total) {
      row.doneBytes = done;
      row.totalBytes = total;
      soon();
    },
    nodes(done, total) {
      row.doneNodes = done;
      row.totalNodes = total;
      soon();
    },
    begin: write,
    beginLate() {
      late = setTimeout(() => void write(), WRITE_EVERY_MS);
      late.unref();
    },
    end(state) {
      Object.assign(row, state === 'waiting' ? wait : { state });
      return write();
    },
    wait(text, waitsFor) {
      Object.assign(row, wait);
      row.text = text.slice(0, 1000);
      row.waitsFor = waitsFor;
      return write();
    },
    fail(text) {
      row.state = 'failed';
      row.text = text.slice(0, 1000);
      return write();
    },
  };
}

type Sink = Pick<InvocationContext, 'info' | 'warn'>;

/** Maximum failed requests that one call of a step logs. Further ones are only counted. */
const MOST_REQUESTS = 20;

/** The log of one call of a step. Each line begins with its run and step: `runId=7zz… step=observe`. */
export interface StepLog {
  info(text: string): void;
  warn(text: string): void;
  /** Does the work, and logs failed requests to registries meanwhile. */
  during<T>(work: () => Promise<T>): Promise<T>;
}

/**
 * @param step with its label
 */
export function stepLog(sink: Sink, step: string, runId: string | undefined): StepLog {
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

/** The beginning of every log line about a run. */
export function runIdText(...runIds: readonly string[]): string {
  return runIds.map((runId) => `runId=${runId}`).join(' ');
}

interface RequestFailures {
  warn(text: string): void;
  count: number;
}
const steps = new AsyncLocalStorage<RequestFailures>();

/**
 * Receives the result of each request to a registry from a channel. Logs connection errors, too many requests (429) and
 * server errors. A request that the step itself aborted did not fail; the step reports the reason.
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
