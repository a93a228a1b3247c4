import { z } from 'zod';

/** Maximum referrers and replaced digests in a row. Further referrers are only counted. */
const MOST_NAMED = 20;
/** How long a replica of a registry may be stale, in milliseconds. */
export const LATE_MS = 15 * 60_000;
/** How much the clocks of two hosts may differ, in milliseconds. */
const CLOCKS_MS = 60 * 60_000;

/** A referrer that a trigger reported. */
const referrerSchema = z.object({
  digest: z.string(),
  at: z.string(),
  /** The digest that it refers to, if the trigger named it. */
  subject: z.string().optional(),
  /** The digest tag that points to it. */
  tag: z.string().optional(),
  /** A run has found it, or found that it does not belong to this promotion. */
  seen: z.literal(true).optional(),
  /** How many runs have looked for it without finding it. */
  looks: z.number().optional(),
});
type ReferrerNews = z.infer<typeof referrerSchema>;

export const newsSchema = z.object({
  tag: z
    .object({
      /** The pushed digest; for a deletion the deleted digest, if the trigger named it. */
      digest: z.string().optional(),
      deleted: z.literal(true).optional(),
      /** The time of the event by the registry's clock. */
      at: z.string(),
      /** A run has read this digest under the tag. */
      seen: z.literal(true).optional(),
    })
    .optional(),
  /** The newest ones, oldest first. */
  referrers: z.array(referrerSchema),
  /** The number of all referrers that triggers reported. */
  referrerCount: z.number(),
  /** Digests that the tag no longer names, with the time when this was learned, by a host's clock; oldest first. */
  replaced: z.array(z.object({ digest: z.string(), at: z.string() })),
});
/**
 * What triggers reported about a promotion's tag and its referrers. It is needed because a stale replica may return the
 * earlier state. It stays in the row after the close.
 */
export type News = z.infer<typeof newsSchema>;

/** What a trigger reports. Every field may be absent. */
export interface TriggerReport {
  /** The digest that was pushed under the tag; with `deleted`, the manifest that was deleted. */
  digest?: string | undefined;
  /** The tag was deleted, or the manifest that it names. */
  deleted?: true;
  /** The referrer that was pushed, and its digest tag, if it has one. */
  referrer?: string | undefined;
  referrerTag?: string | undefined;
  referrerSubject?: string | undefined;
  /** The time of the event by the registry's clock. Without it, nothing of this is stored. */
  at?: string;
}

/** The part of a row that a trigger is compared with. */
interface KnownNews {
  news?: News | undefined;
  last?: { digest?: string | undefined } | undefined;
}

export const NO_NEWS: News = { referrers: [], referrerCount: 0, replaced: [] };

/**
 * Adds a trigger's report to a row's news.
 * @returns isKnown: the report has no new digest and no new time, because the event is late or was delivered twice
 */
export function addNews(
  { news = NO_NEWS, last }: KnownNews,
  report: TriggerReport,
  now: Date,
): { news: News; isKnown: boolean } {
  const { at } = report;
  if (at === undefined || Number.isNaN(Date.parse(at))) return { news, isKnown: false };
  if (report.referrer !== undefined) return addReferrerNews(news, { ...report, referrer: report.referrer, at }, now);
  const { tag } = news;
  const timeMs = countedMs(at, now);
  const { digest } = report;
  if (report.deleted === true && digest !== undefined) {
    // Whatever the tag names now, only this digest is known to be deleted.
    if (tag === undefined || tag.digest !== digest) return { news, isKnown: false };
    // The digest was pushed again after the deletion.
    if (timeMs < Date.parse(tag.at)) return { news, isKnown: true };
    return { news: { ...news, tag: { ...tag, deleted: true } }, isKnown: tag.deleted === true };
  }
  const isLater = tag === undefined || timeMs > Date.parse(tag.at);
  const isReplaced = news.replaced.some((each) => each.digest === digest);
  const isTie = tag !== undefined && timeMs === Date.parse(tag.at) && tag.digest !== digest;
  if (isLater || isTie) {
    const before = tag?.digest !== undefined && tag.digest !== digest ? [tag.digest] : [];
    const next = { digest, deleted: report.deleted, at: new Date(timeMs).toISOString() };
    return { news: { ...news, tag: next, replaced: withReplaced(news.replaced, before, now) }, isKnown: false };
  }
  if (digest === undefined || digest === tag.digest) return { news, isKnown: true };
  if (digest === last?.digest || isReplaced) return { news, isKnown: true };
  return { news: { ...news, replaced: withReplaced(news.replaced, [digest], now) }, isKnown: false };
}

