import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { encodeKey, pageToken, parsePageToken } from '../../../src/azure/table-keys.js';

describe('encodeKey', () => {
  test('leaves plain names unchanged and encodes characters that tables refuse', () => {
    expect(encodeKey('c90zwcyv4g-0abc.9')).toBe('c90zwcyv4g-0abc.9');
    expect(encodeKey('sign a/b\\c#d?\u0001_ä')).toBe('sign_20a_2fb_5cc_23d_3f_01_5f_c3_a4');
  });

  test('gives valid keys, and different names have different keys', () => {
    const name = fc.string({ unit: 'binary', maxLength: 400 });
    fc.assert(
      fc.property(name, name, (a, b) => {
        expect(encodeKey(a)).toMatch(/^[A-Za-z0-9._-]{0,300}$/);
        expect(encodeKey(a) === encodeKey(b)).toBe(a === b);
      }),
    );
  });

  test('gives different keys for long names with the same start, and for a name that looks like such a key', () => {
    const long = encodeKey('x'.repeat(1000));
    expect(encodeKey(`${'x'.repeat(999)}y`)).not.toBe(long);
    expect(encodeKey(long)).not.toBe(long);
  });
});

describe('parsePageToken', () => {
  test('returns the key of a token that pageToken made', () => {
    expect(parsePageToken(pageToken('at|00abc|id_2f'), 'at|')).toBe('at|00abc|id_2f');
  });

  test.each([
    ['another list', pageToken('open|x'), 'at|'],
    ['a quote', pageToken("at|' or '1"), 'at|'],
    ['no base64url', '***', ''],
    ['padding', `${pageToken('abc')}=`, ''],
    ['nothing', '', ''],
    ['too long', pageToken('a'.repeat(513)), ''],
  ])('refuses %s', (_, token, prefix) => {
    expect(() => parsePageToken(token, prefix)).toThrow(expect.objectContaining({ code: 'PAGE_TOKEN_INVALID' }));
  });
});
