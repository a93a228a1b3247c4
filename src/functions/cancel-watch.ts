import { isRecord, type PromoterError } from '../oci/index.js';
import { cancelledError, endedError } from '../rows/cancellation.js';
import type { RunRow } from '../rows/run-row.js';
import type { StorePort } from '../ports/store.js';
import type { Runs } from '../ports/runs.js';

/** How often the run's row is read while a step works. */
const LOOK_MS = 1_000;

/** Steps that take or give back the row: a run that is to stop needs them for it. */
const UNSTOPPABLE: ReadonlySet<string> = new Set(['closeRun', 'closeJob']);

/** Steps that see for themselves, before they stop, whether an earlier call of theirs has done it all the same. */
const STOP_THEMSELVES: ReadonlySet<string> = new Set(['tagDestination', 'tagCopy']);

/** The first step of a run answers by itself that there is nothing to do for one that has ended or was removed. */
const REFUSE_ENDED: ReadonlySet<string> = new Set(['observe', 'beginJob']);

/**
 * Whether the run of a step is to stop, or has ended: read before the step begins, and once a second while it works. A step of a run
 * that has ended comes too late: its message was delivered again, or the run was given up.
 */
export interface CancelWatch {
  /** Aborted, with the error as its reason, within a second or so of the flag. */
  signal: AbortSignal;
  /** The look before the step begins. @returns why it is not to. @throws if the row cannot be read: what cannot be known is not begun */
  begin(): Promise<PromoterError | undefined>;
  /** The run's row as it was seen last; undefined if the step is of no run, or takes it back. */
  readonly run: RunRow | undefined;
  /** The version of that row. */
  readonly runVersion: string | undefined;
  /** Looks now; @returns why it is to stop. A row that cannot be read says nothing: the next look comes. */
  look(): Promise<PromoterError | undefined>;
  /** True if a cancelled step is called all the same, with a signal that is aborted. Never for a run that has ended. */
  readonly isLeftToStep: boolean;
  end(): void;
}

function whyToStop(run: RunRow | undefined, runId: string, step: string): PromoterError | undefined {
  if (run === undefined || run.state === 'ended') return REFUSE_ENDED.has(step) ? undefined : endedError(runId, run);
  return run.cancel && cancelledError(run.cancel);
}

/** Where the input names no run (the schedule), nothing is looked at. */
export function watchForCancel(ports: StorePort<Runs>, step: string, input: unknown): CancelWatch {
  const runId = isRecord(input) && typeof input.runId === 'string' ? input.runId : undefined;
  const stop = new AbortController();
  let isLeftToStep = STOP_THEMSELVES.has(step);
  if (runId === undefined || UNSTOPPABLE.has(step)) {
    const never = async (): Promise<undefined> => undefined;
    return {
      signal: stop.signal,
      begin: never,
      look: never,
      run: undefined,
      runVersion: undefined,
      isLeftToStep,
      end: () => {},
    };
  }
  let run: RunRow | undefined;
  let runVersion: string | undefined;
  const begin = async (): Promise<PromoterError | undefined> => {
    const current = await ports.store.getRun(runId);
    run = current?.value;
    runVersion = current?.version;
    const error = whyToStop(run, runId, step);
    if (error === undefined) return undefined;
    if (run === undefined || run.state === 'ended') isLeftToStep = false;
    stop.abort(error);
    return error;
  };
  // The look before a tag is written is made by its step, and fails with it.
  const look = (): Promise<PromoterError | undefined> => begin().catch(() => undefined);
  let reading = false;
  const timer = setInterval(() => {
    if (reading) return;
    reading = true;
    void look().finally(() => (reading = false));
  }, LOOK_MS);
  timer.unref();
  return {
    signal: stop.signal,
    begin,
    look,
    get run() {
      return run;
    },
    get runVersion() {
      return runVersion;
    },
    get isLeftToStep() {
      return isLeftToStep;
    },
    end: () => clearInterval(timer),
  };
}
