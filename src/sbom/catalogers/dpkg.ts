import type { Digest } from '../../oci/index.js';
import {
  packagesAt,
  type Cataloger,
  type FoundFile,
  type Gap,
  type ImageFiles,
  type LocatedPackage,
  type Package,
  type Reading,
} from './cataloger.js';
import { isMachineReadable, readCopyright } from './dpkg/copyright.js';
import { readCopyrightText } from './dpkg/copyright-text.js';
import { readPaths, type PathList } from './dpkg/paths.js';
import { readStatus } from './dpkg/status.js';
import { isWall, readWall } from './dpkg/chisel-manifest.js';
import type { Skips } from './skips.js';

const STATUS = 'var/lib/dpkg/status';
/** Images without dpkg (distroless) have one file for each package here, and one with checksums of its files. */
const FOLDER = 'var/lib/dpkg/status.d/';
const CHECKSUMS = '.md5sums';
/** The manifest of images that chisel made (Ubuntu). */
const WALL = 'var/lib/chisel/manifest.wall';
/** The files of a package: `info/libc6:amd64.list`. */
const LIST = /^var\/lib\/dpkg\/info\/([^/:]+)(?::([^/]+))?\.list$/;
/** The checksums of the same files, without configuration files: `info/libc6:amd64.md5sums`. */
const SUMS = /^var\/lib\/dpkg\/info\/([^/:]+)(?::([^/]+))?\.md5sums$/;
/** Files that were installed under another name: three lines each, the name, the other name and the package. */
const DIVERSIONS = 'var/lib/dpkg/diversions';
/** Changes that dpkg was to merge into the status file when it was stopped. */
const JOURNAL = /^var\/lib\/dpkg\/updates\/\d+$/;
const COPYRIGHT = /^usr\/share\/doc\/([^/]+)\/copyright$/;

type Kind = 'database' | 'paths' | 'copyright' | 'journal';

/** What a file is by its content, because the same file may have several paths. */
interface Facts extends Partial<PathList> {
  kind: Kind | 'other';
  licenses?: string[];
  /** Reported only if the path is that of such a file. */
  gaps: Gap[];
}

function kindOf(path: string): Kind | undefined {
  if (!path.startsWith('var/lib/')) return COPYRIGHT.test(path) ? 'copyright' : undefined;
  if (path === STATUS || path === WALL) return 'database';
  if (path.startsWith(FOLDER) && !path.slice(FOLDER.length).includes('/'))
    return path.endsWith(CHECKSUMS) ? 'paths' : 'database';
  if (path === DIVERSIONS || LIST.test(path) || SUMS.test(path)) return 'paths';
  return JOURNAL.test(path) ? 'journal' : undefined;
}

/**
 * Reads the installed Debian packages from dpkg's database, or from what images without dpkg have instead.
 * @see https://manpages.debian.org/bookworm/dpkg-dev/deb-control.5.en.html
 */
export const dpkgCataloger: Cataloger<Facts> = {
  name: 'dpkg',
  kind: 'os',
  maxBytes: 64 * 1024 * 1024,
  wants: (path) => kindOf(path) !== undefined,
  places: [STATUS, WALL, DIVERSIONS, FOLDER, 'var/lib/dpkg/info/', 'var/lib/dpkg/updates/'],
  roleOf: (path) => kindOf(path) ?? '',
  async read(file): Promise<Reading<Facts>> {
    if (file.size === 0) return {};
    const bytes = await file.whole();
    const of = (kind: Facts['kind'], { gaps = [] }: Skips['gaps'], more?: Partial<Facts>): { facts: Facts } => ({
      facts: { kind, gaps, ...more },
    });
    if (isWall(bytes)) {
      const { packages, skips } = readWall(bytes);
      return { packages, ...of('database', skips.gaps) };
    }
    const listed = readPaths(bytes);
    if (listed !== undefined) {
      const { skips, ...paths } = listed;
      return of('paths', skips.gaps, paths);
    }
    if (isMachineReadable(file.head)) {
      const { licenses, skips } = readCopyright(bytes);
      return of('copyright', skips.gaps, { licenses });
    }
    const { packages, skips, hasNames } = readStatus(bytes);
    if (hasNames) return { packages, ...of('database', skips.gaps) };
    const { licenses, skips: ofText } = readCopyrightText(bytes);
    const saysNothing = licenses.length === 0 && ofText.gaps.gaps === undefined;
    return saysNothing ? of('other', {}) : of('copyright', ofText.gaps, { licenses });
  },
  combine(found, files) {
    const image = new DpkgFiles(found, files);
    const gaps = found.flatMap(({ path, reading: { facts } }) => {
      if (facts === undefined) return [];
      if (facts.kind === kindOf(path)) return facts.gaps.map((gap) => ({ ...gap, path }));
      // Most copyright files are texts for people.
      if (kindOf(path) === 'copyright') return [];
      const detail =
        kindOf(path) === 'journal' ? 'changes that are not merged into the database' : 'content of no known format';
      return [{ cause: 'database-unreadable' as const, detail, path }];
    });
    return { packages: image.packages(), ...(gaps.length > 0 && { gaps }) };
  },
};

