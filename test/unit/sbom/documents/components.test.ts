import { describe, expect, test } from '@jest/globals';
import type { LocatedPackage } from '../../../../src/sbom/catalogers/cataloger.js';
import { listComponents, type Component } from '../../../../src/sbom/documents/components.js';

const LAYER = `sha256:${'a'.repeat(64)}` as const;
const LIMITS = { licensesPerPackage: 100, dependencies: 1000 };

function pack(type: string, name: string, more: Partial<LocatedPackage> = {}): LocatedPackage {
  return { type, name, version: '1', layer: LAYER, path: 'var/lib/db', ...more };
}

function listed(packages: LocatedPackage[], distro?: { id: string; versionId?: string }): Component[] {
  return listComponents(packages, distro, LIMITS).components;
}

describe('the package URL of an operating system package', () => {
  test.each<[string, string, string | undefined, string | undefined, Partial<LocatedPackage>, string]>([
    [
      'deb',
      'debian',
      '12',
      'libssl3',
      { source: { name: 'openssl' } },
      'pkg:deb/debian/libssl3@1?distro=debian-12&upstream=openssl',
    ],
    [
      'deb',
      'ubuntu',
      '24.04',
      'bash',
      { qualifiers: { arch: 'amd64' } },
      'pkg:deb/ubuntu/bash@1?arch=amd64&distro=ubuntu-24.04',
    ],
    ['apk', 'alpine', '3.20.1', 'musl', {}, 'pkg:apk/alpine/musl@1?distro=alpine-3.20.1'],
    ['apk', 'wolfi', undefined, 'glibc', {}, 'pkg:apk/wolfi/glibc@1'],
    ['rpm', 'rhel', '9.4', 'dbus', { qualifiers: { epoch: '1' } }, 'pkg:rpm/redhat/dbus@1?distro=rhel-9.4&epoch=1'],
    ['rpm', 'azurelinux', '3.0', 'zlib', {}, 'pkg:rpm/azurelinux/zlib@1?distro=azurelinux-3.0'],
    ['rpm', 'opensuse-leap', '15.6', 'zypper', {}, 'pkg:rpm/opensuse/zypper@1?distro=opensuse-leap-15.6'],
    [
      'rpm',
      'sles',
      '15.5',
      'libz1',
      { source: { name: 'zlib', version: '1.2-3' } },
      'pkg:rpm/suse/libz1@1?distro=sles-15.5&upstream=zlib%401.2-3',
    ],
  ])('%s of %s %s', (type, id, versionId, name = '', more, purl) => {
    const distro = { id, ...(versionId !== undefined && { versionId }) };
    expect(listed([pack(type, name, more)], distro)[0]?.purl).toBe(purl);
  });

  test('without os-release has the namespace of its format', () => {
    expect(listed([pack('deb', 'a'), pack('apk', 'b'), pack('rpm', 'c')]).map(({ purl }) => purl)).toEqual([
      'pkg:apk/alpine/b@1',
      'pkg:deb/debian/a@1',
      'pkg:rpm/redhat/c@1',
    ]);
  });
});

