import type { LocatedPackage } from '../catalogers/cataloger.js';
import type { SbomLimits } from '../limits.js';
import { overLimit } from '../sbom-errors.js';

/** Maximum packages in one place that provide the same name. The first ones count. */
const MOST_PROVIDERS = 8;
/** Maximum folders above an npm package that are searched, as Node.js does, nearest first. */
const MOST_FOLDERS = 16;

interface Provider {
  ref: string;
  arch: string | undefined;
}

/** The packages of one place by name: those of the operating system, of one node_modules folder, of one database. */
type Place = Map<string, Provider[]>;

const MODULES = 'node_modules/';

function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/') + 1);
}

/** The places to which a package belongs, nearest first. Its dependencies are looked up there. */
function placesOf({ type, path }: LocatedPackage): string[] {
  switch (type) {
    case 'deb':
    case 'apk':
    case 'rpm':
      return [type];
    case 'npm':
      return [`npm:${path.slice(0, path.lastIndexOf(MODULES))}`];
    default: {
      // Either one database lists all packages, or each package has its own file or folder, next to those of the
      // others.
      const folder = folderOf(path);
      return [path, folder, folderOf(folder.slice(0, -1))].map((place) => `${type}:${place}`);
    }
  }
}

/** Where the dependencies of a package are searched, nearest first. */
function* searchedBy(found: LocatedPackage, places: ReadonlyMap<string, Place>): Generator<Place> {
  const names = found.type === 'npm' ? foldersAbove(found.path) : placesOf(found);
  let count = 0;
  for (const name of names) {
    const place = places.get(name);
    if (place === undefined) continue;
    yield place;
    count += 1;
    if (count === MOST_FOLDERS) return;
  }
}

function* foldersAbove(path: string): Generator<string> {
  let folder = folderOf(path);
  // Real paths have a few levels of node_modules, each with the folders of one package between them.
  for (let level = 0; level < 4 * MOST_FOLDERS; level += 1) {
    yield `npm:${folder}`;
    if (folder === '') return;
    folder = folderOf(folder.slice(0, -1));
  }
}

function normalized(type: string, name: string): string {
  return type === 'pypi' ? name.toLowerCase().replaceAll(/[-_.]+/g, '-') : name;
}

function namesOf({ type, namespace, name, provides = [] }: LocatedPackage): Set<string> {
  const own = namespace === undefined ? [name] : [`${namespace}/${name}`, `${namespace}:${name}`];
  return new Set([...own, ...provides].map((each) => normalized(type, each)));
}

/**
 * Finds the installed packages that the stated dependencies name. Dependencies that are not installed are left out.
 * @param found sorted; several may have one reference
 * @returns references by reference
 * @throws InputError `SBOM_LIMIT`
 */
export function resolveDependencies(
  found: readonly { found: LocatedPackage; ref: string }[],
  { dependencies }: Pick<SbomLimits, 'dependencies'>,
): Map<string, Set<string>> {
  const places = new Map<string, Place>();
  for (const { found: each, ref } of found) {
    const provider = { ref, arch: each.qualifiers?.arch };
    for (const name of placesOf(each)) {
      const place = places.get(name) ?? new Map<string, Provider[]>();
      places.set(name, place);
      for (const provided of namesOf(each)) {
        const providers = place.get(provided) ?? [];
        if (providers.length < MOST_PROVIDERS) providers.push(provider);
        place.set(provided, providers);
      }
    }
  }
  const edges = new Map<string, Set<string>>();
  let count = 0;
  for (const { found: each, ref } of found) {
    if (each.dependsOn === undefined || each.dependsOn.length === 0) continue;
    const searched = [...searchedBy(each, places)];
    const targets = edges.get(ref) ?? new Set<string>();
    edges.set(ref, targets);
    const before = targets.size;
    for (const name of new Set(each.dependsOn)) {
      const wanted = normalized(each.type, name);
      const providers = searched.find((place) => place.has(wanted))?.get(wanted) ?? [];
      for (const target of chosen(providers, each)) if (target !== ref) targets.add(target);
      if (count + targets.size - before > dependencies) {
        throw overLimit('dependencies', 'its packages state more dependencies', dependencies);
      }
    }
    count += targets.size - before;
  }
  return edges;
}

/** Of packages for several architectures, those of the dependent's own. */
function chosen(providers: readonly Provider[], { qualifiers }: LocatedPackage): string[] {
  const same = providers.filter(({ arch }) => arch === qualifiers?.arch);
  return (same.length > 0 ? same : providers).map(({ ref }) => ref);
}