/** What the files of an image say about its Debian packages. */
class DpkgFiles {
  readonly #found: readonly FoundFile<Facts>[];
  readonly #files: ImageFiles;
  /** By the path of the database with the suffix of checksums, or by name or `name:arch`. */
  readonly #owned = new Map<string, PathList & { layer: Digest }>();
  /** By name or `name:arch`. */
  readonly #sums = new Map<string, PathList>();
  readonly #licenses = new Map<string, string[]>();
  readonly #diverted = new Map<string, { to: string; by: string }>();

  constructor(found: readonly FoundFile<Facts>[], files: ImageFiles) {
    this.#found = found;
    this.#files = files;
    for (const { path, layer, reading } of found) {
      const { kind, paths = [], digests, licenses = [] } = reading.facts ?? { kind: 'other' };
      if (kind !== kindOf(path)) continue;
      const [, name, arch] = LIST.exec(path) ?? [];
      const [, summed, summedArch] = SUMS.exec(path) ?? [];
      const list = { paths, ...(digests && { digests }) };
      if (path === DIVERSIONS) this.#divert(paths);
      else if (summed !== undefined) this.#sums.set(nameOf(summed, summedArch), list);
      else if (kind === 'paths') {
        this.#owned.set(name === undefined ? path : nameOf(name, arch), { ...list, layer });
      } else if (kind === 'copyright') this.#licenses.set(COPYRIGHT.exec(path)?.[1] ?? '', licenses);
    }
  }

  packages(): LocatedPackage[] {
    const all = this.#found
      .filter(({ path, reading }) => kindOf(path) === 'database' && reading.facts?.kind === 'database')
      .flatMap(packagesAt);
    const ofSources = new Map<string, string[]>();
    for (const each of all) {
      const licenses = this.#licenses.get(each.name);
      if (licenses !== undefined && !ofSources.has(sourceOf(each))) ofSources.set(sourceOf(each), licenses);
    }
    return all.map((each) => {
      const list = each.owns === undefined ? this.#listOf(each) : undefined;
      const owns = each.owns ?? this.#pathsOf(each, list?.paths);
      const digests = each.digests ?? this.#digestsOf(each, list);
      const licenses = this.#licenses.get(each.name) ?? (this.#hasCopyright(each) ? ofSources.get(sourceOf(each)) : []);
      return {
        ...each,
        ...(owns.length > 0 && { owns, ...(digests && { digests }) }),
        ...(list !== undefined && { listLayer: list.layer }),
        ...(licenses !== undefined && licenses.length > 0 && { licenses }),
      };
    });
  }

  #divert(lines: readonly string[]): void {
    for (let at = 0; at + 2 < lines.length; at += 3)
      this.#diverted.set(lines[at] ?? '', { to: lines[at + 1] ?? '', by: lines[at + 2] ?? '' });
  }

  #listOf({ name, qualifiers, path }: LocatedPackage): (PathList & { layer: Digest }) | undefined {
    return (
      this.#owned.get(`${path}${CHECKSUMS}`) ?? this.#owned.get(nameOf(name, qualifiers?.arch)) ?? this.#owned.get(name)
    );
  }

  /** The digests of the listed files, in the order of the list. */
  #digestsOf({ name, qualifiers }: Package, list: PathList | undefined): string[] | undefined {
    if (list === undefined || list.digests !== undefined) return list?.digests;
    const sums = this.#sums.get(nameOf(name, qualifiers?.arch)) ?? this.#sums.get(name);
    if (sums?.digests === undefined) return undefined;
    const { paths, digests } = sums;
    const byPath = new Map(paths.map((path, at) => [path, digests[at]]));
    return list.paths.map((path) => byPath.get(path) ?? '');
  }

  #pathsOf({ name }: Package, paths: readonly string[] = []): string[] {
    return paths.map((each) => {
      const diverted = this.#diverted.get(each);
      return diverted === undefined || diverted.by === name ? each : diverted.to;
    });
  }

  /** A package's folder may be a link to that of another package with the same source, as in Debian's policy 12.5. */
  #hasCopyright({ name }: Package): boolean {
    return this.#files.has(`usr/share/doc/${name}/copyright`);
  }
}

function nameOf(name: string, arch: string | undefined): string {
  return arch === undefined ? name : `${name}:${arch}`;
}

function sourceOf({ name, source }: Package): string {
  return source?.name ?? name;
}
