import { PackageURL } from 'packageurl-js';
import type { Distro, LocatedPackage } from './catalogers/cataloger.js';
import type { SbomLimits } from './limits.js';
import { sortInTurns, type Turns } from './turns.js';

/** A package in the SBOM: listed once, with all places where it was found. */
export interface ListedPackage {
  type: string;
  group?: string;
  name: string;
  version: string;
  /** Absent if the names do not form a valid package URL. */
  purl?: string;
  licenses: string[];
  occurrences: { layer: string; path: string }[];
}

function compare(one: string, other: string): number {
  // Compared by code units and not by locale, because the order is part of the document's bytes.
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
  if (found.type !== 'deb')
    return makePurl(found.type, found.namespace, found.name, found.version, found.qualifiers ?? {});
  const release = distro?.versionId === undefined ? undefined : `${distro.id}-${distro.versionId}`;
  return makePurl('deb', distro?.id ?? 'debian', found.name, found.version, {
    ...found.qualifiers,
    ...(release !== undefined && { distro: release }),
  });
}

/**
 * Merges and sorts packages for the document: a package found in several places is listed once. Licenses beyond the
 * limit are dropped and reported as a gap.
 */
export async function listPackages(
  packages: readonly LocatedPackage[],
  distro: Distro | undefined,
  { licensesPerPackage }: Pick<SbomLimits, 'licensesPerPackage'>,
  turns: Turns,
): Promise<{ listed: ListedPackage[]; gaps: string[] }> {
  const byKey = new Map<string, ListedPackage & { seen: Set<string> }>();
  for (const found of packages) {
    const { type, namespace, name, version, qualifiers = {}, licenses = [], layer, path } = found;
    const key = JSON.stringify([type, namespace ?? '', name, version, qualifiers.arch ?? '']);
    let listed = byKey.get(key);
    if (listed === undefined) {
      const purl = purlOf(found, distro);
      listed = {
        type,
        ...(namespace !== undefined && { group: namespace }),
        name,
        version,
        ...(purl !== undefined && { purl }),
        licenses: [],
        occurrences: [],
        seen: new Set(),
      };
      byKey.set(key, listed);
    }
    listed.occurrences.push({ layer, path });
    for (const license of licenses) listed.seen.add(license);
    if (turns.isOver) await turns.rest();
  }
  const gaps: string[] = [];
  const sorted = await sortInTurns([...byKey], ([one], [other]) => compare(one, other), turns);
  for (const [, listed] of sorted) {
    const { seen, occurrences } = listed;
    const licenses = await sortInTurns([...seen], compare, turns);
    if (licenses.length > licensesPerPackage) {
      gaps.push(
        `${listed.type}: ${licenses.length} licences of ${listed.name}@${listed.version}: too many, some are left out`,
      );
    }
    listed.licenses = licenses.slice(0, licensesPerPackage);
    listed.occurrences = await sortInTurns(
      occurrences,
      (one, other) => compare(one.path, other.path) || compare(one.layer, other.layer),
      turns,
    );
    if (turns.isOver) await turns.rest();
  }
  return { listed: sorted.map(([, { seen: _seen, ...listed }]) => listed), gaps };
}
