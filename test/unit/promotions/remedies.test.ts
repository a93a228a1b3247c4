import { expect, test } from '@jest/globals';
import { readdirSync, readFileSync } from 'node:fs';
import { remedyFor } from '../../../src/promotions/remedies.js';

const OPTION = /(?<![\w-])--[a-z]/;

/** Every remedy of what a job works with that names an option of the command line, by its code. */
function withOptions(): [string, string][] {
  return ['oras', 'oci', 'transfer', 'evidence', 'promotions', 'operations', 'schedule'].flatMap((folder) =>
    readdirSync(`src/${folder}`, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .flatMap((name) => {
        const text = readFileSync(`src/${folder}/${name}`, 'utf8');
        return [...text.matchAll(/remedy:\s*(['"`])((?:(?!\1).)*--[a-z](?:(?!\1).)*)\1/g)].map(
          ({ index, 2: remedy = '' }): [string, string] => [
            [...text.slice(0, index).matchAll(/'([A-Z][A-Z_]+)'/g)].at(-1)?.[1] ?? '',
            remedy,
          ],
        );
      }),
  );
}

test('a remedy of the app names nothing that only a command line has', () => {
  const found = withOptions();
  expect(found.map(([code]) => code)).toEqual(
    expect.arrayContaining(['TOO_LARGE', 'PATH_OUTSIDE', 'FILE_NAME_DUPLICATE', 'REFERRER_LOST']),
  );
  for (const [code, remedy] of found) {
    if (/\baz /.test(remedy)) continue;
    expect([code, remedyFor(code, remedy)]).toEqual([code, expect.not.stringMatching(OPTION)]);
  }
  expect(remedyFor('TOO_LARGE', found.find(([code]) => code === 'TOO_LARGE')?.[1])).toMatch(/job/);
});

test('a remedy that is for anybody stays, the command line of Azure’s too', () => {
  for (const remedy of ['Push it again.', 'Unlock it (az acr repository update --write-enabled true).']) {
    expect(remedyFor('TOO_LARGE', remedy)).toBe(remedy);
  }
  expect(remedyFor('NOBODY_KNOWS_IT')).toContain('docs/reference/errors.md');
});