describe('stated dependencies', () => {
  function edges(packages: LocatedPackage[]): Record<string, string[]> {
    const components = listed(packages);
    const names = new Map(components.map(({ ref }) => [ref, ref.replace(/^pkg:/, '')]));
    return Object.fromEntries(
      components
        .filter(({ dependsOn }) => dependsOn.length > 0)
        .map(({ ref, dependsOn }) => [names.get(ref) ?? '', dependsOn.map((each) => names.get(each) ?? '')]),
    );
  }

  test('lead to installed packages, by their names and by what they provide', () => {
    expect(
      edges([
        pack('apk', 'curl', { dependsOn: ['so:libz.so.1', 'musl', 'ca-certificates'] }),
        pack('apk', 'zlib', { provides: ['so:libz.so.1'], path: 'lib/apk/db/other' }),
        pack('apk', 'musl'),
        pack('deb', 'ca-certificates'),
      ]),
    ).toEqual({ 'apk/alpine/curl@1': ['apk/alpine/musl@1', 'apk/alpine/zlib@1'] });
  });

  test('prefer the own architecture', () => {
    const of = (arch: string, more: Partial<LocatedPackage>): Partial<LocatedPackage> => ({
      qualifiers: { arch },
      ...more,
    });
    expect(
      edges([
        pack('deb', 'libc6', of('amd64', {})),
        pack('deb', 'libc6', of('i386', {})),
        pack('deb', 'bash', of('i386', { dependsOn: ['libc6'] })),
        pack('deb', 'tzdata', of('all', { dependsOn: ['libc6'] })),
      ]),
    ).toEqual({
      'deb/debian/bash@1?arch=i386': ['deb/debian/libc6@1?arch=i386'],
      'deb/debian/tzdata@1?arch=all': ['deb/debian/libc6@1?arch=amd64', 'deb/debian/libc6@1?arch=i386'],
    });
  });

  test('of npm packages lead to the nearest node_modules folder, as in Node.js', () => {
    const at = (folder: string, name: string, version: string, ...dependsOn: string[]): LocatedPackage =>
      pack('npm', name, { version, path: `${folder}node_modules/${name}/package.json`, dependsOn });
    expect(
      edges([
        at('', 'far', '1'),
        at('app/', 'a', '1', 'b', 'c', 'far', 'absent'),
        at('app/', 'b', '1', 'c'),
        at('app/node_modules/a/', 'c', '2', 'b'),
        at('app/', 'c', '1'),
        at('other/', 'b', '9'),
      ]),
    ).toEqual({
      'npm/a@1': ['npm/b@1', 'npm/c@2', 'npm/far@1'],
      'npm/b@1': ['npm/c@1'],
      'npm/c@2': ['npm/b@1'],
    });
  });

  test('of Python packages stay in one folder of packages, and names are compared in their normal form', () => {
    const at = (folder: string, name: string, version: string, ...dependsOn: string[]): LocatedPackage =>
      pack('pypi', name, { version, path: `${folder}/${name}.dist-info/METADATA`, dependsOn });
    expect(
      edges([
        at('one', 'Flask', '1', 'zope_interface'),
        at('one', 'zope.interface', '1'),
        at('two', 'zope.interface', '2'),
      ]),
    ).toEqual({ 'pypi/flask@1': ['pypi/zope.interface@1'] });
  });

  test('more than the limit are refused', () => {
    const many = [
      pack('apk', 'a', { dependsOn: Array.from({ length: 9 }, (_, index) => `b${index}`) }),
      ...Array.from({ length: 9 }, (_, index) => pack('apk', `b${index}`)),
    ];
    expect(() => listComponents(many, undefined, { ...LIMITS, dependencies: 8 })).toThrow(
      expect.objectContaining({ code: 'SBOM_LIMIT', details: { name: 'dependencies', limit: 8 } }),
    );
    expect(listComponents(many, undefined, { ...LIMITS, dependencies: 9 }).components).toHaveLength(10);
  });
});

test('a package in several places is listed once, whatever the order in which its places were found', () => {
  const places = [
    pack('npm', 'a', { path: 'x/node_modules/a/package.json', licenses: ['MIT'], supplier: 'X' }),
    pack('npm', 'a', { path: 'b/node_modules/a/package.json', licenses: ['ISC'] }),
    pack('npm', 'a', { path: 'b/node_modules/a/package.json', licenses: ['ISC'] }),
  ];
  const [component, ...others] = listed(places);
  expect(others).toEqual([]);
  expect(component?.occurrences.map(({ path }) => path)).toEqual([
    'b/node_modules/a/package.json',
    'x/node_modules/a/package.json',
  ]);
  expect(component?.licenses).toEqual(['ISC', 'MIT']);
  expect(listed(places.toReversed())).toEqual([component]);
});

test('hashes of a wrong length are left out', () => {
  const hashes: LocatedPackage['hashes'] = [
    { algorithm: 'SHA-1', hex: 'a'.repeat(40) },
    { algorithm: 'SHA-256', hex: 'a'.repeat(40) },
    { algorithm: 'MD5', hex: 'x'.repeat(32) },
  ];
  expect(listed([pack('apk', 'a', { hashes })])[0]?.hashes).toEqual([{ algorithm: 'SHA-1', hex: 'a'.repeat(40) }]);
});