/**
 * A timestamp far in the future counts as now, because a clock is wrong. A smaller difference is allowed: this host's
 * clock may be slow.
 */
function countedMs(at: string, now: Date): number {
  const timeMs = Date.parse(at);
  return timeMs > now.getTime() + CLOCKS_MS ? now.getTime() : timeMs;
}

function addReferrerNews(
  news: News,
  {
    referrer: digest,
    referrerTag: tag,
    referrerSubject: subject,
    at,
  }: TriggerReport & { referrer: string; at: string },
  now: Date,
): { news: News; isKnown: boolean } {
  const known = news.referrers.find((each) => each.digest === digest);
  const timeMs = countedMs(at, now);
  if (known !== undefined && timeMs <= Date.parse(known.at)) return { news, isKnown: true };
  // A digest tag names one referrer; the earlier one under the same tag is no longer there.
  const others = news.referrers.filter((each) => each.digest !== digest && (tag === undefined || each.tag !== tag));
  const added = { digest, at: new Date(timeMs).toISOString(), subject, tag };
  const referrers = [...others, added].toSorted((a, b) => Date.parse(a.at) - Date.parse(b.at)).slice(-MOST_NAMED);
  const referrerCount = news.referrerCount + (known === undefined ? 1 : 0);
  return { news: { ...news, referrers, referrerCount }, isKnown: false };
}

function withReplaced(replaced: News['replaced'], digests: readonly string[], now: Date): News['replaced'] {
  const kept = replaced.filter((each) => !digests.includes(each.digest) && isYoung(each.at, now));
  return [...kept, ...digests.map((digest) => ({ digest, at: now.toISOString() }))].slice(-MOST_NAMED);
}

function isYoung(at: string, now: Date): boolean {
  const ageMs = now.getTime() - Date.parse(at);
  return ageMs < LATE_MS + CLOCKS_MS && ageMs > -CLOCKS_MS;
}

/** Why a run assumes that a stale replica answered for the tag. */
export interface LateTag {
  /** The digest and time of the last reported push; absent if it is only known that the digest below was replaced. */
  named: { digest: string; at: string } | undefined;
  /** The digest that the tag reads, and since when it is known to be replaced. */
  digest: string;
  replacedAt: string | undefined;
}

/**
 * Checks whether a tag's digest is stale: it was replaced recently, or the row has already answered it while a later
 * push names another digest. Any other digest is accepted at once.
 */
export function lateTag({ news = NO_NEWS, last }: KnownNews, digest: string, now: Date): LateTag | undefined {
  const { tag, replaced } = news;
  if (tag?.digest === digest) return undefined;
  const named = isOpen(tag) ? { digest: tag.digest, at: tag.at } : undefined;
  const { at: replacedAt } = replaced.find((each) => each.digest === digest && isYoung(each.at, now)) ?? {};
  if (replacedAt === undefined && (named === undefined || last?.digest !== digest)) return undefined;
  return { digest, named, replacedAt };
}

/** True if the tag named this digest until recently. A destination that still has it may be a stale replica. */
export function wasReplaced({ replaced }: News, digest: string, now: Date): boolean {
  return replaced.some((each) => each.digest === digest && isYoung(each.at, now));
}

