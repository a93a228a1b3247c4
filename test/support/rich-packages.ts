import type { LocatedPackage } from '../../src/sbom/catalogers/cataloger.js';

const LOWER = `sha256:${'1'.repeat(64)}` as const;
const UPPER = `sha256:${'2'.repeat(64)}` as const;

function npm(folder: string, name: string, more: Partial<LocatedPackage>): LocatedPackage {
  const path = `${folder}node_modules/${name}/package.json`;
  return { type: 'npm', name, version: '1.0.0', layer: UPPER, path, ...more };
}

/** Packages with everything that a document can say of a package, and with texts that are hard to write. */
export const RICH_PACKAGES: readonly LocatedPackage[] = [
  {
    type: 'deb',
    name: 'libssl3',
    version: '3.0.11-1~deb12u2',
    qualifiers: { arch: 'amd64' },
    licenses: ['Apache-2.0'],
    supplier: 'Debian OpenSSL Team <pkg-openssl@lists.example.org>',
    hashes: [{ algorithm: 'SHA-256', hex: 'a'.repeat(64) }],
    source: { name: 'openssl', version: '3.0.11-1' },
    dependsOn: ['libc6', 'debconf-2.0'],
    layer: LOWER,
    path: 'var/lib/dpkg/status',
  },
  {
    type: 'deb',
    name: 'libc6',
    version: '1:2.36-9',
    qualifiers: { arch: 'amd64' },
    licenses: ['LGPL-2.1+', 'GPL-2', 'own text of\nseveral lines'],
    layer: LOWER,
    path: 'var/lib/dpkg/status',
  },
  {
    type: 'deb',
    name: 'bash',
    version: '5.2-2',
    qualifiers: { arch: 'amd64' },
    supplier: 'Matthias Example <doko@example.org>',
    layer: LOWER,
    path: 'var/lib/dpkg/status',
  },
  npm('', 'a', { licenses: ['(MIT OR Apache-2.0)'], dependsOn: ['b'] }),
  npm('', 'b', { namespace: '@scope', licenses: ['SEE LICENSE IN file', 'MIT'], provides: ['b'] }),
  npm('x/', 'b', { namespace: '@scope' }),
  npm('', 'Json', {}),
  npm('', 'json', {}),
  npm('', 'e\ud800 ﷽/\u0000', { version: '??&&##', licenses: ['UNLICENSED'], supplier: '\u0000 <not an address> ((' }),
  {
    type: 'maven',
    namespace: 'org.example',
    name: 'lib',
    version: '2',
    hashes: [{ algorithm: 'SHA-1', hex: 'b'.repeat(40) }],
    licenses: ['GPL-2.0-only WITH Classpath-exception-2.0'],
    layer: UPPER,
    path: 'opt/lib.jar',
  },
  { type: 'generic', name: 'node', version: '22.0.0', layer: UPPER, path: 'usr/local/bin/node' },
];
