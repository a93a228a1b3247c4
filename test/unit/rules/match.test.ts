import fc from 'fast-check';
import { describe, expect, test } from '@jest/globals';
import { matchesGlobs, destinationOf, writesTo, matchRules, subjectOfDigestTag } from '../../../src/rules/match.js';
import { promotionId } from '../../../src/rules/rule.js';
import { rule } from '../../support/rules.fixture.js';

const registry = 'r.azurecr.io';
const HEX = 'a'.repeat(64);

describe('globs', () => {
  test.each([
    [['samples/**'], 'samples/a/b', true],
    [['samples/**'], 'samples', false],
    [['samples/*'], 'samples/a/b', false],
    [['**'], 'a/b/c', true],
    [['*'], 'v1.0.0-rc.1', true],
    [['v*'], 'latest', false],
    [['samples/**', '!samples/tmp/**'], 'samples/tmp/x', false],
    [['samples/**', '!samples/tmp/**'], 'samples/x', true],
    [['samples/**', '!samples/tmp/**', 'samples/tmp/keep'], 'samples/tmp/keep', true],
    [['!dev/**'], 'prod/x', true],
    [['!dev/**'], 'dev/x', false],
    [['a'], 'A', false],
  ])('%j on %s gives %s', (globs, text, expected) => {
    expect(matchesGlobs(globs, text)).toBe(expected);
  });
});

describe('matching', () => {
  test('names the nearest rule and its first failed condition', () => {
    const rules = [
      rule({ name: 'elsewhere', source: { registry: 'other.azurecr.io', repositories: ['**'] } }),
      rule({ name: 'versions', source: { registry, repositories: ['samples/**'], tags: ['v*'] } }),
    ];
    expect(matchRules(rules, { registry, repository: 'samples/a', tag: 'latest' })).toEqual({
      rules: [],
      nearest: 'rule versions: tag latest is not in v*',
    });
    expect(matchRules([], { registry, repository: 'a', tag: 'b' }).nearest).toBe('there are no rules');
  });

  test("a rule's own destination is never part of its source", () => {
    const all = rule({ source: { registry, repositories: ['**'] } });
    expect(matchRules([all], { registry, repository: 'app', tag: 'v1' }).rules).toHaveLength(1);
    expect(matchRules([all], { registry, repository: 'staging/app', tag: 'v1' }).rules).toHaveLength(0);
    expect(matchRules([all], { registry, repository: 'staging', tag: 'v1' }).rules).toHaveLength(1);
  });

  test.each(['', '.sig', '.att', '.sbom'])('a digest tag%s matches no rule, and its subject is known', (ending) => {
    const tag = `sha256-${HEX}${ending}`;
    expect(matchRules([rule()], { registry, repository: 'samples/a', tag }).rules).toHaveLength(0);
    expect(subjectOfDigestTag(tag)).toBe(`sha256:${HEX}`);
  });

  test('writesTo is true for every repository that a template produces', () => {
    const segment = fc.stringMatching(/^[a-z][a-z0-9]{0,8}$/);
    const repository = fc.array(segment, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/'));
    const template = fc.constantFrom('staging/{repository}', '{repository}/copy', 'one', 'a/{repository}/b');
    fc.assert(
      fc.property(repository, template, (name, path) => {
        const each = rule({ destination: { reference: `${registry}/${path}:{tag}` } });
        const written = destinationOf(each, { repository: name, tag: 'v1' });
        expect(writesTo(each, written.registry, written.repository)).toBe(true);
        expect(writesTo(each, 'other.azurecr.io', written.repository)).toBe(false);
      }),
    );
  });

  test('a promotion id depends on rule and source tag only', () => {
    const source = { registry, repository: 'a', tag: 'b' };
    expect(promotionId('x', source)).toBe(promotionId('x', { ...source }));
    expect(promotionId('x', source)).not.toBe(promotionId('y', source));
    expect(promotionId('x', source)).not.toBe(promotionId('x', { ...source, tag: 'c' }));
    expect(promotionId('x', { registry, repository: 'a/b', tag: 'c' })).not.toBe(
      promotionId('x', { registry, repository: 'a', tag: 'b/c' }),
    );
  });
});
