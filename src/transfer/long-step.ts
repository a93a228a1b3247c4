import type { Registries, Repository } from '../oci/index.js';
import { Checkpoint, Overtaken } from './checkpoint.js';
import { CallOver, RecalledAnswers, type LongStepPorts } from './recalled-answers.js';
import type { StepCall, StepReply } from '../ports/step.js';

/**
 * Limits of one call of a long step: milliseconds of work, requests, and bytes of stored answers. After that, the step
 * asks for another call.
 */
export const CALL_MS = 5 * 60_000;
export const CALL_REQUESTS = 5_000;
export const CALL_BYTES = 32 * 1024 * 1024;
/** The maximum milliseconds of work if another long step of the process waits for its permit. */
export const TURN_MS = 10_000;

/** The pause after a call that another call has overtaken, in milliseconds. */
const OVERTAKEN_MS = 2_000;

/**
 * What a long step works with. Requests and work of an earlier call are not repeated: their results are read from the
 * checkpoint.
 */
export interface LongStep extends Registries {
  /** A repository whose answers are remembered. Another `round` asks the registry again. */
  repository(registry: string, repository: string, round?: number): Repository;
  /**
   * Does some work once over all calls. Its result must be JSON.
   * @param isValid false if the known result of an earlier call must be replaced. Default: never
   */
  once<T>(what: string, work: () => Promise<T>, isValid?: (known: T) => boolean): Promise<T>;
  /** When this was first called with `what`, by this call or an earlier one, in epoch milliseconds. */
  since(what: string): number;
  /** Writes the results so far to the checkpoint. Counts as progress. */
  keep(): Promise<void>;
  /**
   * Writes the results so far, for a later call with another input. This call does not count as an attempt without
   * progress.
   */
  endInOrder(): Promise<void>;
  /** The last state, or result of {@link once}, that this call or an earlier one has set. */
  stateOf(what: string): unknown;
  /** Sets a state, as JSON. The next {@link keep} writes it to the checkpoint. */
  setState(what: string, json: unknown): void;
  /**
   * Reports how far work has come that begins from its start in each call. If it is further than in any call before, it
   * counts as progress; this is written to the checkpoint every 20 seconds.
   */
  reached(what: string, amount: number): void;
  /** What layers contribute to SBOMs, by key. All runs share it. Writing counts as progress. */
  readonly layers: {
    read(key: string): Promise<Uint8Array | undefined>;
    write(key: string, bytes: Uint8Array): Promise<void>;
  };
  /** True if an earlier call was broken off: its process died, or its time limit was reached. */
  readonly wasBrokenOff: boolean;
  /** True if this call has reached its time limit, or the shorter one if another step waits. */
  readonly isTimeUp: boolean;
  /** Ends this call after all running work has ended. The next call continues. */
  goOnLater(): Promise<never>;
}

/**
 * Does work that grows with the graph, within the limits of one call. The work begins from the start in each call; the
 * checkpoint has the results of earlier calls. After a crash, only the results since the last checkpoint are lost. The
 * caller repeats the call with the same input until it returns `done`.
 * @param step the name of the step
 * @throws PromoterError `STEP_STUCK` if eight attempts ended without progress
 */
export async function longStep<T>(
  ports: LongStepPorts,
  step: string,
  { runId }: { runId: string },
  { signal, progress, isWaitedFor }: Pick<StepCall, 'signal' | 'progress' | 'isWaitedFor'>,
  work: (step: LongStep) => Promise<T>,
): Promise<StepReply<T>> {
  try {
    const checkpoint = await Checkpoint.begin(ports, `plans/${runId}/${step}`);
    const answers = new RecalledAnswers(ports, checkpoint, isWaitedFor);
    try {
      await answers.recallAll();
      return { done: await work(answers) };
    } catch (error) {
      if (error instanceof Busy) {
        await answers.endInOrder();
        return { retryAfterMs: error.retryAfterMs };
      }
      if (error instanceof CallOver) {
        await answers.endInOrder();
        progress.text(`${answers.count} answers so far; the next call continues`);
        return { retryAfterMs: 0 };
      }
      // An aborted call counts as an attempt, for example if its time limit was reached.
      if (!signal.aborted) await answers.keepAfter(error);
      throw error;
    }
  } catch (error) {
    if (!(error instanceof Overtaken)) throw error;
    progress.text('another call continues this step');
    return { retryAfterMs: OVERTAKEN_MS };
  }
}

/** Thrown by work that waits, for example for a lease that another process holds. Never reported as an error. */
export class Busy extends Error {
  readonly retryAfterMs: number;

  constructor(retryAfterMs: number) {
    super('another process holds it');
    this.retryAfterMs = retryAfterMs;
  }
}
