import { LONGEST_NAME, type Gap, type Package } from './cataloger.js';

/** Maximum modules of one program. The largest have about 1,500. */
const MOST_MODULES = 20_000;

interface Module {
  path: string;
  version: string;
  isMain: boolean;
}

function parseModule(fields: readonly string[]): Omit<Module, 'isMain'> | undefined {
  const [, path = '', version = ''] = fields;
  if (path === '' || path.endsWith('/') || path.length > LONGEST_NAME || version.length > LONGEST_NAME)
    return undefined;
  return { path, version: version === '' ? '(devel)' : version };
}

function isLocal(path: string): boolean {
  return /^\.{0,2}\//.test(path) || path === '.' || path === '..' || /^[A-Za-z]:[\\/]/.test(path);
}

function toPackage({ path, version }: Omit<Module, 'isMain'>): Package {
  const slash = path.lastIndexOf('/');
  return {
    type: 'golang',
    ...(slash > 0 && { namespace: path.slice(0, slash) }),
    name: path.slice(slash + 1),
    version,
    provides: [`${path}@${version}`],
  };
}

/** The version of the standard library, from the version of Go: `go1.22.3 X:boringcrypto` becomes `1.22.3`. */
function standardLibrary(goVersion: string): Package | undefined {
  const version = /^(?:devel )?go(\d[\w.-]*)/.exec(goVersion)?.[1];
  return version === undefined
    ? undefined
    : { type: 'golang', name: 'stdlib', version, licenses: ['BSD-3-Clause'], provides: [`stdlib@${version}`] };
}

/**
 * The packages of a Go program: its main module, the modules that it was built with, and the standard library.
 * @param goVersion of the linker: `go1.22.3`; undefined if unknown
 * @param info lines as `go version -m` prints them, without the frame
 * @see https://pkg.go.dev/runtime/debug#BuildInfo
 */
export function readGoModules(goVersion: string | undefined, info: string): { packages: Package[]; gaps: Gap[] } {
  const modules: Module[] = [];
  let [bad, isOfStandardLibrary] = [0, false];
  for (const line of info.split('\n')) {
    const fields = line.split('\t');
    if (fields[0] === 'path') isOfStandardLibrary = /^cmd(?:\/|$)/.test(fields[1] ?? '');
    else if (fields[0] === 'mod' || fields[0] === 'dep') {
      const found = parseModule(fields);
      if (found === undefined || modules.length === MOST_MODULES) bad += 1;
      else modules.push({ ...found, isMain: fields[0] === 'mod' });
    } else if (fields[0] === '=>') {
      // The replacement was built, so it is listed. If it is a local folder, which has no name, the module keeps its
      // name.
      const replaced = modules.at(-1);
      const found = parseModule(fields);
      if (found === undefined || replaced === undefined) bad += 1;
      else if (isLocal(found.path)) replaced.version = '(devel)';
      else Object.assign(replaced, found);
    }
  }
  const library = goVersion === undefined ? undefined : standardLibrary(goVersion);
  const packages = modules.map((module) => toPackage(module));
  if (library !== undefined) packages.push(library);
  const main = packages[modules.findIndex(({ isMain }) => isMain)];
  if (main !== undefined) {
    const needed = packages.filter((each) => each !== main);
    if (needed.length > 0) main.dependsOn = needed.flatMap(({ provides = [] }) => provides);
  }
  const gaps: Gap[] = [];
  const skipped = (detail: string): unknown => gaps.push({ cause: 'entry-skipped', detail });
  if (bad > 0) skipped(`${bad} modules of a Go program`);
  if (library === undefined) skipped('the version of Go of a program');
  if (modules.length === 0 && !isOfStandardLibrary) skipped('a Go program without a list of its modules');
  return { packages, gaps };
}
