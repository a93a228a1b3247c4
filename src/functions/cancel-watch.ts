import type { PromoterError } from '../oci/index.js';
import { beginJobContract, closeJobContract, tagCopyContract } from '../operations/contracts.js';
import { closeRunContract, observeContract } from '../promotions/contracts.js';
import { cancelledError, endedError } from '../rows/cancellation.js';
import type { RunRow } from '../rows/run-row.js';
import type { StorePort } from '../ports/store.js';
import type { Runs } from '../ports/runs.js';
import { tagDestinationContract } from '../transfer/contracts.js';

/** How often the run's row is read while a step works, in milliseconds. */
const LOOK_MS = 1_000;

/**
 * Steps that close a run. A run that is stopped needs them, too. They take only a moment: their progress is written when
 * they end or wait.
 */
export const CLOSES: ReadonlySet<string> = new Set([closeRunContract.name, closeJobContract.name]);

/** Steps that check before they stop whether an earlier call has already done the work. */
const STOP_THEMSELVES: ReadonlySet<string> = new Set([tagDestinationContract.name, tagCopyContract.name]);

/** The first step of a run handles by itself that the run has ended or was removed. */
const REFUSE_ENDED: ReadonlySet<string> = new Set([observeContract.name, beginJobContract.name]);

/**
 * Checks whether the run of a step must stop or has ended: before the step begins, and once a second while it works. If
 * the run has ended, the step comes too late: its message was delivered twice, or the schedule ended the run as
 * interrupted.
 */
export interface CancelWatch {
  /** Aborted about a second after the flag is written. The reason is the error. */
  signal: AbortSignal;
  /**
   * Checks before the step begins.
   * @returns why the step must not begin
   * @throws if the row cannot be read; the step must not begin then
   */
  begin(): Promise<PromoterError | undefined>;
  /** The run's row as last read. Undefined if the step has no run or closes it. */
  readonly run: RunRow | undefined;
  /** The version of `run`. */
  readonly runVersion: string | undefined;
  /**
   * Checks now.
   * @returns why the step must stop; undefined if the row cannot be read: the next check reads it again
   */
  look(): Promise<PromoterError | undefined>;
  /**
   * True if the step of a cancelled run is called nevertheless, with an aborted signal. Never true for a run that has
   * ended.
   */
  readonly isLeftToStep: boolean;
  end(): void;
}

function whyToStop(run: RunRow | undefined, runId: string, step: string): PromoterError | undefined {
  if (run === undefined || run.state === 'ended') return REFUSE_ENDED.has(step) ? undefined : endedError(runId, run);
  return run.cancel && cancelledError(run.cancel);
}

/** Without a run (steps of the schedule), nothing is checked. */
export function watchForCancel(ports: StorePort<Runs>, step: string, runId: string | undefined): CancelWatch {
  const stop = new AbortController();
  let isLeftToStep = STOP_THEMSELVES.has(step);
  if (runId === undefined || CLOSES.has(step)) {
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
  // A failed read is ignored here. The step that writes a tag checks again before the write, and fails if it cannot
  // read the row.
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
