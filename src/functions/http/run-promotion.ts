import type { HttpResponseInit } from '@azure/functions';
import { getClient, input } from 'durable-functions';
import { PromoterError, describeError } from '../../oci/index.js';
import { matchRules } from '../../rules/match.js';
import type { Rule } from '../../rules/rule.js';
import { incrementGeneration } from '../../rows/generation.js';
import type { Ports } from '../../ports/ports.js';
import type { EngineOf, StaticPorts } from '../activities.js';
import { errorAnswer, unknownPromotion } from './answers.js';
import type { RunPorts } from '../../ports/run-ports.js';
import { registerRoute } from './register-route.js';

/** `POST promotions/{id}/run`: starts a run, whatever the last outcome was. */
export function registerRunPromotion(ports: StaticPorts, engineOf: EngineOf): void {
  registerRoute(
    'runPromotion',
    'POST',
    'promotions/{id}/run',
    (request, context) => answerRun({ ...ports, engine: engineOf(getClient(context)) }, request.params.id ?? ''),
    { extraInputs: [input.durableClient()] },
  );
}

/** Answers 202 with the id of the run: a new one or the open one. If PROMOTION_PAUSED is set, the answer has no id. */
export async function answerRun(ports: RunPorts & Pick<Ports, 'rules'>, id: string): Promise<HttpResponseInit> {
  const row = (await ports.store.getPromotion(id))?.value;
  if (row === undefined) return unknownPromotion(id);
  let rules: readonly Rule[];
  try {
    rules = await ports.rules.load();
  } catch (error) {
    if (!(error instanceof PromoterError)) throw error;
    const { code, message, remedy } = describeError(error);
    return errorAnswer(503, code, message, { remedy });
  }
  const rule = rules.find(({ name }) => name === row.rule);
  if (rule === undefined) {
    return errorAnswer(409, 'RULE_GONE', `there is no rule ${row.rule} any more`, {
      remedy: 'Restore the rule, or promote the tag by another rule.',
    });
  }
  const { nearest } = matchRules([rule], row.source);
  if (nearest !== undefined) {
    return errorAnswer(409, 'NO_RULE_MATCHES', nearest, { remedy: `Change rule ${row.rule} to include it.` });
  }
  const { runId, generation } = await incrementGeneration(ports, rule, row.source, { kind: 'http' });
  const location = `/api/promotions/${id}`;
  return { status: 202, headers: { location }, jsonBody: { promotionId: id, generation, runId, statusUrl: location } };
}
