import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { LocatedPackage, Reading } from '../../../src/sbom/catalogers/cataloger.js';
import { dotnetSdkCataloger } from '../../../src/sbom/catalogers/dotnet-sdk.js';
import { dotnetCataloger } from '../../../src/sbom/catalogers/dotnet.js';
import { layerFile } from '../../support/layer-file.js';
import { propertyRuns } from '../../support/property-runs.js';

const sha512 = `sha512-${Buffer.alloc(64, 1).toString('base64')}`;
const DEPS = {
  runtimeTarget: { name: '.NETCoreApp,Version=v8.0/linux-x64', signature: '' },
  targets: {
    '.NETCoreApp,Version=v8.0': {},
    '.NETCoreApp,Version=v8.0/linux-x64': {
      'shop/1.0.0': {
        dependencies: { 'Newtonsoft.Json': '13.0.3', Core: '1.0.0', Meta: '2.0.0', 'Build.Only': '1.0.0' },
        runtime: { 'shop.dll': {} },
      },
      'Newtonsoft.Json/13.0.3': { runtime: { 'lib/net6.0/Newtonsoft.Json.dll': { assemblyVersion: '13.0.0.0' } } },
      'Core/1.0.0': { runtime: { 'Core.dll': {} }, resources: { 'de/Core.resources.dll': { locale: 'de' } } },
      'Meta/2.0.0': { dependencies: { Native: '3.0.0' } },
      'Native/3.0.0': {
        runtimeTargets: { 'runtimes/linux-x64/native/libn.so': { rid: 'linux-x64', assetType: 'native' } },
        runtime: { 'lib/netstandard2.0/_._': {} },
      },
      'Build.Only/1.0.0': { compile: { 'lib/net8.0/Build.dll': {} } },
      'Compiled/1.0.0': { compileOnly: true, runtime: { 'Compiled.dll': {} } },
      'runtimepack.Microsoft.NETCore.App.Runtime.linux-x64/8.0.1': { native: { 'libcoreclr.so': {} } },
    },
  },
  libraries: {
    'shop/1.0.0': { type: 'project', serviceable: false, sha512: '' },
    'Newtonsoft.Json/13.0.3': { type: 'package', serviceable: true, sha512 },
    'Core/1.0.0': { type: 'project' },
    'Meta/2.0.0': { type: 'package', sha512: 'sha512-short' },
    'Native/3.0.0': { type: 'package' },
    'Build.Only/1.0.0': { type: 'package' },
    'Compiled/1.0.0': { type: 'package' },
    'System.Runtime/8.0.0.0': { type: 'referenceassembly' },
    'runtimepack.Microsoft.NETCore.App.Runtime.linux-x64/8.0.1': { type: 'runtimepack' },
  },
};

async function find(
  ...files: [path: string, content: unknown][]
): Promise<{ packages: LocatedPackage[]; readings: Reading[] }> {
  const found = await Promise.all(
    files.map(async ([path, content]) => ({
      path,
      layer: 'sha256:0' as const,
      reading: await dotnetCataloger.read(layerFile(typeof content === 'string' ? content : JSON.stringify(content))),
    })),
  );
  const { packages = [] } = dotnetCataloger.combine?.(found, { has: () => false }) ?? {};
  return { packages, readings: found.map(({ reading }) => reading) };
}

