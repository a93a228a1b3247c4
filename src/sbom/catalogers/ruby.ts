import { getOrMake } from '../../oci/index.js';
import type { Cataloger, Gap, LocatedPackage, Reading } from './cataloger.js';
import { parseGemspec, type Gemspec } from './gemspec.js';

const GEMSPEC = /^(.*\/)?specifications\/(?:default\/)?[^/]+\.gemspec$/;
/** RubyGems writes this file into the folder of a gem's compiled extensions. */
const EXTENSION = /^(.*\/)?extensions\/[^/]+\/[^/]+\/([^/]+)\/gem\.build_complete$/;

function fullName({ name = '', version = '', platform }: Gemspec): string {
  return `${name}-${version}${platform === undefined ? '' : `-${platform}`}`;
}

/**
 * Reads Ruby gems from the gemspecs that RubyGems keeps of what is installed, those that come with Ruby included.
 * @see https://guides.rubygems.org/specification-reference/
 */
export const rubyCataloger: Cataloger<Gemspec> = {
  name: 'ruby',
  kind: 'language',
  maxBytes: 4 * 1024 * 1024,
  wants: (path) =>
    (path.endsWith('.gemspec') && GEMSPEC.test(path)) || (path.endsWith('/gem.build_complete') && EXTENSION.test(path)),
  roleOf: (path) => (GEMSPEC.test(path) ? 'gemspec' : ''),
  async read(file): Promise<Reading<Gemspec>> {
    if (file.size === 0) return {};
    return { facts: parseGemspec(new TextDecoder().decode(await file.whole())) };
  },
  combine(found) {
    const gaps: (Gap & { path: string })[] = [];
    const packages: LocatedPackage[] = [];
    const extensions = new Map<string, string[]>();
    for (const { path } of found) {
      const [, home = '', name] = EXTENSION.exec(path) ?? [];
      if (name === undefined) continue;
      const key = JSON.stringify([home, name]);
      const folder = `/${path.slice(0, path.lastIndexOf('/') + 1)}`;
      getOrMake(extensions, key, () => []).push(folder);
    }
    for (const { path, layer, reading } of found) {
      const match = GEMSPEC.exec(path);
      if (match === null) continue;
      const gem = reading.facts;
      const { name, version, platform, licenses = [], dependsOn = [] } = gem ?? {};
      if (gem?.isContradictory === true) {
        gaps.push({ path, cause: 'database-unreadable', detail: 'a gemspec whose first lines name another gem' });
      }
      if (gem === undefined || name === undefined || version === undefined) {
        gaps.push({ path, cause: 'database-unreadable', detail: 'a gemspec without a literal name or version' });
        continue;
      }
      const home = match[1] ?? '';
      const full = fullName(gem);
      packages.push({
        type: 'gem',
        name,
        version,
        ...(platform !== undefined && { qualifiers: { platform } }),
        ...(licenses.length > 0 && { licenses }),
        ...(dependsOn.length > 0 && { dependsOn: [...new Set(dependsOn)] }),
        owns: [`/${home}gems/${full}/`, ...(extensions.get(JSON.stringify([home, full])) ?? [])],
        path,
        layer,
      });
    }
    return { packages, ...(gaps.length > 0 && { gaps }) };
  },
};
