import type { Promotions } from '../ports/promotions.js';
import type { Runs } from '../ports/runs.js';
import type { Descriptor } from '../oci/index.js';
import { INTERRUPTED, endRunRow } from '../rows/end-run.js';
import { takePromotion } from '../rows/owned-promotion.js';
import type { PromotionRow } from '../rows/promotion-row.js';
import { untilWritten } from '../rows/until-written.js';
import type { Ports } from '../ports/ports.js';
import type { StepCall } from '../ports/step.js';
import type { StorePort } from '../ports/store.js';

type BeginPorts = Pick<Ports, 'now'> & StorePort<Promotions & Runs>;

/**
 * The first thing that a run does: takes its promotion's row, and reads there what it is to answer.
 * @returns undefined if the run has ended, or the row is another run's: then it is to do nothing
 */
export async function beginRun(
  ports: BeginPorts,
  { promotionId, runId }: { promotionId: string; runId: string },
  { run }: Pick<StepCall, 'run'>,
): Promise<PromotionRow | undefined> {
  // One that was given up before it began has ended.
  if (run?.input.kind !== 'promotion' || run.state === 'ended') return undefined;
  const row = await takePromotion(ports, promotionId, runId);
  // Another's, or at rest, before this one had a row of its own to be ended.
  if (row === undefined) await endRunRow(ports, runId, INTERRUPTED);
  return row;
}

/** Writes into the run's row that it works, what it answers, and what its tag stands on, as far as that is known. May be done twice. */
export async function writeBegun(
  ports: StorePort<Runs>,
  runId: string,
  generation: number,
  root: Pick<Descriptor, 'digest'> | undefined,
): Promise<void> {
  await untilWritten(runId, async () => {
    const current = await ports.store.getRun(runId);
    if (current === undefined || current.value.state === 'ended') return true;
    const { state, digest } = current.value;
    if (state === 'running' && (root === undefined || digest === root.digest)) return true;
    const begun = { ...current.value, state: 'running' as const, generation, ...(root && { digest: root.digest }) };
    return (await ports.store.replaceRun(begun, current.version)) ? true : undefined;
  });
}
