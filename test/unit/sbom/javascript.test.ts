import { describe, expect, test } from '@jest/globals';
import { layerOf, npmPackage, sbomOf, type Entry } from '../../support/sbom-image.js';

async function purls(...entries: Entry[]): Promise<{ purls: string[]; gaps: string[] }> {
  const { purls, gaps } = await sbomOf([await layerOf(...entries)]);
  return { purls, gaps };
}
const manifest = (folder: string, more: object): Entry => npmPackage(folder, 'yarn', '1.22.22', more);
const LISTED = { purls: ['pkg:npm/yarn@1.22.22'], gaps: [] };

describe('a package.json outside of node_modules', () => {
  test.each<[string, object, string]>([
    ['a program', { bin: { yarn: './bin/yarn.js' } }, 'bin/yarn.js'],
    ['one program', { bin: 'bin/yarn.js' }, 'bin/yarn.js'],
    ['a main module', { main: 'lib/cli.js' }, 'lib/cli.js'],
    ['a main module without its ending', { main: './lib/cli' }, 'lib/cli.js'],
    ['a main folder', { main: 'lib' }, 'lib/index.js'],
    ['an index', {}, 'index.js'],
    ['an empty main module and an index', { main: '' }, 'index.js'],
  ])('with %s is a package, as in the images of Node', async (_, more, file) => {
    expect(await purls(manifest('opt/yarn-v1.22.22', more), [`opt/yarn-v1.22.22/${file}`, ''])).toEqual(LISTED);
  });

  test.each<[string, Entry[]]>([
    ['a program that is missing', [manifest('opt/yarn', { bin: 'bin/yarn.js' })]],
    ['no main module', [manifest('opt/yarn', { main: '' }), ['opt/yarn/other.js', '']]],
    ['a main folder without an index', [manifest('opt/yarn', { main: './lib' }), ['opt/yarn/lib/other.js', '']]],
    ['a program of others', [manifest('opt/yarn', { bin: '../other.js', main: '/x' }), ['opt/other.js', '']]],
    [
      'neither name nor version',
      [
        ['opt/package.json', '{"type":"module"}'],
        ['opt/index.js', ''],
      ],
    ],
    [
      'other content',
      [
        ['opt/package.json', '{{name}}'],
        ['opt/index.js', ''],
      ],
    ],
    [
      'a list',
      [
        ['opt/package.json', '[]'],
        ['opt/index.js', ''],
      ],
    ],
  ])('with %s is none, and no gap', async (_, entries) => {
    expect(await purls(...entries)).toEqual({ purls: [], gaps: [] });
  });

  test('owns no programs beside it', async () => {
    const elf: Entry = ['opt/yarn/tool', '\x7fELF\x02\x01\x01'];
    const { gaps } = await purls(manifest('opt/yarn', {}), ['opt/yarn/index.js', ''], elf);
    expect(gaps).toEqual(['opt/yarn/tool']);
  });

  test('to which node_modules leads is an installed package, with both places', async () => {
    const { document } = await sbomOf([
      await layerOf(
        manifest('app/packages/yarn', {}),
        ['app/packages/yarn/index.js', ''],
        ['app/node_modules/yarn', { type: 'symlink', linkname: '../packages/yarn' }],
      ),
    ]);
    const places = document.components.map(({ evidence }) => evidence.occurrences.map(({ location }) => location));
    expect(places).toEqual([['/app/node_modules/yarn/package.json', '/app/packages/yarn/package.json']]);
  });
});
