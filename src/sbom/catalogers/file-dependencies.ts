import type { Package } from './cataloger.js';

/**
 * Replaces the files that packages depend on (`/bin/sh`) by the names of the packages that own them. Dependencies by
 * name are found when the document is made.
 */
export function nameOwners<P extends Package>(packages: readonly P[]): P[] {
  const owners = new Map<string, string | undefined>();
  for (const { dependsOn = [] } of packages)
    for (const name of dependsOn) if (name.startsWith('/')) owners.set(name, undefined);
  if (owners.size === 0) return [...packages];
  for (const { name, owns = [] } of packages) for (const path of owns) if (owners.has(path)) owners.set(path, name);
  return packages.map((found) =>
    found.dependsOn === undefined
      ? found
      : { ...found, dependsOn: [...new Set(found.dependsOn.map((name) => owners.get(name) ?? name))] },
  );
}
