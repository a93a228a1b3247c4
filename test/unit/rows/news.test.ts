import { describe, expect, test } from '@jest/globals';
import {
  NO_NEWS,
  hear,
  isAnsweredBy,
  lateTag,
  believed,
  answered,
  type News,
  type Told,
} from '../../../src/rows/news.js';

const A = `sha256:${'a'.repeat(64)}`;
const B = `sha256:${'b'.repeat(64)}`;
const C = `sha256:${'c'.repeat(64)}`;
const START = Date.parse('2026-01-01T12:00:00Z');
const at = (minutes: number): string => new Date(START + minutes * 60_000).toISOString();
const now = (minutes: number): Date => new Date(START + minutes * 60_000);
const lastOf = (digest: string): { last: { digest: string } } => ({ last: { digest } });

/** What a row knows after these, told at these minutes by a host whose clock is right. */
function heard(...told: (Told & { at: string })[]): News {
  let news = NO_NEWS;
  for (const each of told)
    ({ news } = hear({ news }, each, new Date(Math.max(Date.parse(each.at), START + 3_600_000))));
  return news;
}

describe('what a trigger says of a tag', () => {
  test('the later time counts, in whichever order they come', () => {
    const early = { digest: A, at: at(1) };
    const late = { digest: B, at: at(2) };
    for (const order of [
      [early, late],
      [late, early],
    ])
      expect(heard(...order).tag).toEqual({ digest: B, at: at(2) });
  });

  test('a timestamp in the future counts as now', () => {
    const { news } = hear({}, { digest: A, at: at(600) }, now(1));
    expect(news.tag).toEqual({ digest: A, at: at(1) });
    expect(hear({ news }, { digest: B, at: at(2) }, now(2)).news.tag?.digest).toBe(B);
  });

  test('the host whose clock is an hour slow takes the newest for the newest', () => {
    const before = heard({ digest: A, at: at(50) });
    const { news } = hear({ news: before }, { digest: B, at: at(60) }, now(0));
    expect(news.tag?.digest).toBe(B);
    expect(hear({ news }, { digest: A, at: at(50) }, now(0)).news.tag?.digest).toBe(B);
  });

  test('the same digest at the same time is known; the same digest pushed again is not', () => {
    const news = heard({ digest: A, at: at(1) });
    expect(hear({ news }, { digest: A, at: at(1) }, now(2)).isKnown).toBe(true);
    expect(hear({ news }, { digest: A, at: at(2) }, now(2)).isKnown).toBe(false);
  });

  test('an older event is known only if its digest is', () => {
    const news = heard({ digest: B, at: at(2) });
    expect(hear({ news }, { digest: A, at: at(1) }, now(3)).isKnown).toBe(false);
    expect(hear({ news, ...lastOf(A) }, { digest: A, at: at(1) }, now(3)).isKnown).toBe(true);
  });

  test('an event that comes again takes a tag nowhere from where a run has seen it since', () => {
    // No event reported the push of B, and a run has read it.
    const moved = answered(heard({ digest: A, at: at(1) }), A, B, now(5));
    expect(hear({ news: moved, ...lastOf(B) }, { digest: A, at: at(1) }, now(6))).toEqual({
      news: moved,
      isKnown: true,
    });
  });

  test('a deletion that is told late does not delete what was pushed after it', () => {
    const news = heard({ digest: A, at: at(1) }, { digest: A, at: at(3) });
    expect(hear({ news }, { digest: A, deleted: true, at: at(2) }, now(4))).toEqual({ news, isKnown: true });
  });

  test('without a time nothing is kept, and it is new', () => {
    expect(hear({}, { digest: A }, now(1))).toEqual({ news: NO_NEWS, isKnown: false });
    expect(hear({}, {}, now(1))).toEqual({ news: NO_NEWS, isKnown: false });
  });

  test('a manifest that is deleted is gone only from the tag that named it last', () => {
    const news = heard({ digest: A, at: at(1) }, { digest: A, deleted: true, at: at(5) });
    expect(news.tag).toEqual({ digest: A, deleted: true, at: at(1) });
    // Moved before the deletion, and reported after it.
    expect(hear({ news }, { digest: B, at: at(3) }, now(6)).news.tag).toEqual({ digest: B, at: at(3) });
    expect(heard({ digest: B, at: at(1) }, { digest: A, deleted: true, at: at(5) }).tag).toEqual({
      digest: B,
      at: at(1),
    });
  });
});

