import { z } from 'zod';

/** Referrers that a row names, and digests that were replaced; of more referrers it has the count. */
const MOST_NAMED = 20;
/** How long a replica may be late, in milliseconds. */
const LATE_MS = 15 * 60_000;
/** How far the clocks of two hosts may be apart, in milliseconds: what one of them wrote is younger than it seems to the other. */
const CLOCKS_MS = 60 * 60_000;

/** A referrer that a trigger has named. */
const referrerSchema = z.object({
  digest: z.string(),
  at: z.string(),
  /** The digest tag that leads to it. */
  tag: z.string().exactOptional(),
  /** A run has found it. */
  seen: z.literal(true).exactOptional(),
  /** How many runs have looked for it, and did not find it. */
  looks: z.number().exactOptional(),
});
export const newsSchema = z.object({
  tag: z
    .object({
      /** What was pushed; of a deletion what stood there, if the trigger named it. */
      digest: z.string().exactOptional(),
      deleted: z.literal(true).exactOptional(),
      /** When, by the registry's clock. */
      at: z.string(),
      /** A run has waited for it in vain: what the tag reads is right. */
      missed: z.literal(true).exactOptional(),
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
  if (told.referrer !== undefined) return hearReferrer(news, told.referrer, told.referrerTag, at, now);
  const { tag } = news;
  const timeMs = countedMs(at, now);
  const { digest } = told;
  if (told.deleted === true && digest !== undefined) {
    // Whatever stood under the tag: only of this digest it is known that it is gone.
    if (tag === undefined || tag.digest !== digest) return { news, isKnown: false };
    return { news: { ...news, tag: { ...tag, deleted: true } }, isKnown: tag.deleted === true };
  }
  const isLater = tag === undefined || timeMs > Date.parse(tag.at);
  const isTie = tag !== undefined && timeMs === Date.parse(tag.at) && tag.digest !== digest;
  if (isLater || isTie) {
    const before = tag?.digest !== undefined && tag.digest !== digest ? [tag.digest] : [];
    const heard = digest === undefined ? {} : { digest };
    const replaced = news.replaced.filter((each) => each.digest !== digest);
    const next = {
      ...heard,
      ...(told.deleted === true && { deleted: true as const }),
      at: new Date(timeMs).toISOString(),
    };
    return { news: { ...news, tag: next, replaced: withReplaced(replaced, before, now) }, isKnown: false };
  }
  if (digest === undefined || digest === tag.digest) return { news, isKnown: true };
  const isKnown = digest === last?.digest || news.replaced.some((each) => each.digest === digest);
  return isKnown
    ? { news, isKnown }
    : { news: { ...news, replaced: withReplaced(news.replaced, [digest], now) }, isKnown };
}

/** A time to come counts as now: some clock is wrong. Not one that this host's clock alone may be slow for. */
function countedMs(at: string, now: Date): number {
  const timeMs = Date.parse(at);
  return timeMs > now.getTime() + CLOCKS_MS ? now.getTime() : timeMs;
}

function hearReferrer(
  news: News,
  digest: string,
  tag: string | undefined,
  at: string,
  now: Date,
): { news: News; isKnown: boolean } {
  const known = news.referrers.find((each) => each.digest === digest);
  const timeMs = countedMs(at, now);
  if (known !== undefined && timeMs <= Date.parse(known.at)) return { news, isKnown: true };
  // What a digest tag named before is not to be found there any more.
  const others = news.referrers.filter((each) => each.digest !== digest && (tag === undefined || each.tag !== tag));
  const referrers = [...others, { digest, at: new Date(timeMs).toISOString(), ...(tag !== undefined && { tag }) }]
    .toSorted((a, b) => Date.parse(a.at) - Date.parse(b.at))
    .slice(-MOST_NAMED);
  const referrerCount = news.referrerCount + (known === undefined ? 1 : 0);
  return { news: { ...news, referrers, referrerCount }, isKnown: false };
}

function withReplaced(replaced: News['replaced'], digests: readonly string[], now: Date): News['replaced'] {
  const kept = replaced.filter((each) => !digests.includes(each.digest) && isYoung(each.at, now));
  return [...kept, ...digests.map((digest) => ({ digest, at: now.toISOString() }))].slice(-MOST_NAMED);
}

function isYoung(at: string, now: Date): boolean {
  return now.getTime() - Date.parse(at) < LATE_MS + CLOCKS_MS;
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
  const named = tag?.digest === undefined || isSettled(tag) ? undefined : { digest: tag.digest, at: tag.at };
  const { at: replacedAt } = replaced.find((each) => each.digest === digest && isYoung(each.at, now)) ?? {};
  if (replacedAt === undefined && (named === undefined || last?.digest !== digest)) return undefined;
  return { digest, ...(named && { named }), ...(replacedAt !== undefined && { replacedAt }) };
}

/** True if nobody waits for it: it was deleted, or waited for in vain. */
function isSettled(tag: NonNullable<News['tag']>): boolean {
  return tag.deleted === true || tag.missed === true;
}

/** True if the tag names this digest, as far as the news goes; a run that read another is followed by the next. */
export function isAnsweredBy({ tag }: News, digest: string | undefined): boolean {
  return tag?.digest === undefined || isSettled(tag) || tag.digest === digest;
}

/** It was waited for long enough: what the tag reads is what it is. */
export function believed(news: News, digest: string): News {
  const { tag } = news;
  const replaced = news.replaced.filter((each) => each.digest !== digest);
  if (tag === undefined || isAnsweredBy(news, digest)) return { ...news, replaced };
  return { ...news, replaced, tag: { ...tag, missed: true } };
}

/** After a run has moved the destination from one digest to another. */
export function moved(news: News, from: string | undefined, to: string, now: Date): News {
  const replaced = news.replaced.filter((each) => each.digest !== to);
  const before = from === undefined || from === to || news.tag?.digest === from ? [] : [from];
  return { ...news, replaced: withReplaced(replaced, before, now) };
}
