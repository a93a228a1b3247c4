import { InputError, PolicyError, formatReference } from '../oci/index.js';
import { matchRules } from '../rules/match.js';
import { readAcceptedJob } from './job-schema.js';
import { incrementGeneration } from '../rows/generation.js';
import type { RunResult } from '../rows/run-row.js';
import type { InputOf, ResultOf } from '../rows/step-contract.js';
import type { awaitPromotionsContract, incrementPromotionsContract } from './contracts.js';
import { resolveTag } from '../transfer/tag.js';
import type { Ports } from '../ports/ports.js';
import type { StepCall, StepReply } from '../ports/step.js';
import type { RunPorts } from '../ports/run-ports.js';

/**
 * A promote job increments `generation` of each promotion of the tag.
 * @throws PolicyError `NO_RULE_MATCHES`
 */
export async function incrementPromotionsStep(
  ports: RunPorts & Pick<Ports, 'registries' | 'rules'>,
  input: InputOf<typeof incrementPromotionsContract>,
  { signal, run }: StepCall,
): Promise<ResultOf<typeof incrementPromotionsContract>> {
  const match = matchRules(await ports.rules.load(), input.source);
  if (match.rules.length === 0) {
    throw new PolicyError(
      'NO_RULE_MATCHES',
      `no rule matches ${formatReference(input.source)}: ${match.nearest ?? ''}`,
      {
        remedy: 'Change a rule to include it, or copy it with acr-promoter copy.',
      },
    );
  }
  if ((await resolveTag(ports, input.source, signal)) === undefined) {
    throw new InputError('SOURCE_NOT_FOUND', `${formatReference(input.source)} does not exist`, {
      remedy: 'Push it first, or correct the reference.',
    });
  }
  const job = run?.input.kind === 'job' ? readAcceptedJob(run.input.job) : undefined;
  const reason = job?.operation === 'promote' ? job.reason : undefined;
  const incremented: ResultOf<typeof incrementPromotionsContract> = [];
  for (const rule of match.rules) {
    const trigger = { kind: 'job', id: input.runId, reason } as const;
    const { promotionId, generation } = await incrementGeneration(ports, rule, input.source, trigger);
    incremented.push({ promotionId, generation });
  }
  return incremented;
}

const POLL_MS = 1_000;

/** Waits until each promotion's row has observed the generation, and returns the outcomes. */
export async function awaitPromotionsStep(
  ports: Pick<RunPorts, 'store'>,
  input: InputOf<typeof awaitPromotionsContract>,
  { progress }: StepCall,
): Promise<StepReply<ResultOf<typeof awaitPromotionsContract>>> {
  const results: RunResult[] = [];
  for (const { promotionId, generation } of input.promotions) {
    const row = (await ports.store.getPromotion(promotionId))?.value;
    if (row?.last === undefined || row.runOpen || row.observedGeneration < generation) {
      progress.text(`promotion ${promotionId} is ${row?.state ?? 'not there yet'}`);
      return { retryAfterMs: POLL_MS };
    }
    results.push(row.last);
  }
  return { done: results };
}
