import type { Cataloger, Gap, Package, Reading } from './cataloger.js';
import { parseControlFile, type Paragraph } from './control-file.js';

const DATABASE = 'var/lib/dpkg/status';
/** Images without dpkg (distroless) have one file for each package here. */
const FOLDER = 'var/lib/dpkg/status.d/';
const FIELDS = new Set(['package', 'version', 'architecture', 'status']);
/** States in which a package's files exist. Not `config-files`, `not-installed` or `half-installed`. */
const PRESENT = new Set(['installed', 'triggers-pending', 'triggers-awaited', 'half-configured', 'unpacked']);

function isPresent({ fields }: Paragraph): boolean {
  const status = fields.get('status');
  // Files in status.d may omit the status: a package listed there is installed.
  return status === undefined || PRESENT.has(status.split(/\s+/, 3)[2] ?? '');
}

function toPackage({ fields }: Paragraph): Package | undefined {
  const name = fields.get('package');
  const version = fields.get('version');
  if (name === undefined || name === '' || version === undefined || version === '') return undefined;
  const arch = fields.get('architecture');
  return { type: 'deb', name, version, ...(arch !== undefined && arch !== '' && { qualifiers: { arch } }) };
}

/**
 * Reads the installed Debian packages from dpkg's database.
 * @see https://manpages.debian.org/bookworm/dpkg-dev/deb-control.5.en.html
 */
export const dpkgCataloger: Cataloger = {
  name: 'dpkg',
  kind: 'os',
  maxBytes: 16 * 1024 * 1024,
  wants: (path) =>
    path === DATABASE ||
    (path.startsWith(FOLDER) && !path.endsWith('.md5sums') && !path.slice(FOLDER.length).includes('/')),
  async read(file): Promise<Reading> {
    const packages: Package[] = [];
    let [nameless, long] = [0, 0];
    for (const paragraph of parseControlFile(await file.whole(), FIELDS)) {
      if (paragraph.isCut) {
        long += 1;
        continue;
      }
      if (!isPresent(paragraph)) continue;
      const found = toPackage(paragraph);
      if (found === undefined) nameless += 1;
      else packages.push(found);
    }
    const gaps: Gap[] = [];
    const skipped = (detail: string): void => void gaps.push({ cause: 'entry-skipped', detail });
    if (nameless > 0) skipped(`${nameless} entries without name or version`);
    if (long > 0) skipped(`${long} entries with a name, version or status that is too long`);
    return { packages, ...(gaps.length > 0 && { gaps }) };
  },
};
