import { setImmediate } from 'node:timers/promises';

/** Milliseconds that cataloguing may block the event loop. */
const TURN_MS = 20;

/**
 * Divides long work into turns, so that health checks and lease renewals continue while an image is catalogued. The
 * longest turn is `TURN_MS` plus one piece of work; the largest piece is parsing the JSON of one manifest (at most 1
 * MiB).
 */
export class Turns {
  #startedMs = performance.now();

  /** True if this turn has used its time. */
  get isOver(): boolean {
    return performance.now() - this.#startedMs >= TURN_MS;
  }

  /** Yields to the event loop if this turn is over. Call it after each piece of work. */
  async rest(): Promise<void> {
    if (!this.isOver) return;
    await setImmediate();
    this.#startedMs = performance.now();
  }
}
