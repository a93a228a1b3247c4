import { describe, expect, test } from '@jest/globals';
import { parseTarget } from '../../../../src/cli/connection/target.js';

const DIGEST = `sha256:${'a'.repeat(64)}`;

describe('in a registry', () => {
  test.each([
    ['localhost:5000/app', undefined, []],
    ['localhost:5000/app:v1', 'v1', ['v1']],
    [`localhost:5000/app@${DIGEST}`, DIGEST, []],
    [`localhost:5000/app:v1@${DIGEST}`, DIGEST, []],
  ])('%s is read', (text, tagOrDigest, tags) => {
    const target = parseTarget(text, { isLayout: false });
    expect(target.kind).toBe('registry');
    expect(target.tagOrDigest).toBe(tagOrDigest);
    expect(target.tags).toEqual(tags);
  });

  test('several tags are read if the command allows them', () => {
    const target = parseTarget('localhost:5000/app:v1,v2,latest', { isLayout: false, severalTags: true });
    expect(target.tags).toEqual(['v1', 'v2', 'latest']);
    expect(() => parseTarget('localhost:5000/app:v1,v2', { isLayout: false })).toThrow(
      expect.objectContaining({ code: 'REFERENCE_INVALID' }),
    );
  });

  test.each([
    `localhost:5000/app:v1@${DIGEST},v2`,
    `localhost:5000/app@${DIGEST},v2`,
    'localhost:5000/app:v1,',
    'localhost:5000/app:v1,-x',
    'localhost:5000/app,v1',
    'app:v1',
    '',
  ])('%j is refused', (text) => {
    expect(() => parseTarget(text, { isLayout: false, severalTags: true })).toThrow(
      expect.objectContaining({ code: 'REFERENCE_INVALID' }),
    );
  });
});

describe('in a layout', () => {
  test.each([
    ['dir', 'dir', undefined],
    ['dir:v1', 'dir', 'v1'],
    ['./a/b.tar:v1', './a/b.tar', 'v1'],
    [`dir@${DIGEST}`, 'dir', DIGEST],
    ['/a:b/c', '/a:b/c', undefined],
    ...(process.platform === 'win32' ? [] : [['l:v1', 'l', 'v1'] as const]),
    ['C:\\layout', 'C:\\layout', undefined],
    ['C:\\layout:v1', 'C:\\layout', 'v1'],
    ['dir@host:v1', 'dir@host', 'v1'],
  ])('%s is read', (text, path, tagOrDigest) => {
    const target = parseTarget(text, { isLayout: true });
    expect(target).toMatchObject({ kind: 'oci-layout', path });
    expect(target.tagOrDigest).toBe(tagOrDigest);
  });

  test.each(['', ':v1', ':v1,v2', `@${DIGEST}`])('%j has no path, and is refused', (text) => {
    expect(() => parseTarget(text, { isLayout: true, severalTags: true })).toThrow(
      expect.objectContaining({ code: 'REFERENCE_INVALID' }),
    );
  });

  test('any text is a tag, and an empty one is none', () => {
    const of = (text: string): string[] => parseTarget(text, { isLayout: true, severalTags: true }).tags;
    expect(of('dir:a,b@c,d!')).toEqual(['a', 'b@c', 'd!']);
    expect(parseTarget('dir:', { isLayout: true })).toEqual({
      kind: 'oci-layout',
      text: 'dir:',
      path: 'dir',
      tags: [],
    });
    for (const text of ['dir:a,', 'dir,a', 'dir:,a', `dir@${DIGEST},a`]) {
      expect(() => of(text)).toThrow(expect.objectContaining({ code: 'REFERENCE_INVALID' }));
    }
    const layout = { isLayout: false, layoutPath: 'dir', severalTags: true };
    expect(() => parseTarget(`${DIGEST},a`, layout)).toThrow(expect.objectContaining({ code: 'REFERENCE_INVALID' }));
  });

  test('with --oci-layout-path, the whole target is the tag', () => {
    expect(parseTarget('example.com/app:v1', { isLayout: false, layoutPath: 'dir' })).toMatchObject({
      kind: 'oci-layout',
      path: 'dir',
      tagOrDigest: 'example.com/app:v1',
    });
  });
});
