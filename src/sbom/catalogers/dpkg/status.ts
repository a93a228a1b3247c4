import type { Package } from '../cataloger.js';
import { parseControlFile, type Paragraph } from '../control-file.js';
import { Skips } from '../skips.js';
import { TextRoom } from '../text-room.js';

const LISTS = new Set(['depends', 'pre-depends', 'provides']);
const FIELDS = new Set(['package', 'version', 'architecture', 'status', 'source', 'maintainer', ...LISTS]);
/**
 * What dpkg takes as a status: what is wanted, whether the package is intact, and its state. It takes capitals, and needs
 * no spaces. `present`: states in which a package's files exist.
 */
const STATUS =
  /^(?:unknown|install|hold|deinstall|purge)\s*(?:ok|reinstreq|hold(?:-reinstreq)?)\s*(?:(?<present>installed|triggers-pending|triggers-awaited|half-configured|unpacked)|config-files|not-installed|half-installed)$/i;
const MOST_PACKAGES = 100_000;

/** The packages of dpkg's status file, or of a file of `status.d`. `hasNames` is false if it names no package. */
export function readStatus(bytes: Uint8Array): { packages: Package[]; skips: Skips; hasNames: boolean } {
  const packages: Package[] = [];
  const [skips, room] = [new Skips(), new TextRoom()];
  let hasNames = false;
  for (const paragraph of parseControlFile(bytes, FIELDS, LISTS)) {
    hasNames ||= paragraph.fields.has('package');
    if (paragraph.isCut) {
      skips.add('entries with a name, version or status that is too long');
      continue;
    }
    const isPresent = readPresence(paragraph);
    if (isPresent === undefined) skips.add('entries with an unknown status');
    if (isPresent !== true) continue;
    const found = toPackage(paragraph, room, skips);
    if (found === undefined) skips.add('entries without name or version');
    else if (packages.length === MOST_PACKAGES) skips.add('packages beyond the limit');
    else packages.push(found);
  }
  return { packages, skips, hasNames };
}

/** Undefined if the status says neither. */
function readPresence({ fields }: Paragraph): boolean | undefined {
  const status = fields.get('status');
  // Files in status.d may omit the status: a package listed there is installed.
  if (status === undefined) return true;
  const match = STATUS.exec(status);
  return match === null ? undefined : match.groups?.['present'] !== undefined;
}

function toPackage({ fields, isListCut }: Paragraph, room: TextRoom, skips: Skips): Package | undefined {
  const [name = '', version = '', arch = '', supplier = ''] = ['package', 'version', 'architecture', 'maintainer'].map(
    (field) => fields.get(field),
  );
  if (name === '' || version === '') return undefined;
  if (isListCut) skips.add('lists of dependencies that are too long');
  const dependsOn = namesOf([fields.get('pre-depends'), fields.get('depends')], room, skips);
  const provides = namesOf([fields.get('provides')], room, skips);
  const [, source, sourceVersion] = /^(\S+)(?:\s+\(([^)]+)\))?$/.exec(fields.get('source') ?? '') ?? [];
  return {
    type: 'deb',
    name,
    version,
    ...(arch !== '' && { qualifiers: { arch } }),
    ...(supplier !== '' && { supplier }),
    ...(source !== undefined && { source: { name: source, version: sourceVersion ?? version } }),
    ...(dependsOn.length > 0 && { dependsOn }),
    ...(provides.length > 0 && { provides }),
  };
}

/** The names in lists such as `libc6 (>= 2.36), mta | exim4:any`. Alternatives are kept side by side. */
function namesOf(lists: readonly (string | undefined)[], room: TextRoom, skips: Skips): string[] {
  const items = lists.flatMap((list) => list?.split(/[,|]/) ?? []);
  const names = items.map((item) => item.trim().split(/[\s(:[]/, 1)[0] ?? '').filter((name) => name !== '');
  return room.keepNames(names, skips, 'dependencies that take too much room');
}
