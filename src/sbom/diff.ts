import { getOrMake } from '../oci/index.js';
import type { SbomPackage } from './read-document.js';

/** A package that only one of two SBOMs lists, or that they list with other versions. */
export interface PackageChange {
  change: 'added' | 'removed' | 'changed';
  type: string;
  name: string;
  /** Versions in the first SBOM that the second one lacks. Sorted. */
  from: string[];
  /** Versions in the second SBOM that the first one lacks. Sorted. */
  to: string[];
}

interface Versions {
  type: string;
  name: string;
  versions: Set<string>;
}

/** Types of packages whose namespace is the distribution. */
const OF_SYSTEM = ['deb', 'apk', 'rpm'];

/** A package URL: type, namespace and name, qualifiers. */
const PURL = /^pkg:(?<type>[^/]+)\/(?<path>[^@?#]+)(?:@[^?#]*)?(?:\?(?<qualifiers>[^#]*))?/;

/**
 * A package as all tools name it. The package URL says more than the name: some tools leave out the group. Its
 * architecture belongs to the package; the distribution does not, so that a package of the next release is a changed
 * one.
 */
function normalOf({ type, name, version, purl = '' }: SbomPackage): { key: string; name: string; version: string } {
  const { path = '', qualifiers } = PURL.exec(purl)?.groups ?? {};
  const parameters = new URLSearchParams(qualifiers);
  const parts = path
    .split('/')
    .map(decoded)
    .slice(OF_SYSTEM.includes(type) ? -1 : 0);
  const normalName = path === '' ? name : parts.join(type === 'maven' ? ':' : '/');
  return {
    key: JSON.stringify([
      type,
      type === 'pypi' ? normalName.replaceAll(/[-_.]+/g, '-') : normalName,
      parameters.get('arch') ?? '',
    ]),
    name: normalName,
    version: normalVersion(type, normalName, version, parameters.get('epoch')),
  };
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** Some tools write an epoch of 0, or the epoch in the package URL alone, and `go1.22` or `v1.22` for Go itself. */
function normalVersion(type: string, name: string, version: string, epoch: string | null): string {
  if (version === 'UNKNOWN') return '';
  if (type === 'golang' && name === 'stdlib') return version.replace(/^(?:go|v)/, '');
  if (type !== 'rpm' && type !== 'deb') return version;
  return (/^\d+:/.test(version) || epoch === null ? version : `${epoch}:${version}`).replace(/^0:/, '');
}

function versionsOf(packages: readonly SbomPackage[]): Map<string, Versions> {
  const found = new Map<string, Versions>();
  for (const each of packages) {
    const { key, name, version } = normalOf(each);
    getOrMake(found, key, () => ({ type: each.type, name, versions: new Set<string>() })).versions.add(version);
  }
  return found;
}

/** What the second SBOM changes against the first, by type and name. Formats, tools and places do not matter. */
export function diffSboms(first: readonly SbomPackage[], second: readonly SbomPackage[]): PackageChange[] {
  const [before, after] = [versionsOf(first), versionsOf(second)];
  const changes: PackageChange[] = [];
  for (const key of [...new Set([...before.keys(), ...after.keys()])].sort()) {
    const [one, other] = [before.get(key), after.get(key)];
    const from = [...(one?.versions ?? [])].filter((version) => other?.versions.has(version) !== true).sort();
    const to = [...(other?.versions ?? [])].filter((version) => one?.versions.has(version) !== true).sort();
    const { type = '', name = '' } = one ?? other ?? {};
    if (from.length === 0 && to.length === 0) continue;
    const change = one === undefined ? 'added' : other === undefined ? 'removed' : 'changed';
    changes.push({ change, type, name, from, to });
  }
  return changes;
}
