import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { poisonEnvelope } from '../../../src/messages/poison.js';
import { openMessage, retryEnvelope } from '../../../src/messages/retry.js';
import { propertyRuns } from '../../support/property-runs.js';

const HOUR_MS = 3_600_000;
const start = new Date('2026-05-01T00:00:00.000Z');
// A field __proto__ is refused (hostile-jobs.test.ts), but fast-check often generates one.
const json = fc.jsonValue({ maxDepth: 3 }).filter((value) => !JSON.stringify(value).includes('"__proto__":'));

describe('retryEnvelope', () => {
  test('keeps the first id and time, and counts the attempts', () => {
    const message = { operation: 'promote' };
    const first = retryEnvelope(JSON.stringify(message), { messageId: 'm1', insertedAt: start, now: start });
    expect(first).toMatchObject({
      delaySeconds: 30,
      retry: { firstMessageId: 'm1', firstAt: start.toISOString(), attempt: 1 },
    });
    const later = new Date(start.getTime() + 60_000);
    const second = retryEnvelope(first?.text, { messageId: 'm2', insertedAt: later, now: later });
    expect(second).toMatchObject({
      delaySeconds: 60,
      retry: { firstMessageId: 'm1', firstAt: start.toISOString(), attempt: 2 },
    });
    expect(openMessage(second?.text)).toMatchObject({ message, retry: second?.retry });
  });

  test('pauses grow to 15 minutes and the message is given up after a day', () => {
    let now = start;
    let text: string | undefined = '{"a":1}';
    const pauses: number[] = [];
    while (text !== undefined) {
      const next = retryEnvelope(text, { messageId: 'm', insertedAt: now, now });
      text = next?.text;
      if (next === undefined) break;
      pauses.push(next.delaySeconds);
      now = new Date(now.getTime() + next.delaySeconds * 1000);
    }
    expect(pauses.slice(0, 7)).toEqual([30, 60, 120, 240, 480, 900, 900]);
    expect(Math.max(...pauses)).toBe(900);
    const elapsed = now.getTime() - start.getTime();
    expect(elapsed).toBeLessThanOrEqual(24 * HOUR_MS);
    expect(elapsed).toBeGreaterThan(23 * HOUR_MS);
  });

  test('a message that is too large when wrapped is given up', () => {
    const seen = { messageId: 'm', insertedAt: start, now: start };
    expect(retryEnvelope({ a: 'x'.repeat(48 * 1024 - 200) }, seen)).toBeDefined();
    expect(retryEnvelope({ a: 'x'.repeat(48 * 1024 - 20) }, seen)).toBeUndefined();
  });

  test('any message is unchanged after any number of retries', () => {
    const message = json.filter((value) => typeof value !== 'string');
    fc.assert(
      fc.property(message, fc.integer({ min: 1, max: 5 }), (value, times) => {
        let text = JSON.stringify(value);
        for (let count = 0; count < times; count += 1) {
          text = retryEnvelope(text, { messageId: `m${count}`, insertedAt: start, now: start })?.text ?? '';
        }
        const opened = openMessage(text);
        expect(opened.message).toEqual(JSON.parse(JSON.stringify(value)));
        expect(opened.retry).toMatchObject({ attempt: times, firstMessageId: 'm0' });
      }),
    );
  });
});

describe('poisonEnvelope', () => {
  const poison = { code: 'EVENT_INVALID', reason: 'id: missing' };

  test('keeps the original', () => {
    const original = { eventType: 'x', data: null };
    const { text, document } = poisonEnvelope({ ...poison, original });
    expect(document).toBeUndefined();
    expect(JSON.parse(text)).toEqual({ ...poison, original });
    expect(JSON.parse(poisonEnvelope({ ...poison, original: JSON.stringify(original) }).text)).toEqual({
      ...poison,
      original,
    });
    expect(JSON.parse(poisonEnvelope({ ...poison, original: 'no json' }).text)).toMatchObject({ original: 'no json' });
    expect(JSON.parse(poisonEnvelope({ ...poison, original: undefined }).text)).toEqual({
      ...poison,
      original: null,
    });
  });

  test('a large original becomes a document', () => {
    const original = { text: 'ä'.repeat(30_000) };
    const { text, document } = poisonEnvelope({ ...poison, original });
    expect(Buffer.byteLength(text)).toBeLessThan(1024);
    expect(JSON.parse(Buffer.from(document?.bytes ?? []).toString())).toEqual(original);
    expect(JSON.parse(text)).toEqual({ ...poison, originalDocument: document?.name });
    expect(document?.name).toMatch(/^[0-9a-f]{64}\.json$/);
  });

  test('a secret is removed', () => {
    const original = { operation: 'copy', password: 'hunter2!', source: 'me:hunter2!@a.io/b:v1', keep: 'this' };
    const { text } = poisonEnvelope({ ...poison, original });
    expect(text).not.toContain('hunter2');
    expect(JSON.parse(text)).toMatchObject({ original: { operation: 'copy', keep: 'this' } });
    expect(poisonEnvelope({ ...poison, original: 'see https://me:hunter2!@a.io/' }).text).not.toContain('hunter2');
  });

  test('always fits into a message and keeps the reason', () => {
    const size = fc.integer({ min: 0, max: 60_000 });
    fc.assert(
      fc.property(size, fc.string({ unit: 'binary', maxLength: 3000 }), json, (length, reason, value) => {
        const original = { filler: 'x'.repeat(length), value };
        const { text, document } = poisonEnvelope({ code: 'A', reason, original });
        expect(Buffer.byteLength(text)).toBeLessThanOrEqual(48 * 1024);
        const read = JSON.parse(text);
        expect(read.code).toBe('A');
        expect(read.reason).toBe(reason.slice(0, 2000));
        expect(read.originalDocument).toBe(document?.name);
      }),
      { numRuns: propertyRuns(50) },
    );
  });
});
