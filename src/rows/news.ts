import { z } from 'zod';

/** Referrers that a row names, and digests that were replaced; of more referrers it has the count. */
const MOST_NAMED = 20;
/** How long a replica may be late, in milliseconds. */
export const LATE_MS = 15 * 60_000;
/** How far the clocks of two hosts may be apart, in milliseconds: what one of them wrote is younger than it seems to the other. */
const CLOCKS_MS = 60 * 60_000;

/** A referrer that a trigger has named. */
const referrerSchema = z.object({
  digest: z.string(),
  at: z.string(),
  /** What it refers to, if the trigger said that. */
  subject: z.string().exactOptional(),
  /** The digest tag that leads to it. */
  tag: z.string().exactOptional(),
  /** A run has found it, or found that it is none of this promotion. */
  seen: z.literal(true).exactOptional(),
  /** How many runs have looked for it, and did not find it. */
  looks: z.number().exactOptional(),
});
type ReferrerNews = z.infer<typeof referrerSchema>;

export const newsSchema = z.object({
  tag: z
    .object({
      /** What was pushed; of a deletion what stood there, if the trigger named it. */
      digest: z.string().exactOptional(),
      deleted: z.literal(true).exactOptional(),
      /** When, by the registry's clock. */
      at: z.string(),
      /** A run has read this under the tag. */
      seen: z.literal(true).exactOptional(),
    })
    .exactOptional(),
  /** The newest ones, oldest first. */
  referrers: z.array(referrerSchema),
  /** Of all referrers that were named. */
  referrerCount: z.number(),
  /** Digests that the tag no longer names, and since when that is known, by a host's clock; oldest first. */
  replaced: z.array(z.object({ digest: z.string(), at: z.string() })),
});
/**
 * What triggers said of a promotion's tag and of its referrers: a registry's replica may answer as it was before. Kept after the close.
 */
export type News = z.infer<typeof newsSchema>;

/** What a trigger knows; all of it may be unknown. */
export interface Told {
  /** The digest that was pushed under the tag; with `deleted`, the manifest that was deleted. */
  digest?: string;
  /** The tag was deleted, or the manifest under it. */
  deleted?: true;
  /** The referrer that was pushed, and the digest tag under which it was, if any. */
  referrer?: string;
  referrerTag?: string;
  referrerSubject?: string;
  /** When, by the registry's clock. Without it nothing of this is kept. */
  at?: string;
}

/** What a row's news are held against. */
interface Heard {
  news?: News;
  last?: { digest?: string };
}

export const NO_NEWS: News = { referrers: [], referrerCount: 0, replaced: [] };

/**
 * What a row knows after a trigger.
 * @returns isKnown: nothing of it is new, neither the digest nor the time: an event that was delivered again, or that is late
 */
export function hear({ news = NO_NEWS, last }: Heard, told: Told, now: Date): { news: News; isKnown: boolean } {
  const { at } = told;
  if (at === undefined || Number.isNaN(Date.parse(at))) return { news, isKnown: false };
  if (told.referrer !== undefined) return hearReferrer(news, { ...told, referrer: told.referrer, at }, now);
  const { tag } = news;
  const timeMs = countedMs(at, now);
  const { digest } = told;
  if (told.deleted === true && digest !== undefined) {
    // Whatever stood under the tag: only of this digest it is known that it is gone.
    if (tag === undefined || tag.digest !== digest) return { news, isKnown: false };
    // It was pushed again since.
    if (timeMs < Date.parse(tag.at)) return { news, isKnown: true };
    return { news: { ...news, tag: { ...tag, deleted: true } }, isKnown: tag.deleted === true };
  }
  const isLater = tag === undefined || timeMs > Date.parse(tag.at);
  const isReplaced = news.replaced.some((each) => each.digest === digest);
  const isTie = tag !== undefined && timeMs === Date.parse(tag.at) && tag.digest !== digest;
  if (isLater || isTie) {
    const before = tag?.digest !== undefined && tag.digest !== digest ? [tag.digest] : [];
    const heard = digest === undefined ? {} : { digest };
    const next = {
      ...heard,
      ...(told.deleted === true && { deleted: true as const }),
      at: new Date(timeMs).toISOString(),
    };
    return { news: { ...news, tag: next, replaced: withReplaced(news.replaced, before, now) }, isKnown: false };
  }
  if (digest === undefined || digest === tag.digest) return { news, isKnown: true };
  const isKnown = digest === last?.digest || isReplaced;
  return isKnown
    ? { news, isKnown }
    : { news: { ...news, replaced: withReplaced(news.replaced, [digest], now) }, isKnown };
}

/** A timestamp in the future counts as now: some clock is wrong. Not one that this host's clock alone may be slow for. */
function countedMs(at: string, now: Date): number {
  const timeMs = Date.parse(at);
  return timeMs > now.getTime() + CLOCKS_MS ? now.getTime() : timeMs;
}

