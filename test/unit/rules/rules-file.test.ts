import { describe, expect, test } from '@jest/globals';
import { PromoterError } from '../../../src/oci/index.js';
import { destinationOf, writesTo } from '../../../src/rules/match.js';
import { parseRules } from '../../../src/rules/rules-file.js';

function failure(act: () => unknown): PromoterError {
  try {
    act();
  } catch (error) {
    if (error instanceof PromoterError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

const good = {
  name: 'staging',
  source: { registry: 'r.azurecr.io', repositories: ['**'] },
  destination: { reference: 'r.azurecr.io/staging/{repository}:{tag}' },
};

describe('a rules document', () => {
  test('JSON and YAML give the same rules with the same defaults', () => {
    const yaml = `rules:
  - name: staging
    source: {registry: r.azurecr.io, repositories: ["**"]}
    destination: {reference: "r.azurecr.io/staging/{repository}:{tag}"}
`;
    expect(parseRules(yaml, 'rules.yaml')).toEqual(parseRules(JSON.stringify({ rules: [good] }), 'inline'));
    expect(parseRules(yaml, 'rules.yaml').rules[0]).toMatchObject({
      mode: 'enforce',
      existing: 'ignore',
      triggers: ['push', 'schedule'],
      sign: ['notary'],
      source: { tags: ['*'] },
    });
  });

  test.each([
    ['not YAML', '{"rules": [', /line 1/],
    ['no rules', '{}', /rules/],
    ['an unknown field', JSON.stringify({ rules: [{ ...good, sing: ['notary'] }] }), /unknown field sing/],
    ['a bad name', JSON.stringify({ rules: [{ ...good, name: 'Not Good' }] }), /rules\.0\.name/],
    ['a format that is not there yet', JSON.stringify({ rules: [{ ...good, sign: ['sigstore'] }] }), /rules\.0\.sign/],
    [
      'a destination in capitals',
      JSON.stringify({ rules: [{ ...good, destination: { reference: 'r.azurecr.io/X:{tag}' } }] }),
      /lower case/,
    ],
    [
      'an unknown placeholder',
      JSON.stringify({ rules: [{ ...good, destination: { reference: 'r.azurecr.io/{repo}:{tag}' } }] }),
      /reference: unknown placeholder \{repo\}; the placeholders are \{repository\} and \{tag\}/,
    ],
    [
      'an unknown trigger',
      JSON.stringify({ rules: [{ ...good, triggers: ['pull'] }] }),
      /triggers\.0: must be one of push, schedule/,
    ],
    ['an empty list', JSON.stringify({ rules: [{ ...good, triggers: [] }] }), /triggers: must have at least 1 entries/],
    ['two of one name', JSON.stringify({ rules: [good, good] }), /two rules are called staging/],
    [
      'a rule that is too large',
      JSON.stringify({
        rules: [{ ...good, verify: { signatures: [{ format: 'notary', trustStore: 'x'.repeat(31_000) }] } }],
      }),
      /30000/,
    ],
  ])('%s is refused', (_name, text, expected) => {
    const error = failure(() => parseRules(text, 'rules'));
    expect(error.code).toBe('RULES_INVALID');
    expect(error.message).toMatch(expected);
  });

  test('a destination without a tag gets the tag of the source', () => {
    const text = JSON.stringify({
      rules: [{ ...good, destination: { reference: 'localhost:5000/staging/{repository}' } }],
    });
    const [only] = parseRules(text, 'rules').rules;
    if (only === undefined) throw new Error('no rule');
    expect(destinationOf(only, { repository: 'a/b', tag: 'v7' })).toEqual({
      registry: 'localhost:5000',
      repository: 'staging/a/b',
      tag: 'v7',
    });
    expect(writesTo(only, 'localhost:5000', 'staging/a/b')).toBe(true);
  });

  test('all problems are reported at once', () => {
    const text = JSON.stringify({
      rules: [
        { ...good, name: 'NO' },
        { ...good, mode: 'maybe' },
      ],
    });
    expect(failure(() => parseRules(text, 'rules')).details['problems']).toHaveLength(2);
  });

  test('rules that feed each other for ever are refused, a chain of rules is accepted', () => {
    const link = (name: string, from: string, to: string): unknown => ({
      name,
      source: { registry: 'r.azurecr.io', repositories: [`${from}/**`] },
      destination: { reference: `r.azurecr.io/${to}/{repository}:{tag}` },
    });
    const chain = [link('a', 'dev', 'staging'), link('b', 'staging', 'production')];
    expect(parseRules(JSON.stringify({ rules: chain }), 'rules').rules).toHaveLength(2);
    const circle = [...chain, link('c', 'production', 'dev')];
    const error = failure(() => parseRules(JSON.stringify({ rules: circle }), 'rules'));
    expect(error.code).toBe('RULES_CYCLE');
    expect(error.message).toContain('a -> b -> c -> a');
  });
});
