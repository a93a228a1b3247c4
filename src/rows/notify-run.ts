import type { Engine } from '../ports/engine.js';
import type { Progress } from '../ports/progress.js';

const FOR_SOURCE: ReadonlySet<string> = new Set(['SOURCE_GONE', 'TAG_LATE']);

/**
 * Wakes a run that waits because its source was missing or stale, or that pauses before the next run: a push was
 * reported that may change this. Waits for other errors are not ended.
 */
export async function notifyForSource(ports: { store: Progress; engine: Engine }, runId: string): Promise<void> {
  for (const { step, state, event, waitsFor } of await ports.store.listProgress(runId)) {
    const ends = waitsFor === undefined ? step === 'closeRun' : FOR_SOURCE.has(waitsFor.code);
    if (state === 'waiting' && event !== undefined && ends) {
      await ports.engine.notify(runId, event);
    }
  }
}
