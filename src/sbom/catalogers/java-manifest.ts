/** Attributes that name the artifact, its group, version, vendor or licence. */
const ATTRIBUTES = new Set([
  'Automatic-Module-Name',
  'Bundle-License',
  'Bundle-SymbolicName',
  'Bundle-Vendor',
  'Bundle-Version',
  'Extension-Name',
  'Group-Id',
  'Implementation-Title',
  'Implementation-Vendor',
  'Implementation-Vendor-Id',
  'Implementation-Version',
  'Plugin-License-Name',
  'Plugin-Version',
  'Specification-Version',
]);
/** Longer values are left out: they name nothing. */
const LONGEST_VALUE = 1000;
const MOST_LICENSES = 20;

/** The attributes of META-INF/MANIFEST.MF that say what an archive is. */
export type JavaManifest = Record<string, string>;

/**
 * Reads a manifest. If the main section lacks an attribute, that of a later section counts, because old archives
 * describe themselves there.
 * @see https://docs.oracle.com/en/java/javase/21/docs/specs/jar/jar.html#jar-manifest
 */
export function parseManifest(text: string): JavaManifest {
  const manifest: JavaManifest = {};
  // A line that starts with a space continues the one before, also within a word.
  for (const line of text
    .replaceAll(/\r\n?|\n/g, '\n')
    .replaceAll('\n ', '')
    .split('\n')) {
    const colon = line.indexOf(':');
    const name = line.slice(0, Math.max(colon, 0));
    const value = line.slice(colon + 1).trim();
    if (!ATTRIBUTES.has(name) || name in manifest || value === '' || value.length > LONGEST_VALUE) continue;
    if (!value.includes('${')) manifest[name] = value;
  }
  return manifest;
}

/** The licences that a manifest declares. `Bundle-License` has ids, names or links, with parameters. */
export function licensesOf(manifest: JavaManifest): string[] {
  const bundle = manifest['Bundle-License'];
  const plugin = manifest['Plugin-License-Name'];
  const clauses = bundle === undefined ? [] : bundle.match(/(?:"[^"]*"|[^",])+/g);
  const licenses = (clauses ?? []).slice(0, MOST_LICENSES).map((clause) => {
    const [license = ''] = clause.match(/(?:"[^"]*"|[^";])+/) ?? [];
    return license.replaceAll('"', '').trim();
  });
  return [...new Set([...licenses, plugin ?? ''])].filter((license) => license !== '' && license !== '<<EXTERNAL>>');
}