describe('what a tag reads', () => {
  test('a digest that was answered is late while the news names another', () => {
    const news = heard({ digest: A, at: at(1) }, { digest: B, at: at(2) });
    expect(lateTag({ news, ...lastOf(A) }, A, now(3))).toMatchObject({ digest: A, named: { digest: B, at: at(2) } });
    expect(lateTag({ news, ...lastOf(A) }, B, now(3))).toBeUndefined();
  });

  test('any other digest counts at once', () => {
    const news = heard({ digest: B, at: at(2) });
    expect(lateTag({ news, ...lastOf(A) }, C, now(3))).toBeUndefined();
    expect(lateTag({}, C, now(3))).toBeUndefined();
    expect(lateTag(lastOf(A), A, now(3))).toBeUndefined();
  });

  test('a digest that was replaced lately is late, unless the news names it', () => {
    const news = answered(heard({ digest: B, at: at(2) }), A, B, now(3));
    expect(lateTag({ news, ...lastOf(B) }, A, now(4))).toMatchObject({ digest: A, replacedAt: at(3) });
    const back = hear({ news }, { digest: A, at: at(5) }, now(5)).news;
    expect(lateTag({ news: back, ...lastOf(B) }, A, now(6))).toBeUndefined();
    // Two hosts' clocks may be an hour apart.
    expect(lateTag({ news, ...lastOf(B) }, A, now(70))).toBeDefined();
    expect(lateTag({ news, ...lastOf(B) }, A, now(80))).toBeUndefined();
  });

  test('an older event than the news names what was replaced', () => {
    const { news } = hear({ news: heard({ digest: B, at: at(2) }) }, { digest: C, at: at(1) }, now(3));
    expect(lateTag({ news, ...lastOf(B) }, C, now(4))).toMatchObject({ digest: C });
  });

  test('what was waited for in vain is waited for no more', () => {
    const news = answered(heard({ digest: A, at: at(1) }, { digest: B, at: at(2) }), undefined, A, now(3));
    const after = believed(news, A);
    expect(lateTag({ news: after, ...lastOf(A) }, A, now(20))).toBeUndefined();
    expect([isAnsweredBy(news, A), isAnsweredBy(after, A)]).toEqual([false, true]);
    // It comes after all.
    expect(lateTag({ news: after, ...lastOf(A) }, B, now(21))).toBeUndefined();
  });
});

describe('a run that read a digest', () => {
  test('leaves a push open that it did not read', () => {
    const news = answered(heard({ digest: B, at: at(2) }), undefined, A, now(3));
    expect(isAnsweredBy(news, A)).toBe(false);
    expect(lateTag({ news, ...lastOf(A) }, A, now(4))).toMatchObject({ named: { digest: B } });
  });

  test('that no event reported, after one that was reported: the tag has moved, and does not go back to what the news named', () => {
    const told = answered(heard({ digest: A, at: at(1) }), undefined, A, now(2));
    const news = answered(told, A, B, now(30));
    expect(isAnsweredBy(news, B)).toBe(true);
    expect(lateTag({ news, ...lastOf(B) }, B, now(31))).toBeUndefined();
    expect(lateTag({ news, ...lastOf(B) }, A, now(31))).toMatchObject({ replacedAt: at(30) });
    // The event comes after all.
    expect(hear({ news, ...lastOf(B) }, { digest: B, at: at(20) }, now(32)).news.tag).toEqual({
      digest: B,
      at: at(20),
    });
  });

  test('after a deletion was reported: it was pushed again', () => {
    const news = answered(heard({ digest: A, at: at(1) }, { deleted: true, at: at(2) }), A, A, now(3));
    expect(news.tag).toEqual({ digest: A, at: new Date(Date.parse(at(2)) + 1).toISOString(), seen: true });
    // The deletion is told again.
    expect(hear({ news, ...lastOf(A) }, { deleted: true, at: at(2) }, now(4))).toEqual({ news, isKnown: true });
  });
});

describe('what a trigger says of referrers', () => {
  const digest = (nth: number): string => `sha256:${String(nth).padStart(64, '0')}`;

  test('the newest twenty are named, and all are counted', () => {
    const all = Array.from({ length: 30 }, (_, nth) => ({ referrer: digest(nth), at: at(nth) }));
    const news = heard(...all.toReversed(), ...all.slice(-20));
    expect(news.referrers.map((each) => each.digest)).toEqual(all.slice(-20).map(({ referrer }) => referrer));
    expect(news.referrerCount).toBe(30);
  });

  test('what a digest tag names replaces what it named', () => {
    const tag = `sha256-${'a'.repeat(64)}.sig`;
    const news = heard(
      { referrer: A, referrerTag: tag, at: at(1) },
      { referrer: B, at: at(2) },
      { referrer: C, referrerTag: tag, at: at(3) },
    );
    expect(news.referrers.map((each) => each.digest)).toEqual([B, C]);
  });
});
