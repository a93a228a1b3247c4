import { describe, expect, test } from '@jest/globals';
import { layerOf, npmPackage, sbomOf } from '../../support/sbom-image.js';

const STATUS = `Package: libc6
Status: install ok installed
Architecture: amd64
Source: glibc
Version: 2.36-9+deb12u9
Depends: libgcc-s1
Description: GNU C Library
 Contains the standard libraries.
 .
 Package: not-a-field

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1.0

Package: tzdata
Status: install ok installed
Architecture: all
Version: 2024a-0+deb12u1
`;

describe('an image with packages', () => {
  test('lists the packages installed by dpkg and npm and no others', async () => {
    const layers = [
      await layerOf(
        ['var/lib/dpkg/status', STATUS],
        ['etc/os-release', 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n'],
      ),
      await layerOf(
        npmPackage('app/node_modules/left', 'left', '1.2.3', { license: 'MIT' }),
        npmPackage('app/node_modules/left/lib/inner', 'inner', '9.9.9'),
        npmPackage('app/node_modules/@scope/right', '@scope/right', '2.0.0'),
        npmPackage('app/node_modules/left/node_modules/nested', 'nested', '0.1.0'),
        npmPackage('usr/local/lib/node_modules/npm', 'npm', '10.9.0'),
        npmPackage('app', 'the-application', '1.0.0'),
      ),
    ];
    const { document, purls, counts, gaps } = await sbomOf(layers);
    expect(purls).toEqual([
      'pkg:deb/debian/libc6@2.36-9+deb12u9?arch=amd64&distro=debian-12&upstream=glibc',
      'pkg:deb/debian/tzdata@2024a-0+deb12u1?arch=all&distro=debian-12',
      'pkg:npm/left@1.2.3',
      'pkg:npm/nested@0.1.0',
      'pkg:npm/npm@10.9.0',
      'pkg:npm/%40scope/right@2.0.0',
    ]);
    expect(counts).toEqual({ deb: 2, npm: 4 });
    expect(gaps).toEqual([]);
    expect(document.compositions).toMatchObject([{ aggregate: 'complete' }, {}]);
  });

  test('with one text file has a root and no components', async () => {
    const { document, counts, gaps } = await sbomOf([await layerOf(['hello.txt', 'hello'])]);
    expect(document.components).toEqual([]);
    expect(document.metadata.component.name).toBe('registry.example:5000/samples/app');
    expect(counts).toEqual({});
    expect(gaps).toEqual([]);
  });
});
