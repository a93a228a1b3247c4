import type { Registries, Repository } from '../oci/index.js';
import { Checkpoint, Overtaken } from './checkpoint.js';
import { CallOver, RecalledAnswers, type LongStepPorts } from './recalled-answers.js';
import type { StepCall, StepReply } from '../ports/step.js';

/**
 * How long one call of a long step works, in milliseconds, how many requests it makes, and how many bytes it keeps of their answers,
 * before it asks for another call.
 */
export const CALL_MS = 5 * 60_000;
export const CALL_REQUESTS = 5_000;
export const CALL_BYTES = 32 * 1024 * 1024;
/** How long one works, in milliseconds, if another long step of its process waits for its permit. */
export const TURN_MS = 10_000;

/** The pause of a call that another one has overtaken, in milliseconds. */
const OVERTAKEN_MS = 2_000;

/** What a long step works with: what was answered or done in an earlier call is not asked or done again. */
export interface LongStep extends Registries {
  /** What is asked in another round is asked anew. */
  repository(registry: string, repository: string, round?: number): Repository;
  /** Does something once, in whichever call; what it returns is JSON. */
  once<T>(what: string, work: () => Promise<T>): Promise<T>;
  /** Since when something is so, in milliseconds since 1970: since this was asked first. */
  since(what: string): number;
  /** Keeps what was found out so far. Counts as progress. */
  keep(): Promise<void>;
  /** What was noted last, by this call or an earlier one. */
  noted(what: string): unknown;
  /** Notes how far something is, as JSON. It is kept with the next {@link keep}. */
  note(what: string, json: unknown): void;
  /** A document of this step, for what is too large to be noted. Writing it counts as progress. */
  document(name: string): { read(): Promise<Uint8Array | undefined>; write(bytes: Uint8Array): Promise<void> };
  /** True if this call has worked for as long as one may: a turn, if another step waits. */
  readonly isTimeUp: boolean;
  /** Ends this call, when all that was begun has ended; the next one goes on. */
  goOnLater(): Promise<never>;
}

/**
 * Does work that grows with the graph, for as long as one call may: it begins from the start in each call, and what earlier calls have
 * found out or done is recalled from documents. Done twice, or broken off, it costs what was not kept yet. The same input is called
 * again until it answers `done`.
 * @param step whose work it is
 * @throws PromoterError `STEP_STUCK` if eight attempts ended without progress
 */
export async function longStep<T>(
  ports: LongStepPorts,
  step: string,
  { runId }: { runId: string },
  { signal, progress, isWaitedFor }: Pick<StepCall, 'signal' | 'progress' | 'isWaitedFor'>,
  work: (step: LongStep) => Promise<T | Busy>,
): Promise<StepReply<T>> {
  try {
    const checkpoint = await Checkpoint.begin(ports, `plans/${runId}/${step}`);
    const answers = new RecalledAnswers(ports, checkpoint, isWaitedFor);
    try {
      await answers.recallAll();
      const done = await work(answers);
      if (!(done instanceof Busy)) return { done };
      await answers.keep();
      await answers.endInOrder();
      return { retryAfterMs: done.retryAfterMs };
    } catch (error) {
      if (error instanceof CallOver) {
        await answers.keep();
        await answers.endInOrder();
        progress.text(`${answers.count} answers so far; to be gone on with`);
        return { retryAfterMs: 0 };
      }
      // A call that was stopped counts as an attempt: its time was over, say.
      if (!signal.aborted) await answers.keepAfter(error);
      throw error;
    }
  } catch (error) {
    if (!(error instanceof Overtaken)) throw error;
    progress.text('another call goes on with it');
    return { retryAfterMs: OVERTAKEN_MS };
  }
}

/** What a long step answers that waits for its turn: a lease, say. */
export class Busy {
  readonly retryAfterMs: number;

  constructor(retryAfterMs: number) {
    this.retryAfterMs = retryAfterMs;
  }
}
