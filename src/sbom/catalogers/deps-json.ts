import { getOrMake, isRecord } from '../../oci/index.js';
import { LONGEST_NAME } from './cataloger.js';

const MOST_LIBRARIES = 20_000;
/** Assets of all libraries. The shared runtime has 200. */
const MOST_ASSETS = 200_000;

/** A placeholder, a folder, or a path that leads out of the folder of the program. */
const OUTSIDE = /\/(?:_\._)?$|(?:^|\/)\.\.(?:\/|$)/;

/** A library of a deps.json file. */
export interface DotnetLibrary {
  name: string;
  version: string;
  /** False for projects and referenced files, which did not come from a package. */
  isPackage: boolean;
  sha512?: string;
  /** Names of other libraries. */
  dependsOn: string[];
  /** Files, from the folder of the deps.json file. */
  assets: string[];
}

/**
 * Lists the libraries of a deps.json file that contribute a file, or that depend on one that does: a package that only
 * takes part in the build leaves nothing behind.
 * @see https://github.com/dotnet/sdk/blob/v9.0.100/documentation/specs/runtime-configuration-file.md
 * @returns the number of entries that are skipped as well
 */
export function listLibraries(json: unknown): { libraries: DotnetLibrary[]; skipped: number } | undefined {
  if (!isRecord(json) || !isRecord(json['libraries']) || !isRecord(json['targets'])) return undefined;
  const byKey = new Map<string, DotnetLibrary>();
  let skipped = 0;
  for (const [key, library] of Object.entries(json['libraries'])) {
    const [name, version] = splitKey(key);
    const type = isRecord(library) ? String(library['type']).toLowerCase() : '';
    if (type === 'referenceassembly') continue;
    if (name === '' || version === '' || key.length > LONGEST_NAME || byKey.size === MOST_LIBRARIES) {
      skipped += 1;
      continue;
    }
    const isPack = type === 'runtimepack';
    const sha512 = isRecord(library) ? toHex(library['sha512']) : undefined;
    byKey.set(key, {
      name: isPack ? name.replace(/^runtimepack\./, '') : name,
      version,
      isPackage: type === 'package' || isPack,
      ...(sha512 !== undefined && { sha512 }),
      dependsOn: [],
      assets: [],
    });
  }
  const parents = new Map<string, string[]>();
  let assets = 0;
  for (const [key, target] of Object.values(json['targets']).flatMap((target) => Object.entries(target ?? {}))) {
    const library = byKey.get(key);
    if (library === undefined || !isRecord(target) || target['compileOnly'] === true) continue;
    const listed = assetsOf(target);
    assets += listed.length;
    if (assets > MOST_ASSETS) skipped += 1;
    else library.assets = library.assets.concat(listed);
    for (const [name, version] of Object.entries(isRecord(target['dependencies']) ? target['dependencies'] : {})) {
      const dependency = `${name}/${String(version)}`;
      getOrMake(parents, dependency, () => []).push(key);
      if (byKey.has(dependency)) library.dependsOn.push(byKey.get(dependency)?.name ?? name);
    }
  }
  const present = reach(
    [...byKey].filter(([, { assets }]) => assets.length > 0).map(([key]) => key),
    parents,
  );
  return { libraries: [...byKey].filter(([key]) => present.has(key)).map(([, library]) => library), skipped };
}

function splitKey(key: string): [name: string, version: string] {
  const slash = key.indexOf('/');
  return slash < 0 ? [key, ''] : [key.slice(0, slash), key.slice(slash + 1)];
}

/** The files of a library. The runtime looks for them beside the deps.json file, without their folder in the package. */
function assetsOf(target: Record<string, unknown>): string[] {
  const paths = (kind: string): string[] => Object.keys(isRecord(target[kind]) ? target[kind] : {});
  const last = (path: string, parts: number): string => path.split('/').slice(-parts).join('/');
  return [
    ...[...paths('runtime'), ...paths('native')].map((path) => last(path, 1)),
    ...paths('resources').map((path) => last(path, 2)),
    ...paths('runtimeTargets'),
  ].filter((path) => path !== '' && path !== '_._' && path.length <= 4 * LONGEST_NAME && !OUTSIDE.test(path));
}

/** All keys that lead to one of the first. */
function reach(first: readonly string[], parents: ReadonlyMap<string, readonly string[]>): Set<string> {
  const reached = new Set(first);
  for (const key of reached) for (const parent of parents.get(key) ?? []) reached.add(parent);
  return reached;
}

function toHex(value: unknown): string | undefined {
  if (typeof value !== 'string' || !value.startsWith('sha512-')) return undefined;
  const hash = Buffer.from(value.slice('sha512-'.length, 200), 'base64');
  return hash.length === 64 ? hash.toString('hex') : undefined;
}
