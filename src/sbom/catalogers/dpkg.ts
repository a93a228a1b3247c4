import type { Cataloger, Package, Reading } from './cataloger.js';
import { parseControlFile, type Paragraph } from './control-file.js';

const DATABASE = 'var/lib/dpkg/status';
/** Images without dpkg (distroless) have a file for each package here. */
const FOLDER = 'var/lib/dpkg/status.d/';
/** States in which a package's files are there. Not: `config-files`, `not-installed`, `half-installed`. */
const PRESENT = new Set(['installed', 'triggers-pending', 'triggers-awaited', 'half-configured', 'unpacked']);

function isPresent(paragraph: Paragraph): boolean {
  const status = paragraph.get('status');
  // Files in status.d may leave it out: what is listed there is there.
  return status === undefined || PRESENT.has(status.split(/\s+/)[2] ?? '');
}

function toPackage(paragraph: Paragraph): Package | undefined {
  const name = paragraph.get('package');
  const version = paragraph.get('version');
  if (name === undefined || name === '' || version === undefined || version === '') return undefined;
  const arch = paragraph.get('architecture');
  return { type: 'deb', name, version, ...(arch !== undefined && arch !== '' && { qualifiers: { arch } }) };
}

/**
 * Debian packages: what dpkg's database says is installed.
 * @see https://manpages.debian.org/bookworm/dpkg-dev/deb-control.5.en.html
 */
export const dpkgCataloger: Cataloger = {
  name: 'dpkg',
  maxBytes: 64 * 1024 * 1024,
  wants: (path) =>
    path === DATABASE ||
    (path.startsWith(FOLDER) && !path.endsWith('.md5sums') && !path.slice(FOLDER.length).includes('/')),
  read(bytes): Reading {
    const packages: Package[] = [];
    let nameless = 0;
    for (const paragraph of parseControlFile(new TextDecoder().decode(bytes))) {
      if (!isPresent(paragraph)) continue;
      const found = toPackage(paragraph);
      if (found === undefined) nameless += 1;
      else packages.push(found);
    }
    return { packages, ...(nameless > 0 && { gaps: [`${nameless} entries without name or version`] }) };
  },
  lost: (path) =>
    path === DATABASE || DATABASE.startsWith(`${path}/`) || FOLDER.startsWith(`${path}/`)
      ? 'its database is behind a symbolic link'
      : undefined,
};
