import { closeRun } from '../runs/close-run.js';
import type { InputOf, ResultOf, closeRunContract } from './contracts.js';
import { STEP_LIMITS } from './limits.js';
import { resolveTag } from './resolve-tag.js';
import type { Ports } from './ports.js';
import { tellRun } from './tell-run.js';

type Input = InputOf<typeof closeRunContract>;

/** Ends a run: its row, then the promotion's or the next run, then receipt and CloudEvent. Done twice, the rest is done. */
export async function closeRunStep(
  ports: Pick<Ports, 'registries' | 'store' | 'engine' | 'rules' | 'documents' | 'queues' | 'paused' | 'now'>,
  asked: Input,
): Promise<ResultOf<typeof closeRunContract>> {
  const input = await withDigest(ports, asked);
  const { promotionId, runId, wanted, rule, result, did } = input;
  const closed = await closeRun(ports, promotionId, runId, { wanted, rule, result: withoutUndefined(result) });
  await tellRun(ports, runId, did);
  return closed;
}

/** A run that was stopped before it saw the tag's digest: the outcome stands for the one that is there now. */
async function withDigest(ports: Pick<Ports, 'registries'>, input: Input): Promise<Input> {
  const { result, source } = input;
  if (result.outcome !== 'cancelled' || result.digest !== undefined) return input;
  try {
    const standing = await resolveTag(ports, source, AbortSignal.timeout(STEP_LIMITS.closingLookMs));
    return standing === undefined ? input : { ...input, result: { ...result, digest: standing.digest } };
  } catch {
    // A registry that is down keeps no run from its end: the next push, or somebody, starts the next.
    return input;
  }
}

function withoutUndefined(result: Input['result']): Parameters<typeof closeRun>[3]['result'] {
  const { outcome, code, reason, remedy, evidence, digest } = result;
  return {
    outcome,
    ...(code !== undefined && { code }),
    ...(reason !== undefined && { reason }),
    ...(remedy !== undefined && { remedy }),
    ...(evidence !== undefined && { evidence }),
    ...(digest !== undefined && { digest }),
  };
}
