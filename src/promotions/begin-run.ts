import { LOST, endRunRow } from '../rows/end-run.js';
import { takePromotion } from '../rows/owned-promotion.js';
import { untilWritten } from '../rows/until-written.js';
import type { InputOf, ResultOf } from '../rows/step-contract.js';
import type { beginRunContract } from './contracts.js';
import type { Ports } from '../ports/ports.js';

/** The run's first step: takes the row, reads what is wanted, and the rule as it stood when the run was opened. */
export async function beginRunStep(
  ports: Pick<Ports, 'store' | 'engine' | 'paused' | 'now'>,
  input: InputOf<typeof beginRunContract>,
): Promise<ResultOf<typeof beginRunContract>> {
  const { promotionId, runId } = input;
  return untilWritten(runId, async () => {
    const run = await ports.store.getRun(runId);
    // One that was given up before it began has ended.
    if (run?.value.input.kind !== 'promotion' || run.value.state === 'ended') return { owned: false };
    const row = await takePromotion(ports, promotionId, runId);
    // Another's, or at rest, before this one had a row of its own to be ended.
    if (row === undefined) {
      await endRunRow(ports, runId, LOST);
      return { owned: false };
    }
    const { state, input: opened } = run.value;
    const running = { ...run.value, state: 'running' } as const;
    if (state === 'pending' && !(await ports.store.replaceRun(running, run.version))) return undefined;
    const { rule, source, destination } = opened;
    return { owned: true, wanted: row.wanted, rule, source, destination };
  });
}
