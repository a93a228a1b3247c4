import { PackageURL } from 'packageurl-js';
import type { LocatedPackage } from './catalog.js';
import type { Distro } from './catalogers/cataloger.js';

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

/** Packages in the document's order, the same package in several places once. */
export function listPackages(packages: readonly LocatedPackage[], distro: Distro | undefined): ListedPackage[] {
  const listed = new Map<string, ListedPackage>();
  for (const found of packages) {
    const { type, namespace, name, version, qualifiers = {}, licenses = [], layer, path } = found;
    const key = JSON.stringify([type, namespace ?? '', name, version, qualifiers.arch ?? '']);
    const known = listed.get(key);
    if (known !== undefined) {
      known.occurrences.push({ layer, path });
      known.licenses = [...new Set([...known.licenses, ...licenses])].sort(compare);
      continue;
    }
    const purl = purlOf(found, distro);
    listed.set(key, {
      type,
      ...(namespace !== undefined && { group: namespace }),
      name,
      version,
      ...(purl !== undefined && { purl }),
      licenses: [...new Set(licenses)].sort(compare),
      occurrences: [{ layer, path }],
    });
  }
  for (const { occurrences } of listed.values()) {
    occurrences.sort((one, other) => compare(one.path, other.path) || compare(one.layer, other.layer));
  }
  return [...listed].sort(([one], [other]) => compare(one, other)).map(([, found]) => found);
}
