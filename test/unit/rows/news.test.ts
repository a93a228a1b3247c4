import { describe, expect, test } from '@jest/globals';
import {
  NO_NEWS,
  addNews,
  isAnsweredBy,
  lateTag,
  believed,
  answered,
  type News,
  type TriggerReport,
} from '../../../src/rows/news.js';

const A = `sha256:${'a'.repeat(64)}`;
const B = `sha256:${'b'.repeat(64)}`;
const C = `sha256:${'c'.repeat(64)}`;
const START = Date.parse('2026-01-01T12:00:00Z');
const at = (minutes: number): string => new Date(START + minutes * 60_000).toISOString();
const now = (minutes: number): Date => new Date(START + minutes * 60_000);
const lastOf = (digest: string): { last: { digest: string } } => ({ last: { digest } });

/** What a row knows after these, told at these minutes by a host whose clock is right. */
function heard(...told: (TriggerReport & { at: string })[]): News {
  let news = NO_NEWS;
  for (const each of told)
    ({ news } = addNews({ news }, each, new Date(Math.max(Date.parse(each.at), START + 3_600_000))));
  return news;
}

describe('the news of a tag', () => {
  test('has the event with the later time, in whichever order they arrive', () => {
    const early = { digest: A, at: at(1) };
    const late = { digest: B, at: at(2) };
    for (const order of [
      [early, late],
      [late, early],
    ])
      expect(heard(...order).tag).toEqual({ digest: B, at: at(2) });
  });

  test('counts a timestamp in the future as now', () => {
    const { news } = addNews({}, { digest: A, at: at(600) }, now(1));
    expect(news.tag).toEqual({ digest: A, at: at(1) });
    expect(addNews({ news }, { digest: B, at: at(2) }, now(2)).news.tag?.digest).toBe(B);
  });

  test('has the newest event even if a host’s clock is an hour slow', () => {
    const before = heard({ digest: A, at: at(50) });
    const { news } = addNews({ news: before }, { digest: B, at: at(60) }, now(0));
    expect(news.tag?.digest).toBe(B);
    expect(addNews({ news }, { digest: A, at: at(50) }, now(0)).news.tag?.digest).toBe(B);
  });

  test('knows the same digest at the same time, but not the same digest pushed again', () => {
    const news = heard({ digest: A, at: at(1) });
    expect(addNews({ news }, { digest: A, at: at(1) }, now(2)).isKnown).toBe(true);
    expect(addNews({ news }, { digest: A, at: at(2) }, now(2)).isKnown).toBe(false);
  });

  test('knows an older event only if it knows its digest', () => {
    const news = heard({ digest: B, at: at(2) });
    expect(addNews({ news }, { digest: A, at: at(1) }, now(3)).isKnown).toBe(false);
    expect(addNews({ news, ...lastOf(A) }, { digest: A, at: at(1) }, now(3)).isKnown).toBe(true);
  });

  test('does not change if an event is delivered again after a run has seen another digest', () => {
    // No event reported the push of B, and a run has read it.
    const moved = answered(heard({ digest: A, at: at(1) }), A, B, now(5));
    expect(addNews({ news: moved, ...lastOf(B) }, { digest: A, at: at(1) }, now(6))).toEqual({
      news: moved,
      isKnown: true,
    });
  });

  test('keeps a push after a deletion that is reported late', () => {
    const news = heard({ digest: A, at: at(1) }, { digest: A, at: at(3) });
    expect(addNews({ news }, { digest: A, deleted: true, at: at(2) }, now(4))).toEqual({ news, isKnown: true });
  });

  test('stores nothing without a time, and counts the trigger as new', () => {
    expect(addNews({}, { digest: A }, now(1))).toEqual({ news: NO_NEWS, isKnown: false });
    expect(addNews({}, {}, now(1))).toEqual({ news: NO_NEWS, isKnown: false });
  });

  test('removes a deleted manifest only from the tag that named it last', () => {
    const news = heard({ digest: A, at: at(1) }, { digest: A, deleted: true, at: at(5) });
    expect(news.tag).toEqual({ digest: A, deleted: true, at: at(1) });
    // Moved before the deletion, and reported after it.
    expect(addNews({ news }, { digest: B, at: at(3) }, now(6)).news.tag).toEqual({ digest: B, at: at(3) });
    expect(heard({ digest: B, at: at(1) }, { digest: A, deleted: true, at: at(5) }).tag).toEqual({
      digest: B,
      at: at(1),
    });
  });
});

