import type { Outcome, RunSummary } from './run-row.js';
import type { PromotionRow, PromotionState } from './promotion-row.js';

/** Which promotions; what isn't given doesn't count. */
export interface PromotionFilter {
  rule?: string;
  /** Of the source. */
  registry?: string;
  repository?: string;
  tag?: string;
  /** With a repository, whose tags are listed as {@link listedTag} sorts: those after this one. */
  afterTag?: string;
  /** The same: this one, those that begin with it, and those after them. */
  fromTag?: string;
  state?: PromotionState;
  /** `registry/repository:tag`, as it is in the row. */
  destination?: string;
}

/** Which runs. */
export interface RunFilter {
  /** `open`: pending or running. An outcome: ended with it. */
  state?: RunSummary['state'] | 'open' | Outcome;
  rule?: string;
  /** Of the source. */
  registry?: string;
  repository?: string;
  tag?: string;
  digest?: string;
  /** Opened before this time. */
  openedBefore?: string;
}

/** Which ignored events: those of one `registry/repository:tag`. */
export interface IgnoredFilter {
  name: string;
}

/** By what a list of one repository's promotions is sorted: `v-1`, `v.1`, `v1`, `v`. */
export function listedTag(tag: string): string {
  return `${tag}|`;
}

function isOrAny<T>(wanted: T | undefined, value: T | undefined): boolean {
  return wanted === undefined || wanted === value;
}

export function matchesPromotion(row: PromotionRow, filter: PromotionFilter): boolean {
  return (
    isOrAny(filter.rule, row.rule) &&
    isOrAny(filter.registry, row.source.registry) &&
    isOrAny(filter.repository, row.source.repository) &&
    isOrAny(filter.tag, row.source.tag) &&
    (filter.afterTag === undefined || listedTag(row.source.tag) > listedTag(filter.afterTag)) &&
    (filter.fromTag === undefined || listedTag(row.source.tag) > filter.fromTag) &&
    isOrAny(filter.state, row.state) &&
    isOrAny(filter.destination, row.destination)
  );
}

export function matchesRun(run: RunSummary, filter: RunFilter): boolean {
  const { registry, repository, tag } = run.source ?? {};
  return (
    (filter.state === undefined || statesOf(run).includes(filter.state)) &&
    isOrAny(filter.rule, run.rule) &&
    isOrAny(filter.registry, registry) &&
    isOrAny(filter.repository, repository) &&
    isOrAny(filter.tag, tag) &&
    isOrAny(filter.digest, run.digest) &&
    (filter.openedBefore === undefined || Date.parse(run.openedAt) < Date.parse(filter.openedBefore))
  );
}

/** Outcomes that change nothing for anybody. */
const OUTCOMES_WITHOUT_EVENT: ReadonlySet<Outcome> = new Set(['unchanged', 'interrupted']);

/** True for a run of which somebody is still to be told. */
export function needsResultEvent({ result, eventSentAt }: RunSummary): boolean {
  return result !== undefined && !OUTCOMES_WITHOUT_EVENT.has(result.outcome) && eventSentAt === undefined;
}

function statesOf({ state, result }: RunSummary): (RunFilter['state'] & string)[] {
  if (state !== 'ended') return [state, 'open'];
  return result === undefined ? [state] : [state, result.outcome];
}
