import { isRecord } from '../../oci/index.js';
import { isUsable, unreadable, type Gap, type Reading } from './cataloger.js';
import { parseJson } from './json.js';

const LONGEST_LICENSE = 1000;
const MOST_LICENSES = 20;

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

/**
 * Reads the manifest of a JavaScript package.
 * @returns the package, and all fields of the manifest
 * @see https://docs.npmjs.com/cli/v11/configuring-npm/package-json
 */
export function readPackageJson(bytes: Uint8Array): Reading & { json?: Record<string, unknown> } {
  const parsed = parseJson(bytes);
  if ('reason' in parsed) return unreadable(`a package.json that ${parsed.reason}`);
  const json = isRecord(parsed.json) ? parsed.json : {};
  const { name, version } = json;
  const slash = isUsable(name) && name.startsWith('@') ? name.indexOf('/') : -1;
  if (!isUsable(name) || slash === name.length - 1 || !isUsable(version))
    return unreadable('a package.json without a usable name or version');
  const { licenses, gaps } = licensesOf(json);
  return {
    json,
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
}
