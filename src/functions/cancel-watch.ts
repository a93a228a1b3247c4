import type { PromoterError } from '../oci/index.js';
import { beginJobContract, closeJobContract, tagCopyContract } from '../operations/contracts.js';
import { closeRunContract, observeContract } from '../promotions/contracts.js';
import { whyToStop } from '../rows/cancellation.js';
import type { RunRow } from '../rows/run-row.js';
import type { StorePort } from '../ports/store.js';
import type { Runs } from '../ports/runs.js';
import type { Versioned } from '../ports/versioned.js';
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
 * interrupted. Without a run (steps of the schedule), nothing is checked.
 */
export class CancelWatch {
  readonly #store: Runs;
  readonly #step: string;
  /** Undefined if nothing is checked. */
  readonly #runId: string | undefined;
  readonly #stop = new AbortController();
  readonly #timer: NodeJS.Timeout | undefined;
  #reading = false;
  #read: Versioned<RunRow> | undefined;
  #isLeftToStep: boolean;

  constructor({ store }: StorePort<Runs>, step: string, runId: string | undefined) {
    this.#store = store;
    this.#step = step;
    this.#runId = CLOSES.has(step) ? undefined : runId;
    this.#isLeftToStep = STOP_THEMSELVES.has(step);
    if (this.#runId === undefined) return;
    this.#timer = setInterval(() => void this.#lookInTurn(), LOOK_MS);
    this.#timer.unref();
  }

  /** Aborted about a second after the flag is written. The reason is the error. */
  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  /** The run's row as last read. Undefined if the step has no run or closes it. */
  get run(): RunRow | undefined {
    return this.#read?.value;
  }

  /** The version of `run`. */
  get runVersion(): string | undefined {
    return this.#read?.version;
  }

  /**
   * True if the step of a cancelled run is called nevertheless, with an aborted signal. Never true for a run that has
   * ended.
   */
  get isLeftToStep(): boolean {
    return this.#isLeftToStep;
  }

  /**
   * Checks before the step begins.
   * @returns why the step must not begin
   * @throws if the row cannot be read; the step must not begin then
   */
  async begin(): Promise<PromoterError | undefined> {
    if (this.#runId === undefined) return undefined;
    this.#read = await this.#store.getRun(this.#runId);
    const isOver = this.run === undefined || this.run.state === 'ended';
    const error = isOver && REFUSE_ENDED.has(this.#step) ? undefined : whyToStop(this.#runId, this.run);
    if (error === undefined) return undefined;
    if (isOver) this.#isLeftToStep = false;
    this.#stop.abort(error);
    return error;
  }

  /**
   * Checks now. A failed read is ignored here: the step that writes a tag checks again before the write, and fails if it
   * cannot read the row.
   * @returns why the step must stop; undefined if the row cannot be read: the next check reads it again
   */
  look(): Promise<PromoterError | undefined> {
    return this.begin().catch(() => undefined);
  }

  async #lookInTurn(): Promise<void> {
    if (this.#reading) return;
    this.#reading = true;
    await this.look();
    this.#reading = false;
  }

  end(): void {
    if (this.#timer !== undefined) clearInterval(this.#timer);
  }
}
