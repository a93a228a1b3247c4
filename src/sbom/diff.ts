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

/**
 * A package in any version. Its architecture belongs to it; the distribution does not, so that a package of the next
 * release is a changed one.
 */
function keyOf({ type, name, purl = '' }: SbomPackage): string {
  const arch = /[?&]arch=(?<arch>[^&#]*)/.exec(purl)?.groups?.arch ?? '';
  return JSON.stringify([type, name, arch]);
}

function versionsOf(packages: readonly SbomPackage[]): Map<string, Versions> {
  const found = new Map<string, Versions>();
  for (const each of packages) {
    const key = keyOf(each);
    const known = found.get(key) ?? { type: each.type, name: each.name, versions: new Set<string>() };
    known.versions.add(each.version);
    found.set(key, known);
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
