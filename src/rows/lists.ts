import { matchesGlobs } from '../rules/match.js';
import type { Outcome, RunSummary, AcceptedJob, RunRow } from './run-row.js';
import type { PromotionRow, PromotionState } from './promotion-row.js';
import { parseReference } from '../oci/index.js';

export { globPrefix } from '../rules/match.js';

/** Names or, as `globs`, patterns as in rules: `*`, `**`, `{a,b}`, … */
export interface NameGlobs {
  rule?: string;
  /** The source registry. */
  registry?: string;
  repository?: string;
  tag?: string;
  /** `registry/repository:tag`, as in the row. */
  destination?: string;
}

/** Selects promotions. A field that is absent does not restrict. */
export interface PromotionFilter extends NameGlobs {
  /** With a repository, whose tags are listed in the order of {@link listedTag}: tags after this one. */
  afterTag?: string | undefined;
  /** With a repository: this tag and the tags after it, with those that begin with it. */
  fromTag?: string | undefined;
  state?: PromotionState;
  globs?: NameGlobs;
  /** The last run was opened at or after this time. */
  since?: string;
}

/** Selects runs. */
export interface RunFilter extends Omit<NameGlobs, 'destination'> {
  /** `open`: pending or running. An outcome: ended with it. */
  state?: RunSummary['state'] | 'open' | Outcome;
  /** A digest or its beginning. */
  digest?: string;
  kind?: RunSummary['kind'];
  /** The operation of a job. */
  operation?: string;
  globs?: NameGlobs;
  /** The run was opened at or after this time. */
  since?: string;
  /** The run was opened before this time. */
  openedBefore?: string;
}

/** Selects ignored events. */
export interface IgnoredFilter {
  /** `registry/repository:tag` */
  name?: string;
  /** Last seen at or after this time. */
  since?: string;
}

/** The sort key of a tag in a list of one repository's promotions. Orders, for example: `v-1`, `v.1`, `v1`, `v`. */
export function listedTag(tag: string): string {
  return `${tag}|`;
}

function isOrAny<T>(wanted: T | undefined, value: T | undefined): boolean {
  return wanted === undefined || wanted === value;
}

/** True if each name is the wanted one, and matches the glob for it. */
function matchesNames(
  { globs = {}, ...wanted }: NameGlobs & { globs?: NameGlobs },
  names: { [name in keyof NameGlobs]: string | undefined },
): boolean {
  return (['rule', 'registry', 'repository', 'tag', 'destination'] as const).every((name) => {
    const [glob, value] = [globs[name], names[name]];
    return isOrAny(wanted[name], value) && (glob === undefined || (value !== undefined && matchesGlobs([glob], value)));
  });
}

function isSince(since: string | undefined, at: string): boolean {
  return since === undefined || Date.parse(at) >= Date.parse(since);
}

/** The sort time of a promotion in lists: when its last run was opened, or, before the first run, the first trigger. */
export function listedAt({ runOpenedAt, incrementedAt }: PromotionRow): string {
  return runOpenedAt ?? incrementedAt;
}

export function matchesPromotion(row: PromotionRow, filter: PromotionFilter): boolean {
  return (
    matchesNames(filter, { ...row.source, rule: row.rule, destination: row.destination }) &&
    (filter.afterTag === undefined || listedTag(row.source.tag) > listedTag(filter.afterTag)) &&
    (filter.fromTag === undefined || listedTag(row.source.tag) > filter.fromTag) &&
    isOrAny(filter.state, row.state) &&
    isSince(filter.since, listedAt(row))
  );
}

export function matchesRun(run: RunSummary, filter: RunFilter): boolean {
  return (
    matchesNames(filter, { ...run.source, rule: run.rule, destination: run.destination }) &&
    (filter.state === undefined || statesOf(run).includes(filter.state)) &&
    (filter.digest === undefined || run.digest?.startsWith(filter.digest) === true) &&
    isOrAny(filter.kind, run.kind) &&
    isOrAny(filter.operation, run.operation) &&
    isSince(filter.since, run.openedAt) &&
    (filter.openedBefore === undefined || Date.parse(run.openedAt) < Date.parse(filter.openedBefore))
  );
}

/** Outcomes without a result event: they change nothing for users. */
const OUTCOMES_WITHOUT_EVENT: ReadonlySet<Outcome> = new Set(['unchanged', 'interrupted']);

/** True if the run's result event was not sent yet. */
export function needsResultEvent({ result, eventSentAt }: RunSummary): boolean {
  return result !== undefined && !OUTCOMES_WITHOUT_EVENT.has(result.outcome) && eventSentAt === undefined;
}

