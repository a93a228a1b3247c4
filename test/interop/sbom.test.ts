import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import {
  GZIP_LAYER,
  PLAIN_LAYER,
  ZSTD_LAYER,
  npmPackage,
  sbomOf,
  tarOf as archiveOf,
  type Layer,
} from '../support/sbom-image.js';
import { describeWithPeers } from '../support/peers.js';

let work: string;
beforeAll(() => {
  work = mkdtempSync(join(tmpdir(), 'sbom-interop-'));
});
afterAll(() => rmSync(work, { recursive: true, force: true }));

function tarOf(tar: string, root: string, options: string[] = []): Buffer {
  const pinned = ['--sort=name', '--owner=0', '--group=0', '--numeric-owner'];
  return execFileSync(tar, [...pinned, ...options, '-C', root, '-cf', '-', '.'], { maxBuffer: 256 * 1024 * 1024 });
}

describeWithPeers(
  'the SBOM and dpkg',
  ['dpkg', 'dpkg-deb', 'dpkg-query', 'tar'],
  ([dpkg = '', deb = '', query = '', tar = '']) => {
    let root: string;
    const database = (): string => join(root, 'var/lib/dpkg');
    const force = ['not-root', 'script-chrootless', 'bad-path', 'unsafe-io', 'depends'].map(
      (what) => `--force-${what}`,
    );
    const run = (...args: string[]): string =>
      execFileSync(dpkg, [`--root=${root}`, ...force, ...args], { encoding: 'utf8', stdio: 'pipe' });

    function install(name: string, version: string, architecture = 'all'): void {
      const source = mkdtempSync(join(work, 'package-'));
      mkdirSync(join(source, 'DEBIAN'), { mode: 0o755 });
      mkdirSync(join(source, 'etc'));
      writeFileSync(join(source, 'etc', `${name}-${architecture}.conf`), `${name} ${version}\n`);
      writeFileSync(join(source, 'DEBIAN/conffiles'), `/etc/${name}-${architecture}.conf\n`);
      writeFileSync(
        join(source, 'DEBIAN/control'),
        [
          `Package: ${name}`,
          `Version: ${version}`,
          `Architecture: ${architecture}`,
          'Multi-Arch: same',
          'Maintainer: Tester <tester@example.com>',
          `Source: ${name}-source (0.1)`,
          'Depends: something-that-is-not-there',
          'Description: made for a test',
          ' Version: 99',
          ' .',
          ' and so on',
          '',
        ]
          .filter((line) => architecture !== 'all' || !line.startsWith('Multi-Arch'))
          .join('\n'),
      );
      const archive = `${source}.deb`;
      execFileSync(deb, ['--root-owner-group', '-Znone', '--build', source, archive], { stdio: 'pipe' });
      run('--install', archive);
    }

    /** What dpkg itself says is installed, as package URLs. */
    function truth(): string[] {
      const format = '${db:Status-Status} ${Package} ${Version} ${Architecture} ${source:Package} ${source:Version}\\n';
      const lines = execFileSync(query, [`--admindir=${database()}`, '-W', '-f', format], { encoding: 'utf8' });
      return lines
        .split('\n')
        .filter((line) => line.startsWith('installed '))
        .map((line) => {
          const [, name = '', version = '', architecture = '', source = '', sourceVersion = ''] = line.split(' ');
          const upstream = sourceVersion === version ? source : `${source}%40${sourceVersion}`;
          return `pkg:deb/debian/${name}@${version}?arch=${architecture}&upstream=${upstream}`;
        })
        .toSorted();
    }

    const layer = (): Layer => ({ mediaType: PLAIN_LAYER, bytes: tarOf(tar, root) });

    beforeAll(() => {
      root = mkdtempSync(join(work, 'root-'));
      mkdirSync(join(database(), 'info'), { recursive: true });
      mkdirSync(join(database(), 'updates'));
      writeFileSync(join(database(), 'status'), '');
      writeFileSync(join(database(), 'available'), '');
    });

    test('the SBOM lists what dpkg reports as installed, layer after layer', async () => {
      install('first', '1.0-1');
      install('second', '2:1.2.3~rc1+dfsg-4');
      install('third', '0.1');
      const layers = [layer()];
      expect((await sbomOf(layers)).purls.toSorted()).toEqual(truth());
      expect(truth()).toHaveLength(3);

      // One goes and leaves its configuration, one goes for good, one is upgraded, and a foreign architecture comes.
      run('--remove', 'second');
      run('--purge', 'third');
      run('--add-architecture', 'i386');
      install('first', '1.0-2');
      install('library', '5', 'i386');
      install('library', '5', execFileSync(dpkg, ['--print-architecture'], { encoding: 'utf8' }).trim());
      layers.push(layer());
      const { purls, gaps, counts } = await sbomOf(layers);
      expect(purls.toSorted()).toEqual(truth());
      expect(counts).toEqual({ deb: 3 });
      expect(gaps).toEqual([]);
    });
  },
);

