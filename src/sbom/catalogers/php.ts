import { isRecord } from '../../oci/index.js';
import { isUsable, unreadable, type Cataloger, type Package, type Reading } from './cataloger.js';
import { parseJson } from './json.js';

const MOST_LICENSES = 20;
/** Requirements on PHP itself, its extensions and Composer are no packages. @see https://getcomposer.org/schema.json */
const PACKAGE_NAME = /^[a-z0-9][\w.-]*\/[a-z0-9][\w.-]*$/i;

function namesOf(value: unknown): string[] {
  return isRecord(value) ? Object.keys(value).filter((name) => PACKAGE_NAME.test(name) && isUsable(name)) : [];
}

/**
 * The folder of a package in `vendor`; a metapackage has none. Plugins of Composer install to other places, which `install-path` names: they
 * hold PHP code, and somebody else's files.
 */
function folderOf(entry: Record<string, unknown>, name: string): string | undefined {
  return PACKAGE_NAME.test(name) && entry['install-path'] !== null ? `../${name}/` : undefined;
}

function toPackage(entry: unknown): Package | undefined {
  if (!isRecord(entry)) return undefined;
  const { name, version, license, dist } = entry;
  if (!isUsable(name) || name.endsWith('/') || !isUsable(version)) return undefined;
  const slash = name.indexOf('/');
  const licenses = [license].flat().filter(isUsable).slice(0, MOST_LICENSES);
  const folder = folderOf(entry, name);
  const dependsOn = namesOf(entry['require']);
  const provides = [name, ...namesOf(entry['provide']), ...namesOf(entry['replace'])];
  const hex = isRecord(dist) ? dist['shasum'] : undefined;
  return {
    type: 'composer',
    ...(slash > 0 && { namespace: name.slice(0, slash) }),
    name: name.slice(slash + 1),
    version,
    provides,
    ...(licenses.length > 0 && { licenses }),
    ...(dependsOn.length > 0 && { dependsOn }),
    ...(typeof hex === 'string' && /^[0-9a-f]{40}$/.test(hex) && { hashes: [{ algorithm: 'SHA-1', hex }] }),
    ...(folder !== undefined && { owns: [folder] }),
  };
}

/**
 * Reads what Composer has installed: an object since version 2, a list before.
 * @see https://getcomposer.org/doc/07-runtime.md
 */
export const phpCataloger: Cataloger = {
  name: 'php',
  kind: 'language',
  maxBytes: 32 * 1024 * 1024,
  wants: (path) => path.endsWith('composer/installed.json') && /(?:^|\/)composer\/installed\.json$/.test(path),
  async read(file): Promise<Reading> {
    const parsed = parseJson(await file.whole());
    if ('reason' in parsed) return unreadable(`an installed.json that ${parsed.reason}`);
    const listed = isRecord(parsed.json) ? parsed.json['packages'] : parsed.json;
    if (!Array.isArray(listed)) return unreadable('an installed.json without packages');
    const found = listed.map(toPackage);
    const packages = found.filter((one) => one !== undefined);
    const skipped = found.length - packages.length;
    const detail = `${skipped} packages without a usable name or version`;
    return { packages, ...(skipped > 0 && { gaps: [{ cause: 'entry-skipped', detail }] }) };
  },
};
