import { isRecord } from '../../oci/index.js';
import { LONGEST_NAME, type Cataloger, type Gap, type Reading } from './cataloger.js';

/**
 * Matches `node_modules/NAME` or `node_modules/@scope/NAME`, at any depth. Names that start with a dot are npm's own
 * folders.
 */
const PACKAGE_ROOT = /(?:^|\/)node_modules\/(?:@[^/]+\/)?[^/@.][^/]*$/;
const LONGEST_LICENSE = 1000;
const MOST_LICENSES = 20;
/** Maximum nesting of JSON. Parsing deeper JSON takes disproportionately long, and no package manifest is that deep. */
const DEEPEST = 200;
/** Smaller files cannot nest deep enough to matter. */
const QUICK_BYTES = 16 * 1024;
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

/** True if JSON nests deeper than any manifest. Reads each byte once. */
function isTooDeep(bytes: Uint8Array): boolean {
  if (bytes.length < QUICK_BYTES) return false;
  let depth = 0;
  let isText = false;
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at];
    if (byte === 0x22) isText = !isText;
    else if (isText) at += byte === 0x5c ? 1 : 0;
    else if (byte === 0x5b || byte === 0x7b) depth += 1;
    else if (byte === 0x5d || byte === 0x7d) depth -= 1;
    if (depth > DEEPEST) return true;
  }
  return false;
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
    const bytes = await file.whole();
    if (isTooDeep(bytes)) return unreadable('a package.json that nests too deep');
    let json: unknown;
    try {
      // npm accepts a byte order mark as well.
      json = JSON.parse(new TextDecoder().decode(bytes));
    } catch {
      return unreadable('a package.json that is not JSON');
    }
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
        },
      ],
      ...(gaps.length > 0 && { gaps }),
    };
  },
  lost(path, target) {
    if (/(?:^|\/)node_modules$/.test(path)) {
      return /(?:^|\/)node_modules$/.test(target) ? undefined : 'a node_modules folder is a symbolic link';
    }
    if (!PACKAGE_ROOT.test(path) || PACKAGE_ROOT.test(target)) return undefined;
    return 'a package is a symbolic link to a folder outside node_modules';
  },
};