function statesOf({ state, result }: RunSummary): (RunFilter['state'] & string)[] {
  if (state !== 'ended') return [state, 'open'];
  return result === undefined ? [state] : [state, result.outcome];
}

/** A run as lists return it. */
export function summaryOfRun(row: RunRow): RunSummary {
  const { id, state, openedAt, finishedAt, startedAgainAt, eventSentAt, trigger, result } = row;
  const about = row.input.kind === 'job' ? aboutJob(row.input.job) : aboutPromotion(row.input);
  const digest = row.digest ?? result?.digest ?? about.digest;
  return { id, state, openedAt, finishedAt, startedAgainAt, eventSentAt, trigger, ...about, digest, result };
}

type About = Pick<
  RunSummary,
  'kind' | 'promotionId' | 'rule' | 'jobId' | 'operation' | 'source' | 'destination' | 'digest'
>;

function aboutPromotion(input: RunRow['input'] & { kind: 'promotion' }): About {
  const { promotionId, rule, source, destination } = input;
  return { kind: 'promotion', promotionId, rule: rule.name, source, destination };
}

function aboutJob(job: AcceptedJob): About {
  const { source, reference, destination } = job;
  const named = source ?? reference;
  const { registry, repository, tag, digest } = typeof named === 'string' ? parseReference(named) : {};
  return {
    kind: 'job',
    jobId: job.id,
    operation: job.operation,
    source: registry === undefined || repository === undefined ? undefined : { registry, repository, tag },
    destination: typeof destination === 'string' ? destination : undefined,
    digest,
  };
}

/**
 * The shortest time between a comparison or a run and the next resync, in milliseconds. A registry's lists may be stale
 * for this long.
 */
const RESYNC_PAUSE_MS = 15 * 60_000;
/** How often the schedule starts a run for a promotion that a resync cannot decide, in milliseconds. */
export const DAILY_MS = 24 * 3_600_000;

/**
 * Refusals that only another digest, rule or claim can change. Scans find those changes; a resync would find the same
 * refused content again.
 */
const SEEN_BY_SCANS = new Set([
  'DESTINATION_TAKEN',
  'RULE_GONE',
  'IS_REFERRER',
  'REFERRER_IN_INDEX',
  'DESCRIPTOR_MISMATCH',
  'IMAGE_CONFIG_MISMATCH',
  'MANIFEST_AMBIGUOUS',
]);

/** A source registry and a destination registry. Each pair has its own lists of promotions to compare. */
export interface ResyncLane {
  source: string;
  destination: string;
}

/**
 * When and in which list a promotion is compared. `urgent` comes before `all`: missing evidence, a failed comparison,
 * and promotions that a run checks daily.
 */
export interface ResyncTurn extends ResyncLane {
  list: 'urgent' | 'all';
  /** The time when it is due (RFC 3339). */
  at: string;
}

/** When the next resync of a promotion is due, from its row. Undefined if its state allows none. */
export function resyncTurnOf(row: PromotionRow): ResyncTurn | undefined {
  const { state, runOpen, generation, observedGeneration, last, runId, resync } = row;
  if (runOpen || generation > observedGeneration || last === undefined) return undefined;
  const isRefused = state === 'refused' && !SEEN_BY_SCANS.has(last.code ?? '');
  // `in_sync` with a code means that the tag names a referrer, so there is nothing to compare.
  if (!isRefused && (state !== 'in_sync' || last.code !== undefined)) return undefined;
  const lane = { source: row.source.registry, destination: parseReference(row.destination).registry };
  // Ignore comparisons from before the last run: the run has compared everything itself.
  const own = resync?.runId === runId ? resync : undefined;
  if (own?.trouble !== undefined) return { ...lane, list: 'urgent', at: own.trouble.retryAt };
  if (isRunsToDecide(row)) return { ...lane, list: 'urgent', at: later(last.finishedAt, DAILY_MS) };
  return { ...lane, list: isRefused ? 'urgent' : 'all', at: later(own?.at ?? last.finishedAt, RESYNC_PAUSE_MS) };
}

/**
 * True if only a run can decide: the refusal depends on a lock or a setting, or a comparison takes too many requests.
 */
export function isRunsToDecide({ state, last, resync }: PromotionRow): boolean {
  if (state === 'refused') return last?.code !== 'EVIDENCE_MISSING';
  return resync?.tooLarge !== undefined && resync.tooLarge === last?.digest;
}

function later(at: string, ms: number): string {
  return new Date(Date.parse(at) + ms).toISOString();
}
