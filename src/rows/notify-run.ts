import type { Engine } from '../ports/engine.js';
import type { Progress } from '../ports/progress.js';

const FOR_SOURCE: ReadonlySet<string> = new Set(['SOURCE_GONE', 'TAG_LATE']);

/**
 * Ends the waits of a run whose source was not there, or read as it was before, or that pauses before the next one: something was pushed, perhaps that. Any other
 * trouble is waited for as it was.
 */
export async function notifyForSource(ports: { store: Progress; engine: Engine }, runId: string): Promise<void> {
  for (const { step, state, event, waitsFor } of await ports.store.listProgress(runId)) {
    const ends = waitsFor === undefined ? step === 'closeRun' : FOR_SOURCE.has(waitsFor.code);
    if (state === 'waiting' && event !== undefined && ends) {
      await ports.engine.notify(runId, event);
    }
  }
}
