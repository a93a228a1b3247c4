import { unreadable, type Cataloger, type FoundFile, type LocatedPackage, type Reading } from './cataloger.js';
import { listLibraries, type DotnetLibrary } from './deps-json.js';
import { parseJson } from './json.js';

const DEPS = /^(.*\/)?([^/]+)\.deps\.json$/;
/** A file of a shared framework, in the folder of its version. */
const FRAMEWORK = /^(?:.*\/)?shared\/(Microsoft\.[^/]+\.App)\/([^/]+)\/[^/]+$/;
const RUNTIME = 'Microsoft.NETCore.App';

interface Facts {
  libraries: DotnetLibrary[];
}

/** The packages of one deps.json file. The package with the name of the file also owns the executable of that name. */
function packagesOf({ path, layer, reading }: FoundFile<Facts>): LocatedPackage[] {
  const stem = DEPS.exec(path)?.[2] ?? '';
  return (reading.facts?.libraries ?? []).map(({ name, version, isPackage, sha512, dependsOn, assets }) => {
    const owns = assets.map((asset) => `./${asset}`);
    if (assets.includes(`${stem}.dll`)) owns.push(`./${stem}`);
    return {
      // Projects are in no package registry.
      type: isPackage ? 'nuget' : 'generic',
      name,
      version,
      ...(sha512 !== undefined && { hashes: [{ algorithm: 'SHA-512' as const, hex: sha512 }] }),
      ...(dependsOn.length > 0 && { dependsOn: [...new Set(dependsOn)] }),
      ...(owns.length > 0 && { owns: [...new Set(owns)] }),
      path,
      layer,
    };
  });
}

/**
 * The shared frameworks, as `dotnet --list-runtimes` names them by their folders. Since .NET 5, their deps.json files
 * list a package of the same version that has all files.
 */
function frameworksOf(found: readonly FoundFile<Facts>[]): LocatedPackage[] {
  const byFolder = new Map<string, LocatedPackage>();
  for (const { path, layer, reading } of found) {
    const [, name, version] = FRAMEWORK.exec(path) ?? [];
    if (name === undefined || version === undefined) continue;
    const folder = path.slice(0, path.lastIndexOf('/'));
    const libraries = reading.facts?.libraries ?? [];
    const dependsOn = libraries.filter((one) => one.version === version && one.name.startsWith(`${name}.`));
    byFolder.set(folder, {
      type: 'nuget',
      name,
      version,
      // Without a list, everything in the folder.
      owns: [
        ...(libraries.length === 0 ? ['./'] : []),
        ...(name === RUNTIME ? ['../../../dotnet', `../../../host/fxr/${version}/`] : []),
      ],
      ...(dependsOn.length > 0 && { dependsOn: dependsOn.map((one) => one.name) }),
      path,
      layer,
    });
  }
  return [...byFolder.values()];
}

/**
 * Reads the deps.json files of .NET programs and shared frameworks. A shared framework without one is known by its
 * folder.
 * @see https://github.com/dotnet/runtime/blob/v9.0.0/docs/design/features/host-runtime-information.md
 */
export const dotnetCataloger: Cataloger<Facts> = {
  name: 'dotnet',
  kind: 'language',
  maxBytes: 16 * 1024 * 1024,
  wants: (path) => path.endsWith('.deps.json') || (path.endsWith('/.version') && FRAMEWORK.test(path)),
  // The folders of a framework have its name and version.
  roleOf: (path) => FRAMEWORK.exec(path)?.slice(1).join(' ') ?? '',
  async read(file): Promise<Reading<Facts>> {
    const bytes = await file.whole();
    // The .version file of a shared framework has a commit and a version.
    if (/^[0-9a-f]{40}\s/.test(Buffer.from(file.head).toString('latin1'))) return {};
    const parsed = parseJson(bytes);
    if ('reason' in parsed) return unreadable(`a file that ${parsed.reason}`);
    const listed = listLibraries(parsed.json);
    if (listed === undefined) return unreadable('a deps.json file without targets and libraries');
    const { libraries, skipped } = listed;
    const detail = `${skipped} libraries that are too long or too many, or have no name or version`;
    return { facts: { libraries }, ...(skipped > 0 && { gaps: [{ cause: 'entry-skipped', detail }] }) };
  },
  combine: (found) => ({
    packages: [...found.filter(({ path }) => DEPS.test(path)).flatMap(packagesOf), ...frameworksOf(found)],
  }),
};
