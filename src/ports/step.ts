import type { Digest } from '../oci/index.js';
import type { RunRow } from '../rows/run-row.js';

/** What a step returns: its result, or that it is to be called again, after a pause in milliseconds or, with 0, at once. */
export type StepReply<T> = { done: T } | { retryAfterMs: number };

/** Tells how far a step is; written at most once a second. */
export interface StepProgressSink {
  /** Does a part of the step that is seen by itself, such as the SBOM of one image. */
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

/** What each call of a step gets beside its input. */
export interface StepCall {
  /** Aborted when time is over, and when the run is to stop. */
  signal: AbortSignal;
  /** Aborted when time is over: for the last writes of what must not be left half made. As `signal` where it isn't there. */
  finish?: AbortSignal;
  /** For how long the run waits for this step already, in milliseconds; where it isn't there, nothing waits. */
  waitedMs?: number;
  /** True while another long step waits for this one's permit; where it isn't there, none does. */
  isWaitedFor?: () => boolean;
  /** What the run waits for, if the call before found trouble, and for how long without another in between, in milliseconds. */
  trouble?: { code: string; forMs: number };
  /** The run's row, as it stood when the call began. */
  run?: RunRow | undefined;
  /** The version of that row, for a conditional write. */
  runVersion?: string;
  progress: StepProgressSink;
}
