import type { Engine, RunStore } from './ports.js';

/** Ends the waits of a run whose source was not there: something was pushed, perhaps that. Any other trouble is waited for as it was. */
export async function wakeForSource(ports: { store: RunStore; engine: Engine }, runId: string): Promise<void> {
  for (const { state, wake, waitsFor, waitsIn = runId } of await ports.store.listProgress(runId)) {
    if (state === 'waiting' && wake !== undefined && waitsFor?.code === 'SOURCE_GONE') {
      await ports.engine.raise(waitsIn, wake);
    }
  }
}
