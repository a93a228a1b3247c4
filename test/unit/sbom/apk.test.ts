import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { apkCataloger } from '../../../src/sbom/catalogers/apk.js';
import type { Reading } from '../../../src/sbom/catalogers/cataloger.js';
import { layerFile } from '../../support/layer-file.js';
import { propertyRuns } from '../../support/property-runs.js';

const read = async (content: Uint8Array | string): Promise<Reading> => apkCataloger.read(layerFile(content));
const gapsOf = ({ gaps = [] }: Reading): string[] => gaps.map(({ cause, detail }) => `${cause}: ${detail}`);

const BUSYBOX = `C:Q1q6urq6urq6urq6urq6urq6urq6s=
P:busybox
V:1.37.0-r30
A:x86_64
S:510272
I:811008
T:Size optimized toolbox of many common UNIX utilities
U:https://busybox.net/
L:GPL-2.0-only
o:busybox
m:Sören Tempel <soeren+alpine@soeren-tempel.net>
t:1770000000
c:3cb2d1b44a1b8f6a4f1ae65e9d0f0c84a0e8e0fc
D:so:libc.musl-x86_64.so.1 !uclibc /bin/env musl>1.2 musl>=1.2.5 openssl@edge
p:cmd:busybox=1.37.0-r30 cmd:sh=1.37.0-r30 /bin/sh
F:bin
R:busybox
a:0:0:755
Z:Q1vT9gfGPoCtmcvrG1Hcl3GqgcVAc=
F:etc
F:etc/network/if-up.d
M:0:0:755
R:dad
F:
R:linuxrc

`;
const entry = (name: string, version = '1-r0', more = ''): string => `P:${name}\nV:${version}\n${more}\n`;

describe('a package', () => {
  test('has what its entry states', async () => {
    expect(await read(BUSYBOX)).toEqual({
      packages: [
        {
          type: 'apk',
          name: 'busybox',
          version: '1.37.0-r30',
          qualifiers: { arch: 'x86_64' },
          licenses: ['GPL-2.0-only'],
          supplier: 'Sören Tempel <soeren+alpine@soeren-tempel.net>',
          hashes: [{ algorithm: 'SHA-1', hex: 'ab'.repeat(19) + 'ab' }],
          source: { name: 'busybox', version: '1.37.0-r30' },
          dependsOn: ['so:libc.musl-x86_64.so.1', '/bin/env', 'musl', 'openssl'],
          provides: ['cmd:busybox', 'cmd:sh', '/bin/sh'],
          owns: ['/bin/busybox', '/etc/network/if-up.d/dad', '/linuxrc'],
          digests: ['bd3f607c63e80ad99cbeb1b51dc9771aa81c5407', '', ''],
        },
      ],
    });
  });

  test('may have a SHA-256, and a wrong checksum is none', async () => {
    const sha256 = Buffer.alloc(32, 0xcd).toString('base64');
    const { packages } = await read(
      [entry('a', '1', `C:Q2${sha256}\n`), entry('b', '1', 'C:Q1AAAA\n'), entry('c', '1', 'C:0123\n')].join(''),
    );
    expect(packages?.map(({ hashes }) => hashes)).toEqual([
      [{ algorithm: 'SHA-256', hex: 'cd'.repeat(32) }],
      undefined,
      undefined,
    ]);
  });

  test('depends on the package that owns a file, if it depends on the file', async () => {
    const reading = await read(BUSYBOX + entry('env', '1-r0', 'F:bin\nR:env\n'));
    const layer = `sha256:${'0'.repeat(64)}` as const;
    const combined = apkCataloger.combine?.([{ path: 'lib/apk/db/installed', layer, reading }], { has: () => true });
    expect(combined?.packages[0]?.dependsOn).toEqual(['so:libc.musl-x86_64.so.1', 'env', 'musl', 'openssl']);
  });
});

describe('the database', () => {
  test('may have Windows line ends, several blank lines, and no end', async () => {
    const content = `\n${entry('a')}\n\n${entry('b').trim()}`.replaceAll('\n', '\r\n');
    expect((await read(content)).packages?.map(({ name }) => name)).toEqual(['a', 'b']);
  });

  test('an entry without a usable name or version is a gap', async () => {
    const found = await read(`V:1\n\nP:x\n\n${entry('x'.repeat(1001))}${entry('y')}`);
    expect(found.packages?.map(({ name }) => name)).toEqual(['y']);
    expect(gapsOf(found)).toEqual(['entry-skipped: 3 entries without a usable name or version']);
  });

  test('content that is no database is a gap', async () => {
    expect(gapsOf(await read('hello\nworld\n'))).toEqual(['entry-skipped: 2 lines that are no fields, or too long']);
    expect(await read('')).toEqual({ packages: [] });
  });

  test('paths that would take more memory than allowed are a gap', async () => {
    const folder = 'd'.repeat(4000);
    const found = await read(entry('a', '1', `F:${folder}\n${'R:f\n'.repeat(30_000)}`));
    expect(found.packages?.[0]?.owns?.length).toBeLessThan(20_000);
    expect(gapsOf(found)).toEqual([expect.stringMatching(/^entry-skipped: \d+ paths that take too much room$/)]);
  });

  test('any content is read without failing, and the same twice', async () => {
    const line = fc.oneof(
      fc.constantFrom(...BUSYBOX.split('\n')),
      fc.string({ maxLength: 20 }),
      fc
        .tuple(fc.constantFrom('P', 'V', 'F', 'R', 'C', 'D'), fc.string({ maxLength: 10 }))
        .map(([one, other]) => `${one}:${other}`),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(line, { maxLength: 30 }), async (lines) => {
        const content = lines.join('\n');
        const found = await read(content);
        expect(await read(content)).toEqual(found);
        for (const { name, version } of found.packages ?? []) expect([name, version]).not.toContain('');
      }),
      { numRuns: propertyRuns(20_000, 200) },
    );
  });

  test.each([
    ['lib/apk/db/installed', true],
    ['usr/lib/apk/db/installed', true],
    ['home/x/lib/apk/db/installed', false],
    ['lib/apk/db/scripts.tar', false],
  ])('%s is wanted: %s', (path, isWanted) => expect(apkCataloger.wants(path)).toBe(isWanted));
});
