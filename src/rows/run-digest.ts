import type { Runs } from '../ports/runs.js';
import { untilWritten } from './until-written.js';

/** Notes in the run's row what its source stands on, as soon as that is known. May be done twice. */
export async function writeDigest(ports: { store: Runs }, runId: string, digest: string): Promise<void> {
  await untilWritten(runId, async () => {
    const current = await ports.store.getRun(runId);
    if (current === undefined || current.value.state === 'ended' || current.value.digest === digest) return true;
    return (await ports.store.replaceRun({ ...current.value, digest }, current.version)) ? true : undefined;
  });
}
