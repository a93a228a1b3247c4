import { describe, expect, test } from '@jest/globals';
import { digestOf } from '../../../src/oci/index.js';
import { layerOf, npmPackage, sbomOf, type Entry } from '../../support/sbom-image.js';

const a = npmPackage('app/node_modules/a', 'a', '1.0.0');
const b = npmPackage('app/node_modules/b', 'b', '1.0.0');
const empty = (name: string): Entry => [name, ''];

/** Package URLs of an image with these layers, lowest first. */
async function purlsOf(...layers: Entry[][]): Promise<string[]> {
  const { purls } = await sbomOf(await Promise.all(layers.map((entries) => layerOf(...entries))));
  return purls.map((purl) => purl.replace('pkg:npm/', ''));
}

function status(...packages: string[]): Entry {
  const text = packages.map((name) => `Package: ${name}\nStatus: install ok installed\nVersion: 1\n`).join('\n');
  return ['var/lib/dpkg/status', text];
}

describe('files in several layers', () => {
  test.each<[string, Entry[][], string[]]>([
    ['a whiteout hides a package folder', [[a, b], [empty('app/node_modules/.wh.a')]], ['b@1.0.0']],
    ['a whiteout hides a package.json', [[a, b], [empty('app/node_modules/a/.wh.package.json')]], ['b@1.0.0']],
    ['a whiteout of a distant parent folder hides a package', [[a, b], [empty('.wh.app')]], []],
    ['a whiteout does not hide a longer name', [[a, b], [empty('app/node_modules/.wh.')]], ['a@1.0.0', 'b@1.0.0']],
    [
      'a package that is added again above a whiteout is listed',
      [[a], [empty('app/.wh.node_modules')], [a]],
      ['a@1.0.0'],
    ],
    ['a whiteout does not hide a later entry of its own layer', [[b], [empty('app/.wh.node_modules'), a]], ['a@1.0.0']],
    [
      'an opaque folder hides its content in lower layers',
      [[a], [empty('app/node_modules/.wh..wh..opq'), b]],
      ['b@1.0.0'],
    ],
    ['an opaque folder hides at any depth', [[a], [empty('app/.wh..wh..opq')]], []],
    ['an opaque root hides everything below', [[a], [empty('.wh..wh..opq'), b]], ['b@1.0.0']],
    ['markers of aufs hide nothing', [[a], [empty('app/.wh..wh.plnk'), empty('.wh..wh.aufs')]], ['a@1.0.0']],
    ['a file replaces a folder', [[a, b], [empty('app/node_modules/a')]], ['b@1.0.0']],
    ['a link replaces a folder', [[a], [['app', { type: 'symlink', linkname: 'opt' }]]], []],
    ['a folder over a folder hides nothing', [[a], [['app/node_modules/', { type: 'directory' }]]], ['a@1.0.0']],
    ['a folder replaces the file itself', [[a], [['app/node_modules/a/package.json', { type: 'directory' }]]], []],
    [
      'the version in the upper layer is listed',
      [[npmPackage('app/node_modules/a', 'a', '0.9.0')], [a], [npmPackage('app/node_modules/a', 'a', '1.1.0')]],
      ['a@1.1.0'],
    ],
    ['the later entry in one layer is used', [[npmPackage('app/node_modules/a', 'a', '0.9.0'), a]], ['a@1.0.0']],
    ['a later file in a layer replaces its folder', [[a, b, empty('app/node_modules/a')]], ['b@1.0.0']],
    ['paths are cleaned', [[a], [npmPackage('./app//x/../node_modules/a', 'a', '2.0.0')]], ['a@2.0.0']],
    [
      'a path above the root stays in the root',
      [[npmPackage('../../app/node_modules/a', 'a', '0.1.0')], [npmPackage('/app/node_modules/a', 'a', '0.2.0')]],
      ['a@0.2.0'],
    ],
  ])('%s', async (_, layers, expected) => {
    expect(await purlsOf(...layers)).toEqual(expected);
  });

  test('only the database in the topmost layer is read', async () => {
    const layers = await Promise.all([layerOf(status('old', 'both')), layerOf(status('both', 'new'))]);
    const { purls, counts } = await sbomOf(layers);
    expect(purls).toEqual(['pkg:deb/debian/both@1', 'pkg:deb/debian/new@1']);
    expect(counts).toEqual({ deb: 2 });
  });

  test('a replaced database is not read, so an error in it does not matter', async () => {
    const broken: Entry = ['app/node_modules/a/package.json', '{"name": "a"'];
    const { purls, gaps } = await sbomOf([await layerOf(broken), await layerOf(a)]);
    expect({ purls, gaps }).toEqual({ purls: ['pkg:npm/a@1.0.0'], gaps: [] });
    const reversed = await sbomOf([await layerOf(a), await layerOf(broken)]);
    expect(reversed.purls).toEqual([]);
    expect(reversed.gaps).toEqual(['npm: a package.json that is not JSON (app/node_modules/a/package.json)']);
  });

  test('a file without a cataloger is a gap only if it is visible', async () => {
    const lower = await layerOf(['var/lib/pacman/local/a/desc', '']);
    expect((await sbomOf([lower])).gaps).toEqual(['no reader for pacman (var/lib/pacman/local/a/desc)']);
    expect((await sbomOf([lower, await layerOf(empty('var/lib/pacman/.wh.local'))])).gaps).toEqual([]);
  });

  test('layers are opened once each, the largest first, also one that is listed twice', async () => {
    const small = await layerOf(empty('x'));
    const large = await layerOf(a, b);
    const { opened, purls } = await sbomOf([small, large, small]);
    expect(opened.slice(1)).toEqual([large, small].map(({ bytes }) => digestOf(bytes)));
    expect(purls).toEqual(['pkg:npm/a@1.0.0', 'pkg:npm/b@1.0.0']);
  });

  test.each<[string, Entry[][], string[], string]>([
    [
      'a whiteout of an earlier entry of its own layer, which containerd removes and overlayfs keeps',
      [[b], [a, empty('app/.wh.node_modules')]],
      [],
      'a whiteout of an earlier entry of the same layer (app/node_modules)',
    ],
    [
      'an opaque folder after a file in a folder without an entry of its own',
      [[b], [a, empty('app/.wh..wh..opq')]],
      [],
      'an opaque folder with earlier entries of the same layer (app)',
    ],
    ['a whiteout without a name', [[a], [empty('app/.wh...')]], ['a@1.0.0'], 'a whiteout without a name (app/.wh...)'],
    [
      'a file below a file of a lower layer',
      [[empty('app')], [a]],
      ['a@1.0.0'],
      'files below a path that is no folder (app)',
    ],
    [
      'a file below a symbolic link of a lower layer',
      [[['app', { type: 'symlink', linkname: 'opt' }]], [a]],
      ['a@1.0.0'],
      'files below a symbolic link of a lower layer (app)',
    ],
    [
      'a file below links in a circle',
      [
        [
          ['app', { type: 'symlink', linkname: 'opt' }],
          ['opt', { type: 'symlink', linkname: 'app' }],
        ],
        [a],
      ],
      [],
      'a path with too many symbolic links (app/node_modules/a/package.json)',
    ],
  ])('what runtimes do not agree on is a gap: %s', async (_, layers, expected, gap) => {
    const { purls, gaps, gapCounts } = await sbomOf(await Promise.all(layers.map((entries) => layerOf(...entries))));
    expect(purls.map((purl) => purl.replace('pkg:npm/', ''))).toEqual(expected);
    expect(gapCounts.map(({ cause }) => cause)).toEqual(['archive-doubtful']);
    expect(gaps).toContain(gap);
  });
});

