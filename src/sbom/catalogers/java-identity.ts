import { LONGEST_NAME, type Package } from './cataloger.js';
import { licensesOf, type JavaManifest } from './java-manifest.js';
import type { Pom } from './maven-pom.js';

/** What one archive says of itself. */
export interface JavaArchive {
  /** Path inside the outermost file; empty for that file. */
  inner: string;
  poms: Pom[];
  manifest: JavaManifest;
  /** The Java package that contains all of its classes: `org.example`. Empty if there is none. */
  root: string;
  /** True if it has a manifest or classes. */
  isJava?: true;
}

/** Name and version in a file name. */
interface FileName {
  name: string;
  version: string;
}

type Coordinates = Pom & { artifact: string; version: string };

/** Where a version starts in a part of a file name. */
const VERSION = /^(?:\d|build\d|rc?\d)/i;

/**
 * Splits `spring-core-5.3.4.jar` or `org.eclipse.osgi_3.18.0.jar`. Of several places where a version could start, the
 * one that the manifest confirms counts, else the first: `log4j-1.2-api-2.20.0.jar`.
 */
export function splitFileName(fileName: string, manifest: JavaManifest): FileName {
  const base = fileName.slice(fileName.lastIndexOf('/') + 1).slice(0, LONGEST_NAME);
  const dot = base.lastIndexOf('.');
  const stem = dot > 0 ? base.slice(0, dot) : base;
  const known = versionOf(manifest);
  let first: FileName | undefined;
  for (const { index } of stem.matchAll(/[-_.]/g)) {
    const version = stem.slice(index + 1);
    if (index === 0 || !VERSION.test(version)) continue;
    const split = { name: stem.slice(0, index), version };
    if (version === known) return split;
    // A dot starts a version only if nothing else does: `a.2-1.0`.
    if (first === undefined || (stem[first.name.length] === '.' && stem[index] !== '.')) first = split;
  }
  return first ?? { name: stem, version: '' };
}

function versionOf(manifest: JavaManifest): string {
  return (
    manifest['Implementation-Version'] ??
    manifest['Plugin-Version'] ??
    manifest['Bundle-Version'] ??
    manifest['Specification-Version'] ??
    ''
  );
}

/**
 * The Maven artifacts of an archive: each pom that it contains, and the archive itself unless one of them describes it.
 * As in syft and trivy, an archive without a pom is named by its file and its manifest. Its version is empty if nothing
 * states it.
 */
export function identify(archive: JavaArchive, path: string): Package[] {
  const { manifest } = archive;
  const file = splitFileName(archive.inner === '' ? path : archive.inner, manifest);
  const poms = archive.poms.filter(
    (pom): pom is Coordinates => pom.artifact !== undefined && pom.version !== undefined,
  );
  const own = poms.find((pom) => isOwn(pom, poms, file, manifest));
  const packages = poms.map((pom) => toPackage(pom, pom === own ? manifest : {}));
  const version = file.version === '' ? versionOf(manifest) : file.version;
  if (own !== undefined) return packages;
  const group = groupOf(archive, file.name);
  const itself = { artifact: file.name, version, ...(group !== undefined && { group }) };
  return file.name === '' ? packages : [toPackage(itself, manifest), ...packages];
}

/** True if the pom describes the archive, and not something that was shaded into it. */
function isOwn(pom: Coordinates, poms: readonly Coordinates[], file: FileName, manifest: JavaManifest): boolean {
  if (pom.artifact === file.name) return true;
  const isOnly = poms.length === 1;
  const isSimilar =
    ['-', '.'].some((sign) => pom.artifact.startsWith(file.name + sign) || file.name.endsWith(sign + pom.artifact)) &&
    !poms.some(({ artifact }) => artifact === file.name);
  if (isSimilar && (isOnly || pom.version === file.version)) return true;
  const stated = [file.version, manifest['Implementation-Version'], manifest['Bundle-Version']];
  // A file that was renamed: its only pom has the version that the manifest states, or nothing else states one.
  if (isOnly) return stated.includes(pom.version) || stated.every((version) => version === undefined || version === '');
  return pom.artifact === manifest['Implementation-Title'] && pom.version === manifest['Implementation-Version'];
}

function toPackage(pom: Coordinates, manifest: JavaManifest): Package {
  // Artifacts without a group are as old as the convention that the group has the artifact's name.
  const group = pom.group ?? pom.artifact;
  const licenses = pom.licenses ?? licensesOf(manifest);
  const supplier = manifest['Implementation-Vendor'] ?? manifest['Bundle-Vendor'];
  return {
    type: 'maven',
    namespace: group,
    name: pom.artifact,
    version: pom.version,
    provides: [`${group}:${pom.artifact}`],
    ...(licenses.length > 0 && { licenses }),
    ...(supplier !== undefined && { supplier }),
    ...(pom.dependsOn !== undefined && { dependsOn: pom.dependsOn }),
  };
}

/** `com.example.name`: at least two parts, as Java packages are written. */
const DOTTED = /^[a-z][\w-]*(?:\.[\w-]+)+$/;

/**
 * The group of an archive without a POM: from the manifest attributes that Maven and its bundle plugin fill with the
 * group, otherwise the Java package of the classes.
 */
function groupOf({ manifest, root }: JavaArchive, artifact: string): string | undefined {
  const stated = [manifest['Group-Id'], manifest['Implementation-Vendor-Id']].find(
    (value) => value !== undefined && /^[\w-]+(?:\.[\w-]+)*$/.test(value) && value !== 'org.apache',
  );
  if (stated !== undefined) return stated;
  const symbolic = manifest['Bundle-SymbolicName']?.split(';', 1)[0]?.trim() ?? '';
  for (const name of [symbolic, manifest['Automatic-Module-Name'] ?? '', manifest['Extension-Name'] ?? '']) {
    if (DOTTED.test(name)) return withoutArtifact(name, artifact);
  }
  if (!DOTTED.test(root) || isOldCommons(root, artifact)) return undefined;
  const last = root.slice(root.lastIndexOf('.') + 1);
  return artifact.split(/[-_]/).includes(last) ? withoutArtifact(root, last) : root;
}

/** Names that are no group of an artifact: a top-level domain, or `org.apache`, which all Apache projects share. */
const NO_GROUP = /^(?:[a-z]+|org\.apache)$/;

/**
 * The bundle plugin writes `group.artifact`, without what the artifact repeats of the group's last part:
 * `org.apache.commons.lang3` is `commons-lang3` of `org.apache.commons`.
 */
function withoutArtifact(name: string, artifact: string): string {
  // The oldest Commons are groups of their own.
  if (isOldCommons(name, artifact)) return artifact;
  const dash = artifact.indexOf('-');
  const rest = artifact.slice(dash + 1).replaceAll('-', '.');
  const repeated = dash > 0 && name.endsWith(`.${artifact.slice(0, dash)}.${rest}`) ? rest : artifact;
  const group = name.endsWith(`.${repeated}`) ? name.slice(0, -repeated.length - 1) : name;
  return NO_GROUP.test(group) ? name : group;
}

function isOldCommons(name: string, artifact: string): boolean {
  return /^commons-[a-z]+$/.test(artifact) && name.startsWith('org.apache.commons.');
}
