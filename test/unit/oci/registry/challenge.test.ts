import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parseChallenges } from '../../../../src/oci/registry/challenge.js';
import { cpuTimer } from '../../../support/cpu-timer.js';

function parsed(header: string): [string, Record<string, string>][] {
  return parseChallenges(header).map(({ scheme, parameters }) => [scheme, Object.fromEntries(parameters)]);
}

describe('challenges', () => {
  test.each<[string, string, [string, Record<string, string>][]]>([
    [
      "ACR's",
      'Bearer realm="https://r.azurecr.io/oauth2/token",service="r.azurecr.io",scope="repository:a/b:pull,push",error="invalid_token"',
      [
        [
          'bearer',
          {
            realm: 'https://r.azurecr.io/oauth2/token',
            service: 'r.azurecr.io',
            scope: 'repository:a/b:pull,push',
            error: 'invalid_token',
          },
        ],
      ],
    ],
    ['a bare scheme', 'Negotiate', [['negotiate', {}]]],
    [
      'an opaque word',
      'Negotiate YII==, Basic realm="x"',
      [
        ['negotiate', {}],
        ['basic', { realm: 'x' }],
      ],
    ],
    [
      'several in one header, commas in quotes',
      'Basic realm="a, b", Bearer realm="https://x/t?a=1,2", scope="r:a:pull,push"',
      [
        ['basic', { realm: 'a, b' }],
        ['bearer', { realm: 'https://x/t?a=1,2', scope: 'r:a:pull,push' }],
      ],
    ],
    [
      'spaces, empty elements, unquoted values',
      ' ,, Bearer  realm = https ,service=s , ,charset=UTF-8',
      [['bearer', { realm: 'https', service: 's', charset: 'UTF-8' }]],
    ],
    ['escapes', String.raw`Basic realm="a\"b\\c"`, [['basic', { realm: String.raw`a"b\c` }]]],
    ['a name that comes twice: the first counts', 'Bearer realm="a",REALM="b"', [['bearer', { realm: 'a' }]]],
    [
      'a quote that never ends: what came before counts',
      'Basic realm="x", Bearer realm="https://',
      [
        ['basic', { realm: 'x' }],
        ['bearer', {}],
      ],
    ],
    ['nothing', '', []],
    ['no challenge at all', '=,"', []],
  ])('%s', (_, header, expected) => {
    expect(parsed(header)).toEqual(expected);
  });

  const name = fc.stringMatching(/^[a-z][a-z0-9_-]{0,12}$/);
  const value = fc.string({ maxLength: 40 });
  const quote = (text: string): string => `"${text.replaceAll(/[\\"]/g, String.raw`\$&`)}"`;
  const challenge = fc.record({
    scheme: name,
    parameters: fc.uniqueArray(fc.tuple(name, value), { selector: ([key]) => key, maxLength: 5 }),
  });

  test('a generated header is parsed to the same challenges', () => {
    fc.assert(
      fc.property(fc.array(challenge, { maxLength: 5 }), (challenges) => {
        const header = challenges
          .map(({ scheme, parameters }) =>
            `${scheme} ${parameters.map(([key, text]) => `${key}=${quote(text)}`).join(', ')}`.trim(),
          )
          .join(', ');
        expect(parsed(header)).toEqual(
          challenges.map(({ scheme, parameters }) => [scheme, Object.fromEntries(parameters)]),
        );
      }),
      { numRuns: 300 },
    );
  });

  test('any text is parsed in a short time', () => {
    fc.assert(
      fc.property(
        fc.string({ maxLength: 500, unit: fc.constantFrom(...Array.from('aB="\\, \t;~/Bearer')) }),
        (header) => {
          expect(Array.isArray(parseChallenges(header))).toBe(true);
        },
      ),
      { numRuns: 300 },
    );
    const cpuMs = cpuTimer();
    for (const header of [','.repeat(16_000), 'a='.repeat(8000), `x y="${'\\"'.repeat(8000)}`, 'a '.repeat(8000)])
      parseChallenges(header);
    expect(cpuMs()).toBeLessThan(2000);
  });
});
