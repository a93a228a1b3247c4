import { beginRun } from '../runs/owned-run.js';
import type { InputOf, ResultOf, beginRunContract } from './contracts.js';
import type { Ports } from './ports.js';

/** The run's first step: takes the row, reads what is wanted, and the rule as it stood when the run was opened. */
export async function beginRunStep(
  ports: Pick<Ports, 'store' | 'engine' | 'paused' | 'now'>,
  input: InputOf<typeof beginRunContract>,
): Promise<ResultOf<typeof beginRunContract>> {
  const run = await ports.store.getRun(input.runId);
  if (run === undefined || run.value.input.kind !== 'promotion') return { owned: false };
  const row = await beginRun(ports, input.promotionId, input.runId);
  if (row === undefined) return { owned: false };
  if (run.value.state === 'pending') await ports.store.replaceRun({ ...run.value, state: 'running' }, run.version);
  const { rule, source, destination } = run.value.input;
  return { owned: true, wanted: row.wanted, rule, source, destination };
}
