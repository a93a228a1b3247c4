import { PackageURL } from 'packageurl-js';
import type { LocatedPackage } from './catalog.js';
import type { Distro } from './catalogers/cataloger.js';
import type { SbomLimits } from './limits.js';
import { sortInTurns, type Turns } from './turns.js';

/** A package as the SBOM lists it: once, with all the places where it was found. */
export interface ListedPackage {
  type: string;
  group?: string;
  name: string;
  version: string;
  /** Absent where the names make no package URL. */
  purl?: string;
  licenses: string[];
  occurrences: { layer: string; path: string }[];
}

function compare(one: string, other: string): number {
  // By code units, not by locale: the order is part of the document's bytes.
  return one < other ? -1 : one > other ? 1 : 0;
}

/** A package URL, or undefined where the parts make none. @see https://github.com/package-url/purl-spec */
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

/** Packages in the document's order, the same package in several places once; licences beyond the limit are a gap. */
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
      gaps.push(`${listed.type}: ${licenses.length} licences of ${listed.name}@${listed.version}, which are too many`);
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
