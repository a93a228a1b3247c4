import { describe, expect, test } from '@jest/globals';
import { listEnd, promotionListOf, runListOf } from '../../../src/azure/row-lists.js';
import { encodeKey, encodePrefix, hashKey, REPOSITORY_CHARACTERS } from '../../../src/azure/table-keys.js';
import { invertedTime } from '../../../src/rows/open-run.js';

describe('the key range for a filter', () => {
  test.each([
    [{ repository: 'samples/app' }, 'repository|samples_2fapp|'],
    [{ repository: 'samples/app', tag: 'v1' }, 'repository|samples_2fapp|v1|'],
    [{ repository: 'samples/app', globs: { tag: 'v1.*' } }, 'repository|samples_2fapp|v1.'],
    [{ globs: { repository: 'samples/**' }, rule: 'staging' }, 'repository|samples_2f'],
    [{ globs: { repository: '*/app' }, rule: 'staging' }, 'rule|staging|'],
    [{ globs: { rule: 'st*' }, state: 'failed' as const }, 'state|failed|'],
    [{}, 'at|'],
  ])('promotions with %j are in %s', (filter, list) => {
    expect(promotionListOf(filter)).toBe(list);
  });

  test.each([
    [{ digest: 'sha256:abcdef' }, 'digest|sha256_3aabcdef'],
    [{ digest: `sha256:${'a'.repeat(64)}` }, `digest|sha256_3a${'a'.repeat(64)}|`],
    [{ kind: 'job' as const, state: 'failed' as const }, 'job|'],
    [{ kind: 'job' as const, repository: 'a' }, `repository|${hashKey('a')}|`],
    [{ kind: 'promotion' as const, state: 'failed' as const }, 'outcome|failed|'],
  ])('runs with %j are in %s', (filter, list) => {
    expect(runListOf(filter)).toBe(list);
  });

  test('the key of a long repository name starts with the prefix of every glob that matches it', () => {
    const repository = `team_1/${'x'.repeat(240)}`;
    const key = encodeKey(repository, REPOSITORY_CHARACTERS);
    expect(key).toHaveLength(REPOSITORY_CHARACTERS);
    for (const length of [1, 5, 7, 100, 247]) {
      expect(key.startsWith(encodePrefix(repository.slice(0, length), REPOSITORY_CHARACTERS))).toBe(true);
    }
  });

  test('a list sorted newest first ends at `since`, another list is read to its end', () => {
    const since = '2026-11-30T10:00:00.000Z';
    for (const list of ['at|', 'open|', 'job|', 'rule|staging|', 'outcome|failed|', 'state|working|']) {
      expect(listEnd(list, since)).toBe(`${list}${invertedTime(Date.parse(since))}~`);
      expect(listEnd(list, undefined)).toBeUndefined();
    }
    for (const list of ['repository|a|', 'repository|a', 'destination|a|', 'digest|a|']) {
      expect(listEnd(list, since)).toBeUndefined();
    }
  });
});
