import { formatDuration } from '../rules/duration.js';
import { closePromotion } from '../rows/generation.js';
import { asStopped, endingOf, unconfirmedDigest } from '../rows/run-end.js';
import type { RunRow, SourceTag } from '../rows/run-row.js';
import type { InputOf, ResultOf } from '../rows/step-contract.js';
import type { closeRunContract } from './contracts.js';
import { resolveTag, CLOSING_LOOK_MS } from '../transfer/tag.js';
import type { Ports } from '../ports/ports.js';
import type { StepCall, StepReply } from '../ports/step.js';
import type { RunPorts } from '../ports/run-ports.js';
import type { StorePort } from '../ports/store.js';
import type { Runs } from '../ports/runs.js';
import { formatReference, isRecord, isDigest } from '../oci/index.js';
import { needsResultEvent, summaryOfRun } from '../rows/lists.js';
import { changeRun } from '../rows/row-writes.js';
import { readLeftBehind, type LeftBehind } from '../transfer/run-documents.js';
import { formatRegistryEvent } from '../messages/registry-event.js';
import { nextLookMs } from '../rows/news.js';
import type { PromotionRow } from '../rows/promotion-row.js';

/** How long after a push its tag may be missing, in milliseconds: a replica may be stale. */
const LATE_PUSH_MS = 15 * 60_000;

/** Outcomes of runs that had nothing left to do. Afterwards, a referrer that was not found is looked for again. */
const SUCCESSES: ReadonlySet<string> = new Set(['promoted', 'unchanged', 'observed']);

type Asked = InputOf<typeof closeRunContract>;
type Input = Omit<Asked, 'generation'> & { generation: number };

/**
 * Ends a run: writes its row, then closes the promotion or opens the next run, then sends the receipt and the
 * CloudEvent. Can be repeated; a repeated call does what is left. Backs off if the next run must wait; until then the
 * run can be cancelled.
 */
export async function closeRunStep(
  ports: Pick<Ports, 'registries' | 'rules' | 'documents' | 'queues'> & RunPorts,
  asked: Asked,
  { progress, waitedMs }: Pick<StepCall, 'progress' | 'waitedMs'>,
): Promise<StepReply<ResultOf<typeof closeRunContract>>> {
  const { promotionId, runId, did } = asked;
  const known = await ports.store.getRun(runId);
  if (known?.value.input.kind !== 'promotion') return { done: 'gone' };
  const run = known.value;
  const { rule, source } = known.value.input;
  const generation =
    asked.generation ?? run.generation ?? (await ports.store.getPromotion(promotionId))?.value.generation ?? 0;
  const stopped = { ...asked, generation, result: asStopped(run, asked.result) };
  const input = await withDigest(ports, source, await asGone(ports, source, stopped));
  const { result } = input;
  const row = await ports.store.getPromotion(promotionId);
  const about = { row: row?.value, run, generation: input.generation, waitedMs: waitedMs ?? 0 };
  const ending = endingOf(about, result);
  if ('pauseMs' in ending) {
    progress.text(`the tag moved, and no event reported it: the next run starts in ${formatDuration(ending.pauseMs)}`);
    return { retryAfterMs: ending.pauseMs };
  }
  const { outcome } = ending.result;
  const isSuccess = SUCCESSES.has(outcome);
  // A run that failed may not have copied the referrers that it found.
  const looked = isSuccess ? asked.looked : undefined;
  const unconfirmed = isSuccess ? undefined : unconfirmedDigest(run, await ports.store.listProgress(runId));
  const ended = { generation: input.generation, rule, result: ending.result, looked, unconfirmed };
  const closed = await closePromotion(ports, promotionId, runId, ended, { run: known, row });
  if (looked !== undefined && looked.unseen.length > 0 && closed === 'closed') {
    const rested = (await ports.store.getPromotion(promotionId))?.value;
    if (rested !== undefined) await lookAgain(ports, rested, looked.unseen);
  }
  // If the process stops here, the schedule sends the event.
  if (ending.result.outcome !== 'unchanged') await sendResultEvent(ports, runId, did);
  return { done: closed };
}

/**
 * If the source tag is gone, looks at it once more. If it is still gone, this run answers all triggers so far, for
 * example the deletion event. Exception: after a recent push a replica may be stale, and the next run waits for the
 * tag.
 */
async function asGone(ports: Pick<Ports, 'registries'> & RunPorts, source: SourceTag, input: Input): Promise<Input> {
  const { result, promotionId, runId, generation } = input;
  if (result.code !== 'SOURCE_GONE') return input;
  // Read the row before the tag.
  const row = (await ports.store.getPromotion(promotionId))?.value;
  if (row?.runId !== runId || row.generation === generation) return input;
  const { lastTrigger } = row;
  const sinceMs = ports.now().getTime() - Date.parse(lastTrigger?.at ?? row.incrementedAt);
  if (lastTrigger?.kind === 'push' && sinceMs < LATE_PUSH_MS) return input;
  try {
    const current = await resolveTag(ports, source, AbortSignal.timeout(CLOSING_LOOK_MS));
    return current === undefined ? { ...input, generation: row.generation } : input;
  } catch {
    return input;
  }
}

