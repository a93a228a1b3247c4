import { isRecord } from '../../oci/index.js';
import { LONGEST_NAME, type Cataloger, type Gap, type Reading } from './cataloger.js';
import { parseJson } from './json.js';

/**
 * Matches `node_modules/NAME` or `node_modules/@scope/NAME`, at any depth. Names that start with a dot are npm's own
 * folders.
 */
const PACKAGE_ROOT = /(?:^|\/)node_modules\/(?:@[^/]+\/)?[^/@.][^/]*$/;
const LONGEST_LICENSE = 1000;
const MOST_LICENSES = 20;
const MANIFEST = '/package.json';

function isUsable(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= LONGEST_NAME;
}

/** Reads the licenses from all historical forms of the `license` field. */
function licensesOf(json: Record<string, unknown>): { licenses: string[]; gaps: Gap[] } {
  const listed = Array.isArray(json.licenses) ? json.licenses : [json.license ?? json.licenses];
  const licenses: string[] = [];
  for (const entry of listed as unknown[]) {
    const text = isRecord(entry) ? (entry.type ?? entry.name) : entry;
    if (typeof text !== 'string' || text.trim() === '') continue;
    if (licenses.length === MOST_LICENSES) {
      return { licenses, gaps: [{ cause: 'too-many-licences', detail: 'a package.json with too many licences' }] };
    }
    licenses.push(cut(text.trim()));
  }
  return { licenses, gaps: [] };
}

/** Copies a part of a text, because a slice would keep the whole text in memory. */
function cut(text: string): string {
  return text.length <= LONGEST_LICENSE
    ? text
    : Buffer.from(text.slice(0, LONGEST_LICENSE), 'utf16le').toString('utf16le');
}

function unreadable(detail: string): Reading {
  return { gaps: [{ cause: 'database-unreadable', detail }] };
}

/**
 * Reads npm packages: each folder below a node_modules folder that has a package.json.
 * @see https://docs.npmjs.com/cli/v11/configuring-npm/package-json
 */
export const npmCataloger: Cataloger = {
  name: 'npm',
  kind: 'language',
  maxBytes: 1024 * 1024,
  wants: (path) => path.endsWith(MANIFEST) && PACKAGE_ROOT.test(path.slice(0, -MANIFEST.length)),
  async read(file): Promise<Reading> {
    const parsed = parseJson(await file.whole());
    if ('reason' in parsed) return unreadable(`a package.json that ${parsed.reason}`);
    const { json } = parsed;
    const { name, version } = isRecord(json) ? json : {};
    if (!isUsable(name) || !isUsable(version)) return unreadable('a package.json without a usable name or version');
    const slash = name.startsWith('@') ? name.indexOf('/') : -1;
    const { licenses, gaps } = licensesOf(isRecord(json) ? json : {});
    return {
      packages: [
        {
          type: 'npm',
          ...(slash > 0 && { namespace: name.slice(0, slash) }),
          name: name.slice(slash + 1),
          version,
          ...(licenses.length > 0 && { licenses }),
          owns: ['./'],
        },
      ],
      ...(gaps.length > 0 && { gaps }),
    };
  },
};
