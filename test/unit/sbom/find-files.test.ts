import fc from 'fast-check';
import { expect, test } from '@jest/globals';
import { CATALOGERS } from '../../../src/sbom/catalogers/index.js';
import { unreadEcosystem } from '../../../src/sbom/catalogers/unread.js';
import { ChangeWriter, readChanges } from '../../../src/sbom/layers/changes.js';
import { FileTree } from '../../../src/sbom/layers/file-tree.js';
import { cleanPath } from '../../../src/sbom/layers/path.js';
import { findFiles } from '../../../src/sbom/worker/find-files.js';
import { propertyRuns } from '../../support/property-runs.js';

interface Made {
  kind: 'file' | 'directory' | 'symlink' | 'hardlink' | 'removal';
  path: string;
  target: string;
}

/** Names of which paths consist that catalogers want, that nobody reads, or that nobody wants. */
const NAMES = ['a', 'lib', 'usr', 'apk', 'db', 'installed', 'node_modules', 'package.json', 'x.phar', 'é', '.wh.a'];
const path = fc.array(fc.constantFrom(...NAMES), { minLength: 1, maxLength: 5 }).map((names) => names.join('/'));
const target = fc.oneof(
  path,
  path.map((each) => `/${each}`),
  path.map((each) => `../${each}`),
);
const random = fc.record<Made>({
  kind: fc.constantFrom('file', 'file', 'file', 'directory', 'symlink', 'hardlink', 'removal'),
  path,
  target,
});
/** Entries of which several together lead to a wanted file. */
const LEADING: Made[] = [
  { kind: 'file', path: 'a', target: '' },
  { kind: 'file', path: 'a/db/installed', target: '' },
  { kind: 'file', path: 'a/apk/db/installed', target: '' },
  { kind: 'directory', path: 'lib/apk/db', target: '' },
  { kind: 'symlink', path: 'a', target: 'lib/apk' },
  { kind: 'symlink', path: 'a', target: '/lib' },
  { kind: 'symlink', path: 'lib/apk/db', target: '../../a' },
  { kind: 'hardlink', path: 'lib/apk/db/installed', target: 'a' },
  { kind: 'hardlink', path: 'a', target: 'lib/apk/db/installed' },
  { kind: 'removal', path: '.wh.a', target: '' },
];
const made = fc.oneof(fc.constantFrom(...LEADING), random);
const layers = fc.array(fc.array(made, { maxLength: 12 }), { minLength: 1, maxLength: 3 });

function isWanted(each: string): boolean {
  return CATALOGERS.some((cataloger) => cataloger.wants(each)) || unreadEcosystem(each) !== undefined;
}

/** What is found, with the layers' own notes or with a note on every file. */
function found(image: readonly Made[][], isNoted: (path: string) => boolean): object {
  const tree = new FileTree({ onMemory: () => {}, onStep: () => {}, onDoubt: () => {} });
  for (const [layer, entries] of image.entries()) {
    const changes = new ChangeWriter();
    for (const each of entries) changes.add(each.kind, each.path, each.target, isNoted(each.path));
    tree.apply(layer, { changes: changes.bytes(), hasOpaque: false });
  }
  const seen = { isRead: (file: number) => file % 2 === 0, programOf: (file: number) => (file % 3 ? undefined : {}) };
  const { wanted, others, programs, unread, unresolved } = findFiles(tree, seen, CATALOGERS, 1000);
  const named = (all: readonly { cataloger: { name: string } }[]): object[] =>
    all.map(({ cataloger, ...each }) => Object.assign(each, { name: cataloger.name }));
  return { wanted: named(wanted), others: [...others], programs, unread, unresolved: named(unresolved) };
}

test('the same files are found as if every path were compared with what catalogers want', () => {
  fc.assert(
    fc.property(layers, (image) => {
      expect(found(image, isWanted)).toEqual(found(image, () => true));
    }),
    { numRuns: propertyRuns(5000, 500) },
  );
});

test('a file behind a link, and one with a second name, are found where nobody wants their first path', () => {
  const wanted = (image: Made[][]): unknown => found(image, isWanted);
  const apk = { kind: 'symlink', path: 'a', target: 'lib/apk' } as const;
  const behind = { kind: 'file', path: 'a/db/installed', target: '' } as const;
  expect(wanted([[apk, behind]])).toMatchObject({ wanted: [{ path: 'lib/apk/db/installed', name: 'apk' }] });
  expect(wanted([[apk], [behind]])).toMatchObject({ wanted: [{ path: 'lib/apk/db/installed', name: 'apk' }] });
  const first = { kind: 'file', path: 'a', target: '' } as const;
  const second = { kind: 'hardlink', path: 'lib/apk/db/installed', target: 'a' } as const;
  expect(wanted([[first], [second]])).toMatchObject({ wanted: [{ path: 'lib/apk/db/installed', name: 'apk' }] });
});

test('a layer that was read with its changes gives the entries that were written', () => {
  const name = fc.oneof(fc.constantFrom(...NAMES, 'é'.repeat(70), '\udcff', 'z'.repeat(200)), fc.string());
  const changed = fc.record({
    kind: fc.constantFrom('file' as const, 'directory' as const, 'symlink' as const, 'other' as const),
    path: fc.array(name, { minLength: 1, maxLength: 4 }).map((names) => cleanPath(names.join('/').toWellFormed())),
    target: name.map((each) => each.toWellFormed()),
    isNoted: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(changed, { maxLength: 20 }), (all) => {
      const entries = all.filter((each) => each.path !== '');
      const writer = new ChangeWriter();
      for (const each of entries) writer.add(each.kind, each.path, each.target, each.isNoted);
      const read = [...readChanges(writer.bytes())].length;
      const paths: object[] = [];
      for (const { index, kind, names, isNoted, target: link } of readChanges(writer.bytes()))
        paths.push({ index, kind, path: names.join('/'), isNoted, target: link });
      expect(read).toBe(entries.length);
      expect(paths).toEqual(
        entries.map(({ target: link, ...each }, index) => ({
          index,
          ...each,
          target: each.kind === 'symlink' ? link : '',
        })),
      );
    }),
    { numRuns: propertyRuns(3000, 200) },
  );
});
