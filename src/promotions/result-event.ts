import { isRecord } from '../oci/index.js';
import { needsResultEvent } from '../rows/filters.js';
import { untilWritten } from '../rows/until-written.js';
import type { RunRow } from '../rows/run-row.js';
import { summaryOfRun } from '../rows/run-summary.js';
import { readLeftBehind, type LeftBehind } from '../transfer/left-behind.js';
import type { Ports } from '../ports/ports.js';
import type { StorePort } from '../ports/store.js';
import type { Runs } from '../ports/runs.js';

/** Bytes of a CloudEvent; one that would be larger leaves out what the run did, and cuts its reason. The receipt has both. */
const EVENT_BYTES = 40 * 1024;
const EVENT_REASON_CHARACTERS = 2_000;

export type ResultEventPorts = Pick<Ports, 'documents' | 'queues' | 'now'> & StorePort<Runs>;

/**
 * Sends the result of an ended run, unless it ended as `unchanged`: a receipt, then one CloudEvent, then a mark in the run's row. Done
 * again after a crash, it tells what the receipt has; only between sending and marking the event can come twice, under one id.
 * @param did what the run did, for the receipt
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
  let current: typeof run | undefined = run;
  await untilWritten(runId, async () => {
    current ??= await ports.store.getRun(runId);
    if (current === undefined || current.value.eventSentAt !== undefined) return true;
    const told = { ...current.value, eventSentAt: ports.now().toISOString() };
    if (await ports.store.replaceRun(told, current.version)) return true;
    current = undefined;
    return undefined;
  });
  return true;
}

/** The CloudEvent: docs/reference/http.md describes it. */
function eventOf(
  run: RunRow,
  did: readonly string[] | undefined,
  leftOut: LeftBehind | undefined,
): Record<string, unknown> {
  const { kind, source, digest, result, ...about } = summaryOfRun(run);
  const reference = source && referenceOf(source, digest);
  const { promotionId, rule, jobId, operation, destination, trigger, openedAt, finishedAt } = about;
  const outcome = result?.outcome ?? 'failed';
  return {
    specversion: '1.0',
    id: run.id,
    type: `acr-promoter.${kind}.${outcome}`,
    source: promotionId === undefined ? `/jobs/${encodeURIComponent(jobId ?? run.id)}` : `/promotions/${promotionId}`,
    ...(reference !== undefined && { subject: reference }),
    time: finishedAt,
    datacontenttype: 'application/json',
    data: {
      runId: run.id,
      ...(promotionId !== undefined && { promotionId, rule }),
      ...(jobId !== undefined && { jobId, operation }),
      ...(reference !== undefined && { source: reference }),
      ...(destination !== undefined && { destination }),
      ...(digest !== undefined && { digest }),
      ...(trigger !== undefined && { trigger }),
      openedAt,
      finishedAt,
      ...result,
      ...(did !== undefined && { did }),
      ...(leftOut !== undefined && { leftOut }),
    },
  };
}

function referenceOf(
  { registry, repository, tag }: { registry: string; repository: string; tag?: string },
  digest: string | undefined,
): string {
  const name = `${registry}/${repository}`;
  if (tag !== undefined) return `${name}:${tag}`;
  return digest === undefined ? name : `${name}@${digest}`;
}

/** The receipt as a message, which has room for so much and no more. */
function messageOf(receipt: unknown): string {
  const text = JSON.stringify(receipt);
  if (Buffer.byteLength(text) <= EVENT_BYTES || !isRecord(receipt) || !isRecord(receipt.data)) return text;
  const { did: _long, leftOut: _longer, reason, ...data } = receipt.data;
  const short = typeof reason === 'string' ? { reason: reason.slice(0, EVENT_REASON_CHARACTERS) } : {};
  return JSON.stringify({ ...receipt, data: { ...data, ...short, shortened: true } });
}