describe('the digest that a tag reads', () => {
  test('is stale if it was answered before and the news names another', () => {
    const news = heard({ digest: A, at: at(1) }, { digest: B, at: at(2) });
    expect(lateTag({ news, ...lastOf(A) }, A, now(3))).toMatchObject({ digest: A, named: { digest: B, at: at(2) } });
    expect(lateTag({ news, ...lastOf(A) }, B, now(3))).toBeUndefined();
  });

  test('is believed at once in any other case', () => {
    const news = heard({ digest: B, at: at(2) });
    expect(lateTag({ news, ...lastOf(A) }, C, now(3))).toBeUndefined();
    expect(lateTag({}, C, now(3))).toBeUndefined();
    expect(lateTag(lastOf(A), A, now(3))).toBeUndefined();
  });

  test('is stale if it was replaced recently, unless the news names it', () => {
    const news = answered(heard({ digest: B, at: at(2) }), A, B, now(3));
    expect(lateTag({ news, ...lastOf(B) }, A, now(4))).toMatchObject({ digest: A, replacedAt: at(3) });
    const back = addNews({ news }, { digest: A, at: at(5) }, now(5)).news;
    expect(lateTag({ news: back, ...lastOf(B) }, A, now(6))).toBeUndefined();
    // Two hosts' clocks may be an hour apart.
    expect(lateTag({ news, ...lastOf(B) }, A, now(70))).toBeDefined();
    expect(lateTag({ news, ...lastOf(B) }, A, now(80))).toBeUndefined();
  });

  test('is stale if an event reports it with an older time than the news', () => {
    const { news } = addNews({ news: heard({ digest: B, at: at(2) }) }, { digest: C, at: at(1) }, now(3));
    expect(lateTag({ news, ...lastOf(B) }, C, now(4))).toMatchObject({ digest: C });
  });

  test('is believed after the wait', () => {
    const news = answered(heard({ digest: A, at: at(1) }, { digest: B, at: at(2) }), undefined, A, now(3));
    const after = believed(news, A);
    expect(lateTag({ news: after, ...lastOf(A) }, A, now(20))).toBeUndefined();
    expect([isAnsweredBy(news, A), isAnsweredBy(after, A)]).toEqual([false, true]);
    // It comes after all.
    expect(lateTag({ news: after, ...lastOf(A) }, B, now(21))).toBeUndefined();
  });
});

describe('after a run has read a digest, the news', () => {
  test('keep a push open that the run did not read', () => {
    const news = answered(heard({ digest: B, at: at(2) }), undefined, A, now(3));
    expect(isAnsweredBy(news, A)).toBe(false);
    expect(lateTag({ news, ...lastOf(A) }, A, now(4))).toMatchObject({ named: { digest: B } });
  });

  test('have the digest of a tag that moved without an event, and do not go back', () => {
    const told = answered(heard({ digest: A, at: at(1) }), undefined, A, now(2));
    const news = answered(told, A, B, now(30));
    expect(isAnsweredBy(news, B)).toBe(true);
    expect(lateTag({ news, ...lastOf(B) }, B, now(31))).toBeUndefined();
    expect(lateTag({ news, ...lastOf(B) }, A, now(31))).toMatchObject({ replacedAt: at(30) });
    // The event comes after all.
    expect(addNews({ news, ...lastOf(B) }, { digest: B, at: at(20) }, now(32)).news.tag).toEqual({
      digest: B,
      at: at(20),
    });
  });

  test('have the digest of a tag that was pushed again after a reported deletion', () => {
    const news = answered(heard({ digest: A, at: at(1) }, { deleted: true, at: at(2) }), A, A, now(3));
    expect(news.tag).toEqual({ digest: A, at: new Date(Date.parse(at(2)) + 1).toISOString(), seen: true });
    // The deletion is told again.
    expect(addNews({ news, ...lastOf(A) }, { deleted: true, at: at(2) }, now(4))).toEqual({ news, isKnown: true });
  });
});

describe('the news of referrers', () => {
  const digest = (nth: number): string => `sha256:${String(nth).padStart(64, '0')}`;

  test('name the newest twenty, and count all', () => {
    const all = Array.from({ length: 30 }, (_, nth) => ({ referrer: digest(nth), at: at(nth) }));
    const news = heard(...all.toReversed(), ...all.slice(-20));
    expect(news.referrers.map((each) => each.digest)).toEqual(all.slice(-20).map(({ referrer }) => referrer));
    expect(news.referrerCount).toBe(30);
  });

  test('replace the referrer that the same digest tag named before', () => {
    const tag = `sha256-${'a'.repeat(64)}.sig`;
    const news = heard(
      { referrer: A, referrerTag: tag, at: at(1) },
      { referrer: B, at: at(2) },
      { referrer: C, referrerTag: tag, at: at(3) },
    );
    expect(news.referrers.map((each) => each.digest)).toEqual([B, C]);
  });
});