describe('links', () => {
  const store = 'root/.store/files/00/abc';
  const link = (name: string, linkname: string): Entry => [name, { type: 'link', linkname }];
  const symlink = (name: string, linkname: string): Entry => [name, { type: 'symlink', linkname }];
  const content = '{"name":"a","version":"1.0.0"}';

  test('a hard link to a manifest of the same layer is that package', async () => {
    expect(await purlsOf([a, link('srv/node_modules/a/package.json', 'app/node_modules/a/package.json')])).toEqual([
      'a@1.0.0',
    ]);
    expect(
      await purlsOf(
        [a, link('srv/node_modules/a/package.json', './app/node_modules/a/package.json')],
        [empty('.wh.app')],
      ),
    ).toEqual(['a@1.0.0']);
  });

  test('a hard link to a skipped file makes the layer be read again', async () => {
    const layer = await layerOf(
      [store, content],
      link('app/node_modules/a/package.json', store),
      link('app/node_modules/b/package.json', 'app/node_modules/a/package.json'),
    );
    const { purls, gaps, opened, document } = await sbomOf([layer]);
    expect(purls).toEqual(['pkg:npm/a@1.0.0']);
    expect(document.components[0]?.evidence.occurrences).toHaveLength(2);
    expect(gaps).toEqual([]);
    expect(opened).toHaveLength(3);
  });

  test('a hard link to a hard link is followed', async () => {
    const layer = await layerOf(
      [store, content],
      link('root/second', store),
      link('root/third', 'root/second'),
      link('app/node_modules/a/package.json', 'root/third'),
    );
    const { purls, gaps } = await sbomOf([layer]);
    expect({ purls, gaps }).toEqual({ purls: ['pkg:npm/a@1.0.0'], gaps: [] });
  });

  test('a hard link has the content of its target at the time of the link', async () => {
    const layer = await layerOf(
      [store, content],
      link('app/node_modules/a/package.json', store),
      [store, '{"name":"a","version":"2.0.0"}'],
      link('app/node_modules/b/package.json', store),
    );
    const { purls } = await sbomOf([layer]);
    expect(purls).toEqual(['pkg:npm/a@1.0.0', 'pkg:npm/a@2.0.0']);
  });

  test('a hard link without a target is a gap, and an endless chain stops', async () => {
    const nowhere = 'npm: a hard link that leads nowhere (app/node_modules/a/package.json)';
    const { purls, gaps } = await sbomOf([await layerOf(link('app/node_modules/a/package.json', 'nowhere'))]);
    expect(purls).toEqual([]);
    expect(gaps).toEqual([nowhere]);
  });

  test('a long chain of hard links is followed with one more reading of the layer', async () => {
    const chain = Array.from({ length: 10 }, (_, index) => link(`l${index + 1}`, `l${index}`));
    const { purls, gaps, opened } = await sbomOf([
      await layerOf(['l0', content], ...chain, link('app/node_modules/a/package.json', 'l10')),
    ]);
    expect({ purls, gaps }).toEqual({ purls: ['pkg:npm/a@1.0.0'], gaps: [] });
    expect(opened).toHaveLength(3);
  });

  test('a hard link may lead to a lower layer, and through symbolic links', async () => {
    const lower = [[store, content], symlink('cache', 'root/.store')] satisfies Entry[];
    const { purls, gaps } = await sbomOf([
      await layerOf(...lower),
      await layerOf(link('app/node_modules/a/package.json', 'cache/files/00/abc')),
    ]);
    expect({ purls, gaps }).toEqual({ purls: ['pkg:npm/a@1.0.0'], gaps: [] });
  });

  const database = status('x');
  const X = 'pkg:deb/debian/x@1';
  const A = 'pkg:npm/a@1.0.0';
  test.each<[string, Entry[][], string[]]>([
    ['of the same layer', [[symlink('var/lib/dpkg', '../../db'), ['db/status', database[1]]]], [X]],
    ['written through', [[symlink('a', 'var/lib/dpkg'), ['a/status', database[1]]]], [X]],
    ['written through, with an absolute target', [[symlink('a', '/var/lib/dpkg/'), ['./a/status', database[1]]]], [X]],
    [
      'and a later layer replaces it by a folder',
      [[symlink('var', 'run'), ['run/lib/dpkg/status', database[1]]], [['var/', { type: 'directory' }]]],
      [],
    ],
    ['of an upper layer to a lower one', [[['db/status', database[1]]], [symlink('var/lib/dpkg', '/db')]], [X]],
    ['to the file itself', [[['db', database[1]], symlink('var/lib/dpkg/status', '../../../../../db')]], [X]],
    [
      'behind a link',
      [[symlink('var', 'data/var'), symlink('data/var/lib/dpkg', '../../db'), ['data/db/status', database[1]]]],
      [X],
    ],
    [
      'through a link and back',
      [
        [
          symlink('in', 'one/two'),
          symlink('var/lib/dpkg', '/in/../db'),
          ['one/db/status', database[1]],
          ['one/two/f', ''],
        ],
      ],
      [X],
    ],
    ['in a circle', [[symlink('var', 'lib'), symlink('lib', 'var'), database]], []],
    ['that leads nowhere', [[symlink('var/lib/dpkg', '/nowhere')]], []],
    ['to a folder around it', [[symlink('app/node_modules/up', '../..'), a]], [A]],
    [
      'to a package elsewhere',
      [[symlink('app/node_modules/w', '../packages/w'), npmPackage('app/packages/w', 'w', '1.0.0')]],
      ['pkg:npm/w@1.0.0'],
    ],
    [
      'to a package that is listed where it is',
      [
        [
          symlink('app/node_modules/z', '.pnpm/a@1/node_modules/a'),
          npmPackage('app/node_modules/.pnpm/a@1/node_modules/a', 'a', '1.0.0'),
        ],
      ],
      [A],
    ],
    [
      'as a node_modules folder',
      [[symlink('app/node_modules', '/srv/modules'), npmPackage('srv/modules/a', 'a', '1.0.0')]],
      [A],
    ],
    [
      'to os-release',
      [[database, symlink('etc/os-release', '../usr/lib/os-release'), ['usr/lib/os-release', 'ID=kali']]],
      ['pkg:deb/kali/x@1'],
    ],
  ])('a symbolic link %s', async (_, layers, expected) => {
    const { purls, gapCounts, document } = await sbomOf(await Promise.all(layers.map((each) => layerOf(...each))));
    expect(purls).toEqual(expected);
    for (const { evidence } of document.components) expect(evidence?.occurrences ?? [1]).toHaveLength(1);
    // Only where runtimes do not agree.
    expect(gapCounts.map(({ cause }) => cause).filter((cause) => cause !== 'archive-doubtful')).toEqual([]);
  });

  const gemspec = 'Gem::Specification.new do |s|\n  s.name = "x"\n  s.version = "1"\nend\n';
  const home = 'usr/lib/ruby/gems/3.1.0';
  test.each<[string, Entry[], string[]]>([
    [
      'to a file that the same cataloger takes for another one',
      [['usr/share/doc/x/copyright', database[1]], symlink('var/lib/dpkg/status', '/usr/share/doc/x/copyright')],
      [X],
    ],
    [
      'to a folder with such a file',
      [['usr/share/doc/x/copyright', database[1]], symlink('var/lib/dpkg/status.d', '/usr/share/doc/x')],
      [X],
    ],
    [
      'of a gemspec',
      [
        [`${home}/extensions/x/3.1.0/x-1/gem.build_complete`, gemspec],
        symlink(`${home}/specifications/x-1.gemspec`, '../extensions/x/3.1.0/x-1/gem.build_complete'),
      ],
      ['pkg:gem/x@1'],
    ],
    [
      'of a manifest to another folder',
      [npmPackage('data', 'a', '1.0.0'), symlink('opt/a/package.json', '/data/package.json'), ['opt/a/index.js', '']],
      [A],
    ],
    [
      'of the folder of a framework',
      [
        ['y/z.deps.json', '{"targets":{},"libraries":{}}'],
        symlink('opt/dotnet/shared/Microsoft.NETCore.App/8.0.0/z.deps.json', '/y/z.deps.json'),
      ],
      ['pkg:nuget/Microsoft.NETCore.App@8.0.0'],
    ],
    [
      'through one folder several times',
      [['s/status', database[1]], symlink('s/lib', '.'), symlink('s/dpkg', '.'), symlink('var', 's')],
      [X],
    ],
    [
      'through two folders that link to each other',
      [['s/status.d/x', database[1]], symlink('s/lib', '../t'), symlink('t/dpkg', '../s'), symlink('var', 's')],
      [X],
    ],
  ])('a symbolic link %s hides no package', async (_, entries, expected) => {
    const { purls, gapCounts } = await sbomOf([await layerOf(...entries)]);
    expect(purls).toEqual(expected);
    expect(gapCounts).toEqual([]);
  });

  test('the npm packages of Debian are behind links, and their layer is read once', async () => {
    const manifest = npmPackage('usr/share/nodejs/a', 'a', '1.0.0');
    const { purls, opened } = await sbomOf([await layerOf(symlink('usr/share/node_modules', 'nodejs'), manifest)]);
    expect(purls).toEqual([A]);
    // The config and the layer.
    expect(opened).toHaveLength(2);
  });

  test('a package.json to which no link leads is no package', async () => {
    const manifest = npmPackage('usr/share/nodejs/a', 'a', '1.0.0');
    const { purls, opened } = await sbomOf([await layerOf(manifest)]);
    expect(purls).toEqual([]);
    expect(opened).toHaveLength(2);
  });

  test('links that multiply each other end as a gap', async () => {
    const folders = Array.from({ length: 9 }, (_, index) => `f${index}`);
    const links = folders.flatMap((from) => folders.map((to) => symlink(`${from}/${to}`, `../${to}`)));
    const { gaps, purls } = await sbomOf([await layerOf(a, ...links)], { limits: { linkedPaths: 1000 } });
    expect(purls).toEqual([A]);
    expect(gaps).toEqual([expect.stringMatching(/^there are too many paths behind symbolic links \(f0\/f/)]);
  });
});
