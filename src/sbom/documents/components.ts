import { PackageURL } from 'packageurl-js';
import type { Distro, Gap, LocatedPackage, Package } from '../catalogers/cataloger.js';
import type { SbomLimits } from '../limits.js';
import { resolveDependencies } from './dependencies.js';

/** A package in the SBOM: listed once, with all places where it was found. */
export interface Component extends Omit<Package, 'licenses' | 'dependsOn' | 'provides' | 'owns' | 'namespace'> {
  /** Identifies the component within the document. */
  ref: string;
  namespace?: string;
  /** Absent if the names do not form a valid package URL. */
  purl?: string;
  licenses: string[];
  occurrences: { layer: string; path: string }[];
  /** References of the installed packages that it states to depend on. Sorted. */
  dependsOn: string[];
}

/** Types of packages that belong to the operating system. Their namespace is its vendor. */
const OS_TYPES: Readonly<Record<string, string>> = { deb: 'debian', apk: 'alpine', rpm: 'redhat' };
/** Ids of `os-release` whose vendor has another name in package URLs. */
const VENDORS: Readonly<Record<string, string>> = {
  rhel: 'redhat',
  sles: 'suse',
  'opensuse-leap': 'opensuse',
  'opensuse-tumbleweed': 'opensuse',
};

export function isOsPackage({ type }: Pick<Package, 'type'>): boolean {
  return Object.hasOwn(OS_TYPES, type);
}

/** Compares by code units and not by locale, because the order is part of the document's bytes. */
function compare(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}

/**
 * Makes a package URL. Undefined if the parts do not form a valid one.
 * @see https://github.com/package-url/purl-spec
 */
export function makePurl(
  type: string,
  namespace: string | undefined,
  name: string,
  version: string,
  qualifiers: Record<string, string>,
): string | undefined {
  try {
    return new PackageURL(type, namespace, name, version, qualifiers).toString();
  } catch {
    return undefined;
  }
}

function purlOf(found: LocatedPackage, distro: Distro | undefined): string | undefined {
  const { type, name, version, qualifiers = {}, source } = found;
  if (!isOsPackage(found)) return makePurl(type, found.namespace, name, version, qualifiers);
  const vendor = distro === undefined ? OS_TYPES[type] : (VENDORS[distro.id] ?? distro.id);
  const release = distro?.versionId === undefined ? undefined : `${distro.id}-${distro.versionId}`;
  // The package from whose source it was built: vulnerabilities are reported for it.
  const upstream =
    source === undefined || source.name === name
      ? undefined
      : `${source.name}${source.version === undefined || source.version === version ? '' : `@${source.version}`}`;
  return makePurl(type, vendor, name, version, {
    ...(upstream !== undefined && { upstream }),
    ...qualifiers,
    ...(release !== undefined && { distro: release }),
  });
}

function keyOf({ type, namespace = '', name, version, qualifiers = {} }: LocatedPackage): string {
  const sorted = Object.entries(qualifiers).sort(([one], [other]) => compare(one, other));
  return JSON.stringify([type, namespace, name, version, sorted]);
}

/**
 * Merges and sorts packages for the documents: a package found in several places is listed once. Licenses beyond the
 * limit are dropped and are a gap.
 * @throws InputError `SBOM_LIMIT`
 */
export function listComponents(
  packages: readonly LocatedPackage[],
  distro: Distro | undefined,
  limits: Pick<SbomLimits, 'licensesPerPackage' | 'dependencies'>,
): { components: Component[]; gaps: Gap[] } {
  const keyed = packages.map((found) => ({ found, key: keyOf(found) }));
  keyed.sort(
    (one, other) =>
      compare(one.key, other.key) ||
      compare(one.found.path, other.found.path) ||
      compare(one.found.layer, other.found.layer),
  );
  const refs = new References();
  const components: Component[] = [];
  const members: { found: LocatedPackage; ref: string }[] = [];
  const declared: Set<string>[] = [];
  let last = '';
  for (const { found, key } of keyed) {
    if (key !== last) {
      components.push(toComponent(found, refs, distro));
      declared.push(new Set());
      last = key;
    }
    const component = components.at(-1);
    if (component === undefined) continue;
    const { layer, path } = found;
    const before = component.occurrences.at(-1);
    if (before?.path !== path || before.layer !== layer) component.occurrences.push({ layer, path });
    for (const licence of found.licenses ?? []) declared.at(-1)?.add(licence);
    members.push({ found, ref: component.ref });
  }
  const edges = resolveDependencies(members, limits);
  const gaps: Gap[] = [];
  for (const [index, component] of components.entries()) {
    const { type, name, version, ref } = component;
    component.dependsOn = [...(edges.get(ref) ?? [])].sort(compare);
    const licences = [...(declared[index] ?? [])].sort(compare);
    if (licences.length > limits.licensesPerPackage) {
      const detail = `${type} ${name}@${version} has ${licences.length} licences, some are left out`;
      gaps.push({ cause: 'too-many-licences', detail });
    }
    component.licenses = licences.slice(0, limits.licensesPerPackage);
  }
  return { components, gaps };
}

/** Hexadecimal digits of each algorithm. Both formats refuse other lengths. */
const HEX_DIGITS = { MD5: 32, 'SHA-1': 40, 'SHA-256': 64, 'SHA-512': 128 } as const;

function toComponent(found: LocatedPackage, refs: References, distro: Distro | undefined): Component {
  const { type, namespace, name, version, qualifiers, supplier, source } = found;
  const hashes = found.hashes?.filter(
    ({ algorithm, hex }) => hex.length === HEX_DIGITS[algorithm] && /^[0-9a-f]*$/.test(hex),
  );
  const purl = purlOf(found, distro);
  return {
    ref: refs.take(purl ?? `${type}:${namespace ?? ''}/${name}@${version}`),
    type,
    ...(namespace !== undefined && { namespace }),
    name,
    version,
    ...(qualifiers !== undefined && { qualifiers }),
    ...(purl !== undefined && { purl }),
    ...(supplier !== undefined && { supplier }),
    ...(hashes !== undefined && { hashes }),
    ...(source !== undefined && { source }),
    licenses: [],
    occurrences: [],
    dependsOn: [],
  };
}

/**
 * Unique references within a document. Package URLs are in lower case, so two packages can have the same one: all but
 * the first get a number.
 */
class References {
  readonly #taken = new Set<string>();
  // The number where the next search starts. If every search started at 2, a thousand packages with one name would take
  // half a million lookups.
  readonly #counts = new Map<string, number>();

  take(wanted: string): string {
    let ref = wanted;
    let count = this.#counts.get(wanted) ?? 1;
    while (this.#taken.has(ref)) {
      count += 1;
      ref = `${wanted}#${count}`;
    }
    this.#counts.set(wanted, count);
    this.#taken.add(ref);
    return ref;
  }
}
