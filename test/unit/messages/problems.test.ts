import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { repeatedNames } from '../../../src/messages/problems.js';

const paths = (text: string): string[] => repeatedNames(text).map(({ path }) => path);

describe('names that an object has more than once', () => {
  test.each<[string, string[]]>([
    ['{"a":1,"b":2}', []],
    ['{"a":1,"a":1}', ['a']],
    ['{ "a" : 1 , "b":{}, "a"\n:2, "a":3}', ['a', 'a']],
    ['{"a":{"b":1},"b":{"a":1},"c":[{"a":1},{"a":2}]}', []],
    ['{"a":[0,[1,{"b":[],"c":{"d":"","d":""}}]]}', ['a.1.1.c.d']],
    ['[{"a":1},{"b":"{","b":"}"}]', ['1.b']],
    [String.raw`{"a":"\\","b":"\"a\":","a":0}`, ['a']],
    [String.raw`{"\u0061":1,"a":2}`, ['a']],
    [String.raw`{"\"":1,"\u0022":2}`, ['"']],
    ['{"__proto__":1,"__proto__":2,"":0,"":1}', ['__proto__', '']],
    ['{"a":"\u2028","a\u2028":1,"a\u2028":1}', ['a\uFFFD']],
    ['"a"', []],
    ['[["a","a"],"a",[],{},1,null]', []],
  ])('in %s are %j', (text, expected) => {
    JSON.parse(text);
    expect(paths(text)).toEqual(expected);
  });

  test('serialised JSON has none, in any layout', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.nat(3), (value, indent) => {
        expect(paths(JSON.stringify(value, undefined, indent))).toEqual([]);
      }),
    );
  });

  test('a repeated name is found at any position', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.string(), fc.nat()), { maxLength: 6 }), fc.jsonValue(), (place, value) => {
        const json = JSON.stringify(value);
        const around = place.map((each): [string, string] =>
          typeof each === 'string'
            ? [`{"x":${json},${JSON.stringify(`_${each}`)}:`, `,"y":${json}}`]
            : [`[${json},`, ']'],
        );
        const start = around.map(([before]) => before).join('');
        const end = around
          .map(([, after]) => after)
          .toReversed()
          .join('');
        const text = `${start}{"n":${json},"m":${json},"n":${json}}${end}`;
        JSON.parse(text);
        const names = place.map((each) => (typeof each === 'string' ? `_${each}` : '1'));
        expect(repeatedNames(text)).toHaveLength(1);
        expect(paths(text)[0]?.endsWith('n')).toBe(true);
        expect(paths(text)[0]?.split('.').length).toBeGreaterThanOrEqual(names.length + 1);
      }),
    );
  });

  test('the longest text of any shape is checked, and at most fifty are reported', () => {
    const size = 1024 * 1024;
    const shapes = [
      `"${'\\"'.repeat(size / 2)}"`,
      `"${'x'.repeat(size)}"`,
      '['.repeat(size / 2) + ']'.repeat(size / 2),
      `[${'"",'.repeat(size / 3)}""]`,
      `{"a":"${' '.repeat(size)}"}`,
    ];
    for (const text of shapes) expect(paths(text)).toEqual([]);
    expect(paths(`{${'"a":1,'.repeat(size / 6)}"a":1}`)).toHaveLength(50);
  });
});