type TagNews = NonNullable<News['tag']>;

/** True if a push was reported that no run has read under the tag yet. */
function isOpen(tag: TagNews | undefined): tag is TagNews & { digest: string } {
  return tag?.digest !== undefined && tag.deleted !== true && tag.seen !== true;
}

/** False if a push of another digest was reported that no run has read yet. The next run reads it. */
export function isAnsweredBy({ tag }: News, digest: string | undefined): boolean {
  return !isOpen(tag) || tag.digest === digest;
}

/** The news after a run has waited long enough: the tag's digest is not stale. */
export function believed(news: News, digest: string): News {
  const { tag } = news;
  const replaced = news.replaced.filter((each) => each.digest !== digest);
  return { ...news, replaced, tag: tag && { digest, at: tag.at, seen: true } };
}

/**
 * The news after a run has read this digest under the tag. A reported push that the run did not read stays open.
 * Otherwise the tag has moved without an event.
 * @param before the digest that the run before has read
 */
export function answered(news: News, before: string | undefined, digest: string, now: Date): News {
  const tag =
    news.tag === undefined || !isAnsweredBy(news, digest)
      ? news.tag
      : { digest, at: news.tag.digest === digest ? news.tag.at : after(news.tag.at), seen: true as const };
  const gone = new Set([before, news.tag?.digest]);
  for (const known of [digest, tag?.digest]) gone.delete(known);
  gone.delete(undefined);
  const replaced = news.replaced.filter((each) => each.digest !== digest);
  const digests = [...gone].filter((each) => each !== undefined);
  return { ...news, tag, replaced: withReplaced(replaced, digests, now) };
}

/** One millisecond later, so that the earlier event, if it is delivered again, is not newer. */
function after(at: string): string {
  return new Date(Date.parse(at) + 1).toISOString();
}

/** Which of the reported referrers a run found and which it did not. */
export interface Looked {
  seen: string[];
  unseen: string[];
}

/**
 * Looks for referrers in a graph. If the subject of a referrer is not copied, the run does not wait for the referrer.
 * @param graph the manifests that are copied, and those that are left out for other reasons than the rule
 */
export function lookFor(
  news: News | undefined,
  graph: { copied: ReadonlySet<string>; leftOut: ReadonlySet<string> },
): Looked {
  const looked: Looked = { seen: [], unseen: [] };
  for (const { digest, subject, seen } of news?.referrers ?? []) {
    if (seen === true) continue;
    const isFound = graph.copied.has(digest) || graph.leftOut.has(digest);
    const isElsewhere = subject !== undefined && !graph.copied.has(subject);
    (isFound || isElsewhere ? looked.seen : looked.unseen).push(digest);
  }
  return looked;
}

/** The news after a run has looked for referrers. */
export function lookedFor(news: News, { seen, unseen }: Looked): News {
  const referrers = news.referrers.map((each) => {
    if (seen.includes(each.digest)) return { ...each, seen: true as const };
    return unseen.includes(each.digest) ? { ...each, looks: (each.looks ?? 0) + 1 } : each;
  });
  return { ...news, referrers };
}

/** How long after its push a missing referrer is looked for, in milliseconds. */
const LOOKED_FOR_MS = 24 * 3_600_000;
/** The pause before the second look, which doubles with each further look, and the longest pause, in milliseconds. */
const FIRST_PAUSE_MS = 2 * 60_000;
const LONGEST_PAUSE_MS = 60 * 60_000;

/**
 * The pause before the next look for a missing referrer, in milliseconds. Undefined if it is not looked for any more.
 */
export function nextLookMs({ at, looks = 1 }: Pick<ReferrerNews, 'at' | 'looks'>, now: Date): number | undefined {
  if (now.getTime() - Date.parse(at) > LOOKED_FOR_MS) return undefined;
  return Math.min(FIRST_PAUSE_MS * 2 ** Math.min(looks - 1, 20), LONGEST_PAUSE_MS);
}
