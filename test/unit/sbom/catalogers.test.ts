import { describe, expect, test } from '@jest/globals';
import { gzipped, layerOf, npmPackage, sbomOf, type Entry } from '../../support/sbom-image.js';
import { ndbDatabase, simpleHeader, sqliteDatabase } from '../../support/rpm-databases.js';
import { END, file } from './raw-tar.js';

async function read(...entries: Entry[]): Promise<{ purls: string[]; gaps: string[] }> {
  const { purls, gaps } = await sbomOf([await layerOf(...entries)]);
  return { purls, gaps };
}

const DEBIAN_12: Entry = ['etc/os-release', 'ID=debian\nVERSION_ID="12"\n'];
const paragraph = (name: string, status: string, version = '1.0-1'): string =>
  `Package: ${name}\n${status}Architecture: amd64\nVersion: ${version}\n`;

describe('dpkg', () => {
  test.each([
    ['install ok installed', true],
    ['hold ok installed', true],
    ['install ok triggers-pending', true],
    ['install ok triggers-awaited', true],
    ['install ok unpacked', true],
    ['install ok half-configured', true],
    ['install reinstreq half-installed', false],
    ['deinstall ok config-files', false],
    ['purge ok not-installed', false],
  ])('a package in the state %s is listed: %s', async (status, listed) => {
    const { purls } = await read(['var/lib/dpkg/status', paragraph('bash', `Status: ${status}\n`)]);
    expect(purls).toEqual(listed ? ['pkg:deb/debian/bash@1.0-1?arch=amd64'] : []);
  });

  test('images without dpkg have one file for each package, and checksum files are ignored', async () => {
    const { purls, gaps } = await read(
      ['var/lib/dpkg/status.d/base', paragraph('base-files', '', '12.4+deb12u10')],
      ['var/lib/dpkg/status.d/base.md5sums', 'd41d8cd98f00b204e9800998ecf8427e  usr/share/x\n'],
      ['var/lib/dpkg/status.d/tzdata', paragraph('tzdata', '', '2:2025b-0+deb12u1')],
      ['usr/lib/os-release', 'ID="debian"\nVERSION_ID="12"\n'],
      ['etc/os-release', { type: 'symlink', linkname: '../usr/lib/os-release' }],
    );
    expect(purls).toEqual([
      'pkg:deb/debian/base-files@12.4+deb12u10?arch=amd64&distro=debian-12',
      'pkg:deb/debian/tzdata@2:2025b-0+deb12u1?arch=amd64&distro=debian-12',
    ]);
    expect(gaps).toEqual([]);
  });

  test('one package in two architectures is listed twice', async () => {
    const { purls } = await read(DEBIAN_12, [
      'var/lib/dpkg/status',
      `${paragraph('libc6', 'Status: install ok installed\n')}\n${paragraph('libc6', 'Status: install ok installed\n').replace('amd64', 'i386')}`,
    ]);
    expect(purls).toEqual([
      'pkg:deb/debian/libc6@1.0-1?arch=amd64&distro=debian-12',
      'pkg:deb/debian/libc6@1.0-1?arch=i386&distro=debian-12',
    ]);
  });

  test('fields may have any case and order, continuation lines and Windows line ends', async () => {
    const text =
      'version: 2\r\nPACKAGE: odd\r\nDescription: first\r\n Package: no\r\n .\r\n\tVersion: 9\r\nstatus: install ok installed\r\n\r\n';
    expect((await read(['var/lib/dpkg/status', text])).purls).toEqual(['pkg:deb/debian/odd@2']);
  });

  test('an entry without name or version is a gap', async () => {
    const { purls, gaps } = await read([
      'var/lib/dpkg/status',
      `Package: x\nStatus: install ok installed\n\nVersion: 1\nStatus: install ok installed\n\n${paragraph('y', 'Status: install ok installed\n')}`,
    ]);
    expect(purls).toEqual(['pkg:deb/debian/y@1.0-1?arch=amd64']);
    expect(gaps).toEqual(['dpkg: 2 entries without name or version (var/lib/dpkg/status)']);
  });

  test('only the database of the image itself is read', async () => {
    const { purls } = await read(
      ['var/lib/dpkg/status-old', paragraph('old', 'Status: install ok installed\n')],
      ['srv/chroot/var/lib/dpkg/status', paragraph('other', 'Status: install ok installed\n')],
    );
    expect(purls).toEqual([]);
  });

  test('a large database that is marked as executable is read completely', async () => {
    const packages = Array.from({ length: 4000 }, (_, index) =>
      paragraph(`p${index}`, 'Status: install ok installed\n'),
    );
    const content = packages.join('\n');
    expect(content.length).toBeGreaterThan(256 * 1024);
    const bytes = Buffer.concat([
      file({ name: 'var/lib/dpkg/status', bytes: [[100, Buffer.from('0000755\0')]] }, content),
      END,
    ]);
    expect((await sbomOf([gzipped(bytes)])).counts).toEqual({ deb: 4000 });
  });
});

