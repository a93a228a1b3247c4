import {
  globPrefix,
  needsResultEvent,
  listedAt,
  type PromotionFilter,
  type RunFilter,
  resyncTurnOf,
  type ResyncLane,
  type ResyncTurn,
  summaryOfRun,
} from '../rows/lists.js';
import { isDigest } from '../oci/index.js';
import { promotionRowSchema, type PromotionRow } from '../rows/promotion-row.js';
import { runRowSchema, runSummarySchema, type RunRow, type RunSummary } from '../rows/run-row.js';
import { invertedTime } from '../rows/open-run.js';
import type { Listing } from './listed-rows.js';
import { encodeKey, encodePrefix, hashKey, pageToken, REPOSITORY_CHARACTERS } from './table-keys.js';

// docs/decisions/storage-keys.md lists which rows are in which lists, and which list is used for which filter.

/** The prefix of the list that the schedule reconciles. */
export const DUE = 'due|';

/** Rows with an open or due run sort before every retry time. */
function dueKeyOf({ runOpen, generation, observedGeneration, state, retryAt }: PromotionRow): string[] {
  if (runOpen || generation > observedGeneration) return ['0'];
  return state === 'failed' && retryAt !== undefined ? [encodeKey(retryAt)] : [];
}

/**
 * The key that ends the list of due promotions.
 * @param by include those whose retry is due by then; otherwise only those with an open or due run
 */
export function dueEnd(by: Date | undefined): string {
  return by === undefined ? `${DUE}1` : `${DUE}${encodeKey(by.toISOString())}~`;
}

/** Storage of promotions. Each copy is the whole row. */
export const PROMOTIONS: Listing<PromotionRow, PromotionRow> = {
  partitionKey: 'promotion',
  rowKeyOf: (id) => `id|${encodeKey(id)}`,
  schema: promotionRowSchema,
  copySchema: promotionRowSchema,
  copyOf: (row) => row,
  copyKeysOf(row) {
    const id = encodeKey(row.id);
    const at = `${invertedTime(Date.parse(listedAt(row)))}|${id}`;
    return [
      `at|${at}`,
      ...dueKeyOf(row).map((key) => `${DUE}${key}|${id}`),
      `rule|${encodeKey(row.rule)}|${at}`,
      `state|${row.state}|${at}`,
      `repository|${repositoryKey(row.source.repository)}|${encodeKey(row.source.tag)}|${id}`,
      `destination|${hashKey(row.destination)}|${id}`,
      ...resyncKeysOf(row, id),
    ];
  },
};

function resyncKeysOf(row: PromotionRow, id: string): string[] {
  const turn = resyncTurnOf(row);
  return turn === undefined ? [] : [`${resyncListOf(turn, turn.list)}${encodeKey(turn.at)}|${id}`];
}

export function resyncListOf({ source, destination }: ResyncLane, list: ResyncTurn['list']): string {
  return `resync|${hashKey(`${source} ${destination}`)}|${list}|`;
}

function repositoryKey(repository: string): string {
  return encodeKey(repository, REPOSITORY_CHARACTERS);
}

/**
 * The prefix of the list with the fewest rows to read for a filter. For a glob, the part before its first `*` counts.
 */
export function promotionListOf({ destination, repository, tag, rule, state, globs = {} }: PromotionFilter): string {
  if (destination !== undefined) return `destination|${hashKey(destination)}|`;
  if (repository !== undefined) {
    const of = `repository|${repositoryKey(repository)}|`;
    return tag === undefined ? `${of}${encodePrefix(globPrefix(globs.tag ?? ''))}` : `${of}${encodeKey(tag)}|`;
  }
  const repositories = encodePrefix(globPrefix(globs.repository ?? ''), REPOSITORY_CHARACTERS);
  if (repositories !== '') return `repository|${repositories}`;
  if (rule !== undefined) return `rule|${encodeKey(rule)}|`;
  return state === undefined ? 'at|' : `state|${state}|`;
}

/**
 * The page token from which a repository's list has the promotions that a filter by tags wants; undefined for the
 * start.
 */
export function promotionsFrom(
  list: string,
  { repository, tag, afterTag, fromTag }: PromotionFilter,
): string | undefined {
  if (repository === undefined || tag !== undefined) return undefined;
  // Ids are hexadecimal, so `g` sorts after all of them.
  if (afterTag !== undefined) return pageToken(`${list}${encodeKey(afterTag)}|g`);
  return fromTag === undefined ? undefined : pageToken(`${list}${encodeKey(fromTag)}`);
}

/**
 * The end of a list that is sorted newest first: after the entries since this time. Undefined if the list has another
 * order.
 */
export function listEnd(list: string, since: string | undefined): string | undefined {
  const isByTime = /^(?:at|open|job|(?:rule|state|outcome)\|[^|]*)\|$/.test(list);
  return since !== undefined && isByTime ? `${list}${invertedTime(Date.parse(since))}~` : undefined;
}

/** Storage of runs. Each copy is a summary. Run ids start with their time. */
export const RUNS: Listing<RunRow, RunSummary> = {
  partitionKey: 'run',
  rowKeyOf: encodeKey,
  schema: runRowSchema,
  copySchema: runSummarySchema,
  copyOf: summaryOfRun,
  copyKeysOf(summary) {
    const { kind, openedAt, rule, source, digest, state, result } = summary;
    const lists = [
      'at',
      ...(kind === 'job' ? ['job'] : []),
      ...(state === 'ended' ? [] : ['open']),
      // This list is sorted oldest first.
      ...(state === 'ended' || kind !== 'job' ? [] : [`${DUE}job|${encodeKey(openedAt)}`]),
      ...(needsResultEvent(summary) ? [`${DUE}result`] : []),
      ...(result === undefined ? [] : [`outcome|${result.outcome}`]),
      ...(rule === undefined ? [] : [`rule|${encodeKey(rule)}`]),
      ...(source === undefined ? [] : [`repository|${hashKey(source.repository)}`]),
      ...(digest === undefined ? [] : [`digest|${encodeKey(digest)}`]),
    ];
    const id = encodeKey(summary.id);
    return lists.map((list) => `${list}|${id}`);
  },
};

/** The page token from which such a list has the runs that were opened before a time. */
export function runsBefore(list: string, openedBefore: string): string {
  return pageToken(`${list}${invertedTime(Date.parse(openedBefore))}`);
}

export function runListOf({ digest, repository, rule, state, kind }: RunFilter): string {
  if (digest !== undefined) return `digest|${encodeKey(digest)}${isDigest(digest) ? '|' : ''}`;
  if (repository !== undefined) return `repository|${hashKey(repository)}|`;
  if (rule !== undefined) return `rule|${encodeKey(rule)}|`;
  if (kind === 'job') return 'job|';
  if (state === undefined || state === 'ended') return 'at|';
  return state === 'open' || state === 'pending' || state === 'running' ? 'open|' : `outcome|${state}|`;
}