/** If a run was stopped before it saw the tag's digest, adds the current digest to the result. */
async function withDigest(ports: Pick<Ports, 'registries'>, source: SourceTag, input: Input): Promise<Input> {
  const { result } = input;
  if (result.outcome !== 'cancelled' || result.digest !== undefined) return input;
  try {
    const current = await resolveTag(ports, source, AbortSignal.timeout(CLOSING_LOOK_MS));
    return current === undefined ? input : { ...input, result: { ...result, digest: current.digest } };
  } catch {
    // The run ends even if the registry is down. The next trigger starts the next run.
    return input;
  }
}

/**
 * Maximum bytes of a CloudEvent. A larger one omits the actions of the run and shortens its reason. The receipt has
 * both.
 */
const EVENT_BYTES = 40 * 1024;
const EVENT_REASON_CHARACTERS = 2_000;

export type ResultEventPorts = Pick<Ports, 'documents' | 'queues' | 'now'> & StorePort<Runs>;

/**
 * Sends the result of a run, unless it ended as `unchanged`: a receipt, then one CloudEvent, then a mark in the run's
 * row. After a crash it sends what the receipt has. If it crashes between the event and the mark, the event is sent
 * twice, with one id.
 * @param did the actions of the run, for the receipt
 */
export async function sendResultEvent(
  ports: ResultEventPorts,
  runId: string,
  did?: readonly string[],
): Promise<boolean> {
  const run = await ports.store.getRun(runId);
  if (run === undefined || !needsResultEvent(summaryOfRun(run.value))) return false;
  const left = run.value.input.kind === 'promotion' ? await readLeftBehind(ports, runId) : undefined;
  const receipt = Buffer.from(JSON.stringify(eventOf(run.value, did, left), undefined, 2));
  const kept = await ports.documents.putIfAbsent('receipts', `${runId}.json`, receipt);
  await ports.queues.send('promotion-results', messageOf(JSON.parse(Buffer.from(kept).toString('utf8'))));
  const mark = (row: RunRow): RunRow | undefined =>
    row.eventSentAt === undefined ? { ...row, eventSentAt: ports.now().toISOString() } : undefined;
  await changeRun(ports.store, runId, mark, run);
  return true;
}

/** The CloudEvent, which docs/reference/http.md describes. */
function eventOf(
  run: RunRow,
  did: readonly string[] | undefined,
  leftOut: LeftBehind | undefined,
): Record<string, unknown> {
  const { kind, source, digest, result, promotionId, rule, jobId, operation, destination, trigger } = summaryOfRun(run);
  const { id: runId, openedAt, finishedAt } = run;
  const name = source && formatReference(source);
  const reference =
    source?.tag === undefined && digest !== undefined && name !== undefined ? `${name}@${digest}` : name;
  const about = { runId, promotionId, rule, jobId, operation, source: reference, destination, digest, trigger };
  return {
    specversion: '1.0',
    id: runId,
    type: `acr-promoter.${kind}.${result?.outcome ?? 'failed'}`,
    source: promotionId === undefined ? `/jobs/${encodeURIComponent(jobId ?? runId)}` : `/promotions/${promotionId}`,
    subject: reference,
    time: finishedAt,
    datacontenttype: 'application/json',
    data: { ...about, openedAt, finishedAt, ...result, did, leftOut },
  };
}

/** The receipt as a message, shortened if it is too large. */
function messageOf(receipt: unknown): string {
  const text = JSON.stringify(receipt);
  if (Buffer.byteLength(text) <= EVENT_BYTES || !isRecord(receipt) || !isRecord(receipt.data)) return text;
  const { did: _long, leftOut: _longer, reason, ...data } = receipt.data;
  const short = typeof reason === 'string' ? { reason: reason.slice(0, EVENT_REASON_CHARACTERS) } : {};
  return JSON.stringify({ ...receipt, data: { ...data, ...short, shortened: true } });
}

/**
 * Puts the events of referrers that a run did not find back into the queue, with a delay. Each event then triggers the
 * run that looks again. If this is repeated, the events are sent twice; the second has no effect.
 */
async function lookAgain(
  ports: Pick<Ports, 'queues' | 'now'>,
  { id, source, news }: PromotionRow,
  unseen: readonly string[],
): Promise<void> {
  const now = ports.now();
  for (const { digest, at, tag, looks } of news?.referrers ?? []) {
    if (!unseen.includes(digest) || !isDigest(digest)) continue;
    const pauseMs = nextLookMs({ at, looks }, now);
    if (pauseMs === undefined) continue;
    const named = { ...source, digest, tag, time: at };
    const event = formatRegistryEvent({ id: `again-${id}-${digest}`, kind: 'pushed', ...named });
    await ports.queues.send('registry-events', JSON.stringify(event), { delaySeconds: Math.ceil(pauseMs / 1000) });
  }
}
