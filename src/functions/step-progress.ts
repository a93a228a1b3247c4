import { randomUUID } from 'node:crypto';
import { isRecord } from '../oci/index.js';
import type { StepProgress } from '../rows/step-progress.js';
import { stretchCursorSchema } from '../transfer/contracts.js';
import type { Ports } from '../ports/ports.js';
import type { StepProgressSink } from '../ports/step.js';
import { againSchema } from '../promotions/again.js';

const WRITE_EVERY_MS = 1_000;

/** A step's progress row: written when it begins and ends, and once a second at most while it works. */
export interface StepProgressRow extends StepProgressSink {
  /** The event that ends its wait, where it asks to be called again; in the row from when it waits. */
  readonly wake: string;
  /** Its name and label; how far it is, and what it has said last. */
  readonly step: string;
  readonly state: StepProgress['state'];
  readonly said: string;
  begin(): Promise<void>;
  end(state: 'done' | 'waiting'): Promise<void>;
  fail(text: string): Promise<void>;
  /** Trouble: what it waits for, and when it is tried next. */
  wait(text: string, waitsFor: NonNullable<StepProgress['waitsFor']>): Promise<void>;
}

/** The label that tells one call of a step from another in the same run. */
function labelOf(input: unknown): string {
  if (!isRecord(input)) return '';
  if (typeof input.label === 'string') return ` ${input.label}`;
  if (isRecord(input.image) && typeof input.image.label === 'string') return ` ${input.image.label}`;
  return '';
}

/** A step that is called again has been at it since its first call, or since it was put off first. */
function firstOf(input: unknown): Date | undefined {
  if (!isRecord(input)) return undefined;
  const first = stretchCursorSchema.safeParse(input.cursor).data ?? againSchema.safeParse(input.again).data;
  return first && new Date(first.since);
}

/** What it was put off for, until it says something else. */
function lastTrouble(input: unknown): string {
  const { code, tries } = (isRecord(input) && againSchema.safeParse(input.again).data) || {};
  return code === undefined ? '' : `tried again, after ${code} ${tries} times`;
}

/**
 * Where the input names no run (the schedule), nothing is written.
 * @param instanceId that calls: the run's, or that of one of its sub-orchestrations
 */
export function stepProgress(
  ports: Pick<Ports, 'store' | 'now'>,
  name: string,
  input: unknown,
  instanceId?: string,
): StepProgressRow {
  const runId = isRecord(input) && typeof input.runId === 'string' ? input.runId : undefined;
  const started = (firstOf(input) ?? ports.now()).toISOString();
  const row: StepProgress = {
    runId: runId ?? '',
    step: `${name}${labelOf(input)}`,
    state: 'working',
    text: lastTrouble(input),
    startedAt: started,
    updatedAt: started,
  };
  const wake = `wake-${randomUUID()}`;
  const wait = {
    state: 'waiting',
    wake,
    ...(instanceId !== undefined && instanceId !== runId && { waitsIn: instanceId }),
  };
  let writing: Promise<void> = Promise.resolve();
  let writtenMs = 0;
  const write = (): Promise<void> => {
    if (runId === undefined) return Promise.resolve();
    writtenMs = Date.now();
    const snapshot = { ...row, updatedAt: ports.now().toISOString() };
    // Progress is for people: a table that is down must not fail the step.
    writing = writing.then(() => ports.store.putProgress(snapshot)).catch(() => undefined);
    return writing;
  };
  const soon = (): void => {
    if (Date.now() - writtenMs >= WRITE_EVERY_MS) void write();
  };
  return {
    wake,
    step: row.step,
    get state() {
      return row.state;
    },
    get said() {
      return row.text;
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
