import { isRecord } from '../oci/index.js';
import { closeRun } from '../runs/promotion-runs.js';
import type { InputOf, ResultOf, closeRunContract } from './contracts.js';
import { STEP_LIMITS } from './limits.js';
import { resolveTag } from './observe.js';
import type { Ports } from './ports.js';

type Input = InputOf<typeof closeRunContract>;

/** Outcomes that somebody is told of; `unchanged` keeps its row, and nothing more. */
const TOLD: ReadonlySet<string> = new Set(['promoted', 'observed', 'refused', 'failed', 'cancelled']);

/**
 * Ends a run: receipt, CloudEvent, then the row. The event can come twice after a crash; its id is the run's, which is what
 * CloudEvents has for telling.
 */
export async function closeRunStep(
  ports: Pick<Ports, 'registries' | 'store' | 'engine' | 'rules' | 'documents' | 'queues' | 'paused' | 'now'>,
  asked: Input,
): Promise<ResultOf<typeof closeRunContract>> {
  const input = await withDigest(ports, asked);
  const current = await ports.store.getPromotion(input.promotionId);
  const ours = current?.value.runId === input.runId && current.value.runOpen;
  if (ours && TOLD.has(input.result.outcome)) await tell(ports, input);
  const { wanted, result, rule } = input;
  return closeRun(ports, input.promotionId, input.runId, { wanted, rule, result: withoutUndefined(result) });
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

async function tell(ports: Pick<Ports, 'documents' | 'queues' | 'now'>, input: Input): Promise<void> {
  const { source } = input;
  const data = {
    promotionId: input.promotionId,
    runId: input.runId,
    rule: input.rule.name,
    source: `${source.registry}/${source.repository}:${source.tag}`,
    destination: input.destination,
    ...input.result,
    did: input.did,
  };
  const event = {
    specversion: '1.0',
    id: input.runId,
    type: `acr-promoter.promotion.${input.result.outcome}`,
    source: `/promotions/${input.promotionId}`,
    subject: data.source,
    time: ports.now().toISOString(),
    datacontenttype: 'application/json',
    data,
  };
  const receipt = Buffer.from(JSON.stringify(event, undefined, 2));
  const kept = await ports.documents.putIfAbsent('receipts', `${input.runId}.json`, receipt);
  await ports.queues.send('promotion-results', messageOf(JSON.parse(Buffer.from(kept).toString('utf8'))));
}

/** The receipt as a message, which has room for so much and no more. */
function messageOf(receipt: unknown): string {
  const text = JSON.stringify(receipt);
  if (Buffer.byteLength(text) <= STEP_LIMITS.eventBytes || !isRecord(receipt) || !isRecord(receipt.data)) return text;
  const { did: _long, reason, ...data } = receipt.data;
  const short = typeof reason === 'string' ? { reason: reason.slice(0, STEP_LIMITS.eventReasonCharacters) } : {};
  return JSON.stringify({ ...receipt, data: { ...data, ...short, shortened: true } });
}