describe('rpm and apk', () => {
  test('a database to which several paths lead is listed once', async () => {
    const { purls, gaps } = await read(
      ['etc/os-release', 'ID=fedora\nVERSION_ID=43\n'],
      ['usr/lib/sysimage/rpm/rpmdb.sqlite', sqliteDatabase([simpleHeader('bash', '5.3', '2.fc43')])],
      ['usr/lib/sysimage/rpm/rpmdb.sqlite-wal', ''],
      ['var/lib/rpm', { type: 'symlink', linkname: '../../usr/lib/sysimage/rpm' }],
    );
    expect(purls).toEqual(['pkg:rpm/fedora/bash@5.3-2.fc43?distro=fedora-43']);
    expect(gaps).toEqual([]);
  });

  test('the database of the top layer counts', async () => {
    const database = (...names: string[]): Entry => [
      'usr/lib/sysimage/rpm/Packages.db',
      ndbDatabase(names.map((name) => simpleHeader(name))),
    ];
    const layers = [await layerOf(database('old', 'kept')), await layerOf(database('kept', 'new'))];
    expect((await sbomOf(layers)).purls).toEqual(['pkg:rpm/redhat/kept@1.0-1', 'pkg:rpm/redhat/new@1.0-1']);
  });

  test('a database behind a merged /usr is listed', async () => {
    const { purls, gaps } = await read(
      ['usr/lib/apk/db/installed', 'P:busybox\nV:1.37.0-r30\nA:x86_64\n\n'],
      ['lib', { type: 'symlink', linkname: 'usr/lib' }],
      ['etc/os-release', 'ID=wolfi\nVERSION_ID=20230201\n'],
    );
    expect(purls).toEqual(['pkg:apk/wolfi/busybox@1.37.0-r30?arch=x86_64&distro=wolfi-20230201']);
    expect(gaps).toEqual([]);
  });

  test('changes in a write-ahead log are a gap', async () => {
    const log = Buffer.alloc(5000);
    log.writeUInt32BE(0x377f0682);
    const { gaps } = await read(
      ['var/lib/rpm/rpmdb.sqlite', sqliteDatabase([simpleHeader('bash')])],
      ['var/lib/rpm/rpmdb.sqlite-wal', log],
    );
    expect(gaps).toEqual(['rpm: changes that are not merged into the database (var/lib/rpm/rpmdb.sqlite-wal)']);
  });
});

describe('os-release', () => {
  const status: Entry = ['var/lib/dpkg/status', paragraph('a', 'Status: install ok installed\n')];
  test.each([
    ['ubuntu', 'NAME="Ubuntu"\nID=ubuntu\nVERSION_ID="24.04"\n', 'ubuntu', '&distro=ubuntu-24.04'],
    ['one in single quotes', "ID='kali'\nVERSION_ID='2025.1'\n", 'kali', '&distro=kali-2025.1'],
    ['a rolling release', 'ID=debian\n# no VERSION_ID\n', 'debian', ''],
    ['nothing of use', 'hello\n', 'debian', ''],
    ['a name that is none', 'ID="../../x y"\n', 'debian', ''],
  ])('%s decides the namespace and the distro of each package', async (_, text, vendor, qualifier) => {
    expect((await read(status, ['etc/os-release', text])).purls).toEqual([
      `pkg:deb/${vendor}/a@1.0-1?arch=amd64${qualifier}`,
    ]);
  });

  test('the file in etc takes precedence over usr/lib in any layer', async () => {
    const lower = await layerOf(status, ['etc/os-release', 'ID=ubuntu\nVERSION_ID=22.04\n']);
    const upper = await layerOf(['usr/lib/os-release', 'ID=debian\nVERSION_ID=13\n']);
    expect((await sbomOf([lower, upper])).purls).toEqual(['pkg:deb/ubuntu/a@1.0-1?arch=amd64&distro=ubuntu-22.04']);
  });
});