describeWithPeers('the SBOM and GNU tar', ['tar'], ([tar = '']) => {
  const longName = `node_modules/${'long'.repeat(40)}`;
  const deepName = `${'deep/'.repeat(50)}node_modules/deep`;
  let root: string;

  beforeAll(() => {
    root = mkdtempSync(join(work, 'files-'));
    for (const [folder, name] of [
      ['node_modules/short', 'short'],
      [longName, 'long'],
      [deepName, 'deep'],
    ] as const) {
      mkdirSync(join(root, folder), { recursive: true });
      writeFileSync(join(root, folder, 'package.json'), JSON.stringify({ name, version: '1.0.0' }));
    }
    // A file with holes, which --sparse packs in the formats' three ways, and something behind it.
    const holes = openSync(join(root, 'deep/holes'), 'w');
    for (let piece = 0; piece < 64; piece += 1) writeSync(holes, 'data', piece * 65_536);
    closeSync(holes);
  });

  const expected = ['pkg:npm/deep@1.0.0', 'pkg:npm/long@1.0.0', 'pkg:npm/short@1.0.0'];

  test.each(['gnu', 'posix', 'oldgnu', 'pax'])('reads what it packs as %s', async (format) => {
    for (const sparse of [
      [],
      ['--sparse'],
      ['--sparse', '--sparse-version=0.0'],
      ['--sparse', '--sparse-version=0.1'],
    ]) {
      const bytes = tarOf(tar, root, [`--format=${format}`, ...sparse]);
      const { purls, gaps } = await sbomOf([{ mediaType: PLAIN_LAYER, bytes }]);
      // containerd refuses the sparse files of GNU's own formats.
      const isRefused = format.includes('gnu') && sparse.length > 0;
      expect({ purls, gaps }).toEqual({
        purls: expected,
        gaps: isRefused ? ['an entry of type "S" (deep/holes)'] : [],
      });
    }
  });
});

describeWithPeers('the SBOM and compressors', ['gzip', 'zstd'], ([gzip = '', zstd = '']) => {
  test.each([
    [GZIP_LAYER, gzip, ['-9c']],
    [ZSTD_LAYER, zstd, ['-19', '-c']],
    [ZSTD_LAYER, zstd, ['-1', '--no-check', '--long=27', '-c']],
  ])('reads as %s what %s makes with %j', async (mediaType, program, options) => {
    const input = await archiveOf([
      ['filler', Buffer.alloc(3_000_000, 'abc')],
      npmPackage('node_modules/a', 'a', '1.0.0'),
    ]);
    const bytes = execFileSync(program, options, { input, maxBuffer: 64 * 1024 * 1024 });
    expect((await sbomOf([{ mediaType, bytes }])).purls).toEqual(['pkg:npm/a@1.0.0']);
  });
});