describe('a deps.json file', () => {
  test('lists packages and projects that leave files behind, and what they own', async () => {
    const { packages } = await find(['app/shop.deps.json', DEPS]);
    const at = { path: 'app/shop.deps.json', layer: 'sha256:0' };
    expect(packages).toEqual([
      {
        type: 'generic',
        name: 'shop',
        version: '1.0.0',
        dependsOn: ['Newtonsoft.Json', 'Core', 'Meta', 'Build.Only'],
        owns: ['./shop.dll', './shop'],
        ...at,
      },
      {
        type: 'nuget',
        name: 'Newtonsoft.Json',
        version: '13.0.3',
        hashes: [{ algorithm: 'SHA-512', hex: '01'.repeat(64) }],
        owns: ['./Newtonsoft.Json.dll'],
        ...at,
      },
      { type: 'generic', name: 'Core', version: '1.0.0', owns: ['./Core.dll', './de/Core.resources.dll'], ...at },
      { type: 'nuget', name: 'Meta', version: '2.0.0', dependsOn: ['Native'], ...at },
      { type: 'nuget', name: 'Native', version: '3.0.0', owns: ['./runtimes/linux-x64/native/libn.so'], ...at },
      {
        type: 'nuget',
        name: 'Microsoft.NETCore.App.Runtime.linux-x64',
        version: '8.0.1',
        owns: ['./libcoreclr.so'],
        ...at,
      },
    ]);
  });

  test.each([
    ['is not JSON', '{', 'a file that is not JSON'],
    ['nests too deep', '['.repeat(20_000), 'a file that nests too deep'],
    ['is a list', [], 'a deps.json file without targets and libraries'],
    ['has no targets', { libraries: {} }, 'a deps.json file without targets and libraries'],
  ])('that %s is a gap', async (_, content, detail) => {
    expect((await find(['a.deps.json', content])).readings).toEqual([
      { gaps: [{ cause: 'database-unreadable', detail }] },
    ]);
  });

  test('with libraries without a version names how many', async () => {
    const { packages, readings } = await find([
      'a.deps.json',
      { targets: {}, libraries: { x: {}, 'y/': {}, '/1': {} } },
    ]);
    expect(packages).toEqual([]);
    expect(readings[0]?.gaps).toEqual([
      { cause: 'entry-skipped', detail: '3 libraries that are too long or too many, or have no name or version' },
    ]);
  });

  test('whose libraries depend on each other in a circle is read', async () => {
    const libraries = { 'a/1': { type: 'package' }, 'b/1': { type: 'package' } };
    const targets = {
      t: { 'a/1': { dependencies: { b: '1' } }, 'b/1': { dependencies: { a: '1' }, native: { 'b.so': {} } } },
    };
    expect((await find(['a.deps.json', { targets, libraries }])).packages.map(({ name }) => name)).toEqual(['a', 'b']);
  });

  test('with 20,000 libraries that all depend on one is read in time', async () => {
    const names = Array.from({ length: 20_000 }, (_, index) => `lib${index}/1`);
    const libraries = Object.fromEntries(names.map((name) => [name, { type: 'package' }]));
    const target = Object.fromEntries(
      names.map((name) => [name, { dependencies: { lib0: '1' }, native: { 'x.so': {} } }]),
    );
    const { packages } = await find(['a.deps.json', { targets: { target }, libraries }]);
    expect(packages).toHaveLength(20_000);
  });
});

describe('a shared framework', () => {
  const folder = 'usr/share/dotnet/shared/Microsoft.NETCore.App/8.0.1';
  const version = `${'0'.repeat(40)}\n8.0.1\n`;
  const owns = ['../../../dotnet', '../../../host/fxr/8.0.1/'];
  const at = { layer: 'sha256:0', type: 'nuget', version: '8.0.1' };

  test('is known by its folder, and owns all of it if it has no list', async () => {
    expect((await find([`${folder}/.version`, version])).packages).toEqual([
      { ...at, name: 'Microsoft.NETCore.App', owns: ['./', ...owns], path: `${folder}/.version` },
    ]);
    const aspnet = 'opt/dotnet/shared/Microsoft.AspNetCore.App/8.0.1/.version';
    expect((await find([aspnet, version])).packages).toEqual([
      { ...at, name: 'Microsoft.AspNetCore.App', owns: ['./'], path: aspnet },
    ]);
  });

  test('is listed beside the package with its files', async () => {
    const key = 'Microsoft.NETCore.App.Runtime.linux-x64/8.0.1';
    const path = `${folder}/Microsoft.NETCore.App.deps.json`;
    const deps = {
      targets: { t: { [key]: { native: { 'libcoreclr.so': {} } } } },
      libraries: { [key]: { type: 'package' } },
    };
    const name = 'Microsoft.NETCore.App.Runtime.linux-x64';
    expect((await find([`${folder}/.version`, version], [path, deps])).packages).toEqual([
      { ...at, name, owns: ['./libcoreclr.so'], path },
      { ...at, name: 'Microsoft.NETCore.App', owns, dependsOn: [name], path },
    ]);
  });
});

