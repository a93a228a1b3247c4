/** What a step returns: its result, or that it wants to be called again after a pause. */
export type StepReply<T> = { done: T } | { later: number };

/** Tells how far a step is; written at most once a second. */
export interface StepProgressSink {
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
  progress: StepProgressSink;
}