function hearReferrer(
  news: News,
  { referrer: digest, referrerTag: tag, referrerSubject: subject, at }: Told & { referrer: string; at: string },
  now: Date,
): { news: News; isKnown: boolean } {
  const known = news.referrers.find((each) => each.digest === digest);
  const timeMs = countedMs(at, now);
  if (known !== undefined && timeMs <= Date.parse(known.at)) return { news, isKnown: true };
  // What a digest tag named before is not to be found there any more.
  const others = news.referrers.filter((each) => each.digest !== digest && (tag === undefined || each.tag !== tag));
  const heard = { digest, at: new Date(timeMs).toISOString(), ...(subject && { subject }), ...(tag && { tag }) };
  const referrers = [...others, heard].toSorted((a, b) => Date.parse(a.at) - Date.parse(b.at)).slice(-MOST_NAMED);
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

/** Why a run does not believe what the tag reads. */
export interface LateTag {
  /** What the tag is said to be, and since when; absent if it is only known what it is no longer. */
  named?: { digest: string; at: string };
  /** What it reads, and since when that is known to be replaced. */
  digest: string;
  replacedAt?: string;
}

/**
 * Whether what the tag reads is what it was: this row has answered it already while the news names another, or it was replaced lately and
 * the news does not name it. Any other digest counts at once.
 */
export function lateTag({ news = NO_NEWS, last }: Heard, digest: string, now: Date): LateTag | undefined {
  const { tag, replaced } = news;
  if (tag?.digest === digest) return undefined;
  const named = isOpen(tag) ? { digest: tag.digest, at: tag.at } : undefined;
  const { at: replacedAt } = replaced.find((each) => each.digest === digest && isYoung(each.at, now)) ?? {};
  if (replacedAt === undefined && (named === undefined || last?.digest !== digest)) return undefined;
  return { digest, ...(named && { named }), ...(replacedAt !== undefined && { replacedAt }) };
}

/** True if the tag was another digest a moment ago: a destination that has this one may be a late replica. */
export function wasReplaced({ replaced }: News, digest: string, now: Date): boolean {
  return replaced.some((each) => each.digest === digest && isYoung(each.at, now));
}

type TagNews = NonNullable<News['tag']>;

/** True if a push was reported that no run has read under the tag yet. */
function isOpen(tag: TagNews | undefined): tag is TagNews & { digest: string } {
  return tag?.digest !== undefined && tag.deleted !== true && tag.seen !== true;
}

/** True if the tag names this digest, as far as the news goes; a run that read another is followed by the next. */
export function isAnsweredBy({ tag }: News, digest: string | undefined): boolean {
  return !isOpen(tag) || tag.digest === digest;
}

/** The tag has read this for so long that it is not late. */
export function believed(news: News, digest: string): News {
  const { tag } = news;
  const replaced = news.replaced.filter((each) => each.digest !== digest);
  return { ...news, replaced, ...(tag !== undefined && { tag: { digest, at: tag.at, seen: true } }) };
}

/**
 * What is known after a run that has read this digest under the tag. A push that was reported and that the run did not read stays open;
 * otherwise the tag has moved since the news, and no event reported it.
 * @param before what the run before has read
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
  return { ...news, ...(tag !== undefined && { tag }), replaced: withReplaced(replaced, digests, now) };
}

/** Later by as little as may be: the event of before, should it come again, is not newer. */
function after(at: string): string {
  return new Date(Date.parse(at) + 1).toISOString();
}

/** What a run found of the referrers that triggers have named; of each it is one or the other. */
export interface Looked {
  seen: string[];
  unseen: string[];
}

/**
 * Looks for referrers in a graph. One whose subject is not in the graph, because the rule leaves that out, is not waited for.
 * @param graph what is to be copied, and what is left out of it for a reason of its own
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

/** What is known after a run has looked. */
export function lookedFor(news: News, { seen, unseen }: Looked): News {
  const referrers = news.referrers.map((each) => {
    if (seen.includes(each.digest)) return { ...each, seen: true as const };
    return unseen.includes(each.digest) ? { ...each, looks: (each.looks ?? 0) + 1 } : each;
  });
  return { ...news, referrers };
}

/** How long a referrer that was not found is looked for, from its push on, in milliseconds. */
const LOOKED_FOR_MS = 24 * 3_600_000;
/** The pause before the second look, doubled with each further one, and the longest one, in milliseconds. */
const FIRST_PAUSE_MS = 2 * 60_000;
const LONGEST_PAUSE_MS = 60 * 60_000;

/** When a referrer that a run did not find is looked for again, in milliseconds; undefined: no more. */
export function nextLookMs({ at, looks = 1 }: Pick<ReferrerNews, 'at' | 'looks'>, now: Date): number | undefined {
  if (now.getTime() - Date.parse(at) > LOOKED_FOR_MS) return undefined;
  return Math.min(FIRST_PAUSE_MS * 2 ** Math.min(looks - 1, 20), LONGEST_PAUSE_MS);
}