describe('an SDK', () => {
  const folder = 'usr/share/dotnet';
  const layer = 'sha256:0' as const;
  const list = async (path: string, content: string | Uint8Array): Promise<LocatedPackage[]> => {
    if (!dotnetSdkCataloger.wants(path)) throw new Error(`${path} is not wanted`);
    const reading = await dotnetSdkCataloger.read(layerFile(content));
    return dotnetSdkCataloger.combine?.([{ path, layer, reading }], { has: () => false }).packages ?? [];
  };
  const version = (text: string): string => `${'0'.repeat(40)}\n${text}\nlinux-x64\n`;
  const fileList = '\ufeff<?xml version="1.0"?>\n<FileList Name=".NET 8.0" TargetFrameworkIdentifier=".NETCoreApp">';
  const header = '// Licensed to the .NET Foundation under one or more agreements.\n';

  test('is known by its folder, and owns all of it', async () => {
    const path = `${folder}/sdk/8.0.100/.version`;
    const expected = { type: 'generic', name: 'dotnet-sdk', version: '8.0.100', owns: ['./'], path, layer };
    expect(await list(path, version('8.0.100'))).toEqual([expected]);
  });

  test.each([
    ['data/FrameworkList.xml', fileList, '../'],
    ['data/FrameworkList.xml', fileList.slice(fileList.indexOf('<FileList')), '../'],
    ['runtimes/linux-x64/native/nethost.h', header, '../../../'],
  ])('has packs, which own their folder: %s', async (file, content, owned) => {
    const path = `${folder}/packs/Microsoft.NETCore.App.Ref/8.0.1/${file}`;
    const expected = { type: 'nuget', name: 'Microsoft.NETCore.App.Ref', version: '8.0.1', owns: [owned], path, layer };
    expect(await list(path, content)).toEqual([expected]);
  });

  test.each([
    ['whose version is another', 'sdk/8.0.100/.version', version('8.0.101')],
    ['without a version', 'sdk/8.0.100/.version', '1.0\n'],
    ['that is a pack by its content', 'sdk/8.0.100/.version', fileList],
    ['that is an SDK by its content', 'packs/a/1/data/FrameworkList.xml', version('1')],
    ['with another list', 'packs/a/1/data/FrameworkList.xml', '<List/>'],
    ['with a name that is too long', `packs/${'a'.repeat(1001)}/1/data/FrameworkList.xml`, fileList],
  ])('%s is none', async (_, path, content) => {
    expect(await list(`${folder}/${path}`, content)).toEqual([]);
  });

  test('is found by the names of its files, which are read without failing', async () => {
    for (const path of ['sdk/.version', 'sdk/a/b/.version', 'xsdk/1/.version', 'packs/a/data/FrameworkList.xml'])
      expect({ path, wants: dotnetSdkCataloger.wants(path) }).toEqual({ path, wants: false });
    const content = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc
        .tuple(fc.constantFrom(version('1'), fileList, header), fc.string())
        .map((parts) => Buffer.from(parts.join(''))),
    );
    const paths = [`${folder}/sdk/1/.version`, `${folder}/packs/a/1/data/FrameworkList.xml`] as const;
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...paths), content, async (path, bytes) => {
        const once = await list(path, bytes);
        expect(await list(path, bytes)).toEqual(once);
        for (const found of once) expect([found.name, found.version]).not.toContain('');
      }),
      { numRuns: propertyRuns(20_000, 200) },
    );
  });
});

test('files are found by their names', () => {
  const found = ['a.deps.json', 'x/a.deps.json', 'dotnet/shared/Microsoft.NETCore.App/8.0.1/.version'];
  for (const path of found) expect(dotnetCataloger.wants(path)).toBe(true);
  for (const path of ['deps.json', 'app/.version', 'a.deps.json.bak']) expect(dotnetCataloger.wants(path)).toBe(false);
});

test('any JSON in the place of targets and libraries is read without an error, twice with the same result', async () => {
  const key = fc.constantFrom('a/1', 'b/2', 'a', '__proto__', 'runtimepack.x/1');
  const type = fc.constantFrom('package', 'project', 'runtimepack', 1);
  const target = fc.oneof(
    fc.jsonValue({ maxDepth: 1 }),
    fc.dictionary(fc.constantFrom('dependencies', 'runtime', 'native'), fc.jsonValue({ maxDepth: 1 })),
  );
  const json = fc.record({
    libraries: fc.dictionary(
      key,
      fc.oneof(fc.jsonValue({ maxDepth: 1 }), fc.record({ type, sha512: fc.jsonValue({ maxDepth: 1 }) })),
    ),
    targets: fc.dictionary(
      fc.constantFrom('t', 'u'),
      fc.oneof(fc.jsonValue({ maxDepth: 1 }), fc.dictionary(key, target)),
    ),
  });
  await fc.assert(
    fc.asyncProperty(json, async (content) => {
      const once = await find(['a.deps.json', content]);
      expect(await find(['a.deps.json', content])).toEqual(once);
      expect(structuredClone(once)).toEqual(once);
    }),
    { numRuns: propertyRuns(20_000, 200) },
  );
});
