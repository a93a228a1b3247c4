import { isRecord } from '../../oci/index.js';
import type { Cataloger, Reading } from './cataloger.js';

/** `node_modules/NAME` or `node_modules/@scope/NAME`, at any depth. Names that begin with a dot are npm's own folders. */
const PACKAGE_ROOT = /(?:^|\/)node_modules\/(?:@[^/]+\/)?[^/@.][^/]*$/;
/** Longer names and versions are nothing that npm installs: its own limits are 214 and 256. */
const LONGEST = 1000;
const MOST_LICENSES = 20;
const MANIFEST = '/package.json';

function isUsable(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= LONGEST;
}

/** The `license` field in all the shapes that it has had. */
function licensesOf(json: Record<string, unknown>): string[] {
  const listed = Array.isArray(json.licenses) ? json.licenses : [json.license ?? json.licenses];
  const found: string[] = [];
  for (const entry of listed as unknown[]) {
    const text = isRecord(entry) ? (entry.type ?? entry.name) : entry;
    if (typeof text === 'string' && text.trim() !== '') found.push(text.trim().slice(0, 1000));
  }
  return found.slice(0, MOST_LICENSES);
}

/**
 * npm packages, wherever they are installed: each folder in a node_modules folder that has a package.json.
 * @see https://docs.npmjs.com/cli/v11/configuring-npm/package-json
 */
export const npmCataloger: Cataloger = {
  name: 'npm',
  maxBytes: 4 * 1024 * 1024,
  wants: (path) => path.endsWith(MANIFEST) && PACKAGE_ROOT.test(path.slice(0, -MANIFEST.length)),
  read(bytes): Reading {
    let json: unknown;
    try {
      // npm itself takes a byte order mark.
      json = JSON.parse(new TextDecoder().decode(bytes));
    } catch {
      return { gaps: ['a package.json that is not JSON'] };
    }
    const { name, version } = isRecord(json) ? json : {};
    if (!isUsable(name) || !isUsable(version)) return { gaps: ['a package.json without a usable name or version'] };
    const slash = name.startsWith('@') ? name.indexOf('/') : -1;
    const licenses = isRecord(json) ? licensesOf(json) : [];
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
