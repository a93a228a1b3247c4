import type { Digest } from '../oci/index.js';
import type { RunRow } from '../rows/run-row.js';

/**
 * The reply of a step: its result, or a pause after which it asks to be called again, in milliseconds. 0 means at once.
 */
export type StepReply<T> = { done: T } | { retryAfterMs: number };

/** Reports the progress of a step. It is written at most once a second. */
export interface StepProgressSink {
  /** Does a part of the step that has progress of its own, such as the SBOM of one image. */
  part<T>(
    step: string,
    of: { label: string; digest: Digest },
    work: (progress: StepProgressSink) => Promise<T>,
  ): Promise<T>;
  text(text: string): void;
  bytes(done: number, total: number): void;
  /** Manifests and blobs of a copy. */
  nodes(done: number, total: number): void;
}

/** What each call of a step gets in addition to its input. */
export interface StepCall {
  /** Aborted when the time limit is reached, and when the run must stop. */
  signal: AbortSignal;
  /** Aborted only when the time limit is reached: for last writes that must not be interrupted. Default: `signal`. */
  finish?: AbortSignal;
  /** How long the run has waited for this step, in milliseconds. Absent on the command line, where nothing waits. */
  waitedMs?: number;
  /** True while another long step waits for this one's permit. Default: false. */
  isWaitedFor?: () => boolean;
  /** The error of the call before, and how long it has come without another error in between, in milliseconds. */
  trouble?: { code: string; forMs: number } | undefined;
  /** The run's row at the start of the call. */
  run?: RunRow | undefined;
  /** The version of `run`, for a conditional write. */
  runVersion?: string | undefined;
  progress: StepProgressSink;
}