describe('npm', () => {
  test('folders that are not packages are not listed', async () => {
    const { purls } = await read(
      npmPackage('node_modules', 'x', '1.0.0'),
      npmPackage('node_modules/@scope', 'x', '1.0.0'),
      npmPackage('node_modules/a/dist/esm', 'x', '1.0.0'),
      npmPackage('node_modules/.cache/x', 'x', '1.0.0'),
      npmPackage('node_modules/.package', 'x', '1.0.0'),
      npmPackage('not_node_modules/x', 'x', '1.0.0'),
      npmPackage('node_modules/@scope/a/lib', 'x', '1.0.0'),
      ['node_modules/a/package.json5', '{}'],
      ['node_modules/a/old-package.json', '{"name":"x","version":"1.0.0"}'],
    );
    expect(purls).toEqual([]);
  });

  test('folders that are packages are listed', async () => {
    const { purls } = await read(
      npmPackage('node_modules/a', 'a', '1.0.0'),
      npmPackage('node_modules/.pnpm/b@1.0.0/node_modules/b', 'b', '1.0.0'),
      npmPackage('opt/deep/er/node_modules/@c/d/node_modules/@e/f', '@e/f', '1.0.0'),
      npmPackage('node_modules/alias', 'real-name', '1.0.0'),
    );
    expect(purls).toEqual(['pkg:npm/a@1.0.0', 'pkg:npm/b@1.0.0', 'pkg:npm/real-name@1.0.0', 'pkg:npm/%40e/f@1.0.0']);
  });

  test.each([
    ['is not JSON', '{', 'a package.json that is not JSON'],
    ['is empty', '', 'a package.json that is not JSON'],
    ['is a list', '[]', 'a package.json without a usable name or version'],
    ['has no version', '{"name":"a"}', 'a package.json without a usable name or version'],
    ['has a scope and no name', '{"name":"@a/","version":"1"}', 'a package.json without a usable name or version'],
    ['has a number for a name', '{"name":1,"version":"1"}', 'a package.json without a usable name or version'],
    [
      'has a name without end',
      JSON.stringify({ name: 'x'.repeat(2000), version: '1' }),
      'a package.json without a usable name or version',
    ],
  ])('a package.json that %s is a gap', async (_, text, gap) => {
    expect(await read(['node_modules/a/package.json', text])).toEqual({
      purls: [],
      gaps: [`npm: ${gap} (node_modules/a/package.json)`],
    });
  });

  test('a byte order mark and __proto__ do no harm', async () => {
    const { purls, gaps } = await read(
      ['node_modules/a/package.json', '\ufeff{"name":"a","version":"1.0.0"}'],
      ['node_modules/b/package.json', '{"__proto__":{"name":"b","version":"1"},"constructor":1}'],
    );
    expect(purls).toEqual(['pkg:npm/a@1.0.0']);
    expect(gaps).toHaveLength(1);
  });
});

describe('an ecosystem without a cataloger', () => {
  test.each([
    ['pacman', 'var/lib/pacman/local/bash-5.2-1/desc'],
    ['opkg', 'usr/lib/opkg/status'],
    ['portage', 'var/db/pkg/app-misc/jq-1.7/PF'],
    ['nix', 'nix/var/nix/db/db.sqlite'],
    ['packed Python eggs', 'usr/lib/python3/site-packages/a-1.0-py3.11.egg'],
    ['the cache of Yarn', 'app/.yarn/cache/a-npm-1.0.0-0-10.zip'],
    ['conda', 'opt/conda/conda-meta/numpy-1.26.json'],
    ['the cache of Yarn', 'root/.yarn/berry/cache/a-npm-1.0.0-0-10.zip'],
    ["Yarn Plug'n'Play", 'app/.pnp.cjs'],
    ['gems that Bundler took from Git', 'usr/local/bundle/bundler/gems/rails-0123456789ab/rails.gemspec'],
    ['Perl', 'usr/local/lib/perl5/site_perl/5.38.2/x86_64-linux-gnu/auto/JSON/PP/.packlist'],
    ['R', 'usr/local/lib/R/site-library/ggplot2/Meta/package.rds'],
    ['LuaRocks', 'usr/local/lib/luarocks/rocks-5.1/lpeg/1.1.0-1/rock_manifest'],
    ['Erlang', 'opt/rabbitmq/plugins/rabbit-3.13.0/ebin/rabbit.app'],
    ['Erlang', 'opt/rabbitmq/plugins/cowlib-2.12.1.ez'],
    ['Python archives', 'app/service.pex'],
    ['Electron archives', 'opt/app/resources/app.asar'],
    ['PHP archives', 'usr/local/bin/wp-cli.phar'],
  ])('%s: %s', async (ecosystem, path) => {
    expect((await read([path, 'content'])).gaps).toEqual([`no reader for ${ecosystem} (${path})`]);
  });

  test.each(['usr/lib/R/library/base/Meta/package.rds', 'usr/lib64/erlang/lib/kernel-9/ebin/kernel.app'])(
    'is not reported for %s, which is a file of a package of the distribution',
    async (path) => {
      expect(await read([path, 'content'])).toEqual({ purls: [], gaps: [] });
    },
  );

  test.each(['opt/jar', 'opt/METADATA', 'rpmdb.sqlite', 'a.jar/', 'x.gemspec'])(
    'is not reported for %s',
    async (path) => {
      const entry: Entry = path.endsWith('/') ? [path, { type: 'directory' }] : [path, 'content'];
      expect((await read(entry)).gaps).toEqual([]);
    },
  );
});
