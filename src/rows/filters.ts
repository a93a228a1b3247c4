import { matchesGlobs } from '../rules/glob.js';
import type { Outcome, RunSummary } from './run-row.js';
import type { PromotionRow, PromotionState } from './promotion-row.js';

export { globPrefix } from '../rules/glob.js';

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
  globs?: NameGlobs;
  /** Whose last run was opened at or after this time. */
  since?: string;
}

/** Names as rules write them, with `*`, `**`, `{a,b}`, … */
export interface NameGlobs {
  rule?: string;
  registry?: string;
  repository?: string;
  tag?: string;
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
  /** A digest, or what it begins with. */
  digest?: string;
  kind?: RunSummary['kind'];
  /** Of a job. */
  operation?: string;
  globs?: NameGlobs;
  /** Opened at or after this time. */
  since?: string;
  /** Opened before this time. */
  openedBefore?: string;
}

/** Which ignored events. */
export interface IgnoredFilter {
  /** `registry/repository:tag` */
  name?: string;
  /** Last seen at or after this time. */
  since?: string;
}

/** By what a list of one repository's promotions is sorted: `v-1`, `v.1`, `v1`, `v`. */
export function listedTag(tag: string): string {
  return `${tag}|`;
}

function isOrAny<T>(wanted: T | undefined, value: T | undefined): boolean {
  return wanted === undefined || wanted === value;
}

function isInGlobs(globs: NameGlobs, names: { [name in keyof NameGlobs]: string | undefined }): boolean {
  return (['rule', 'registry', 'repository', 'tag', 'destination'] as const).every((name) => {
    const glob = globs[name];
    const value = names[name];
    return glob === undefined || (value !== undefined && matchesGlobs([glob], value));
  });
}

function isSince(since: string | undefined, at: string): boolean {
  return since === undefined || Date.parse(at) >= Date.parse(since);
}

/** The time by which promotions are listed: of the last run, or of what asked for the first. */
export function listedAt({ runOpenedAt, incrementedAt }: PromotionRow): string {
  return runOpenedAt ?? incrementedAt;
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
    isOrAny(filter.destination, row.destination) &&
    isSince(filter.since, listedAt(row)) &&
    isInGlobs(filter.globs ?? {}, { ...row.source, rule: row.rule, destination: row.destination })
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
    (filter.digest === undefined || run.digest?.startsWith(filter.digest) === true) &&
    isOrAny(filter.kind, run.kind) &&
    isOrAny(filter.operation, run.operation) &&
    isSince(filter.since, run.openedAt) &&
    isInGlobs(filter.globs ?? {}, { rule: run.rule, registry, repository, tag, destination: run.destination }) &&
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
