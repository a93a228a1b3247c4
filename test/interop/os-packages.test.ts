import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { existsSync } from 'node:fs';
import { copyFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { Cataloger, FoundFile, LocatedPackage, Reading } from '../../src/sbom/catalogers/cataloger.js';
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
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'rpm-'));
    const module = await must(go, ['mod', 'download', '-json', 'github.com/knqyf263/go-rpmdb@v0.1.1']);
    samples = join((JSON.parse(module) as { Dir: string }).Dir, 'pkg');
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
  ])(
    '%s: the packages and files are those that rpm lists',
    async (sample, count) => {
      const database = join(await mkdtemp(join(folder, 'db-')), basename(sample));
      await copyFile(join(samples, 'testdata', sample), database);
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
