import type { Digest } from '../../oci/index.js';
import type { GapCause } from '../gaps.js';

/**
 * Maximum characters of a name or version. Package managers install no longer ones, so a longer one is reported as a
 * gap.
 */
export const LONGEST_NAME = 1000;

/** Whether an unchecked value can be a name or version. */
export function isUsable(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= LONGEST_NAME;
}

/** Maximum bytes of {@link LayerFile.head}. */
export const HEAD_BYTES = 256;

/** A regular file in a layer. */
export interface LayerFile {
  readonly size: number;
  readonly mode: number;
  /** The first bytes, at most {@link HEAD_BYTES}. */
  readonly head: Uint8Array;
  /** The whole content in pieces, each valid until the next is asked for. May be called once only. */
  chunks(): AsyncIterable<Uint8Array>;
  /** The whole content. Only for catalogers with a finite `maxBytes`; larger files are a gap and never reach `read`. */
  whole(): Promise<Uint8Array>;
}

/** A package as its database or manifest describes it. */
export interface Package {
  /** Type of its package URL: `deb`, `apk`, `rpm`, `npm`, `pypi`, `golang`, `maven`, `nuget`, `gem`, `generic`. */
  type: string;
  /** The npm scope, the Maven group. The namespace of an OS package is the distribution and is added later. */
  namespace?: string;
  name: string;
  /** Empty if nothing states it: a jar without manifest. */
  version: string;
  /** Qualifiers of the package URL, such as `arch`. The distro qualifier is added later. */
  qualifiers?: Record<string, string>;
  /** Licenses as the package declares them: SPDX ids, expressions or free text. */
  licenses?: string[];
  /** Maintainer or vendor, as declared. */
  supplier?: string;
  /** Hashes of the package, where the database has them. */
  hashes?: { algorithm: 'MD5' | 'SHA-1' | 'SHA-256' | 'SHA-512'; hex: string }[];
  /** The source package (deb, rpm, apk origin). */
  source?: { name: string; version?: string };
  /** Names of packages of the same cataloger, where stated. Of alternatives, those that are installed are chosen later. */
  dependsOn?: string[];
  /** Names under which others depend on it, besides its own. */
  provides?: string[];
  /**
   * Files that belong to it: `/usr/bin/x` from the root, or `./x`, `../y` from the folder of the file that was read. A
   * trailing `/` means everything below.
   */
  owns?: string[];
  /** For each path of `owns`, its `listedDigest`, or ''. Absent if the database has none. */
  digests?: string[];
}

/** Content that was seen but could not be read. The path is added later. */
export interface Gap {
  cause: GapCause;
  /** Describes the content for people: `2 entries without name or version`. */
  detail: string;
}

/** The distribution that `os-release` names. */
export interface Distro {
  /** `debian` */
  id: string;
  /** `12`; absent on rolling releases. */
  versionId?: string;
}

/** What a cataloger found in one file: plain data that can be serialized. The same bytes give the same reading. */
export interface Reading<F = unknown> {
  packages?: Package[];
  /** What only `combine` of the same cataloger understands. */
  facts?: F;
  distro?: Distro;
  gaps?: Gap[];
}

/** The reading of a file whose content is of no use as a whole. @param detail as of a {@link Gap} */
export function unreadable(detail: string): { gaps: Gap[] } {
  return { gaps: [{ cause: 'database-unreadable', detail }] };
}

/** A file that was read, at its place in the image. */
export interface FoundFile<F = unknown> {
  /** Clean, relative to the root. */
  path: string;
  layer: Digest;
  reading: Reading<F>;
}

/** The files of the image. */
export interface ImageFiles {
  /** True if the path leads to a file. Follows links. @param path clean, relative to the root */
  has(path: string): boolean;
}

/** A package and the place where it was found. */
export interface LocatedPackage extends Package {
  /** Digest of the layer that contains the package. */
  layer: Digest;
  /** Path of the package database or manifest, relative to the root. */
  path: string;
  /** Digest of the layer with the list of its files, if that is a file of its own, written when the package was installed. */
  listLayer?: Digest;
}

/** The packages of a file, each with its place. */
export function packagesAt({ path, layer, reading }: FoundFile): LocatedPackage[] {
  return (reading.packages ?? []).map((found) => ({ ...found, path, layer }));
}

/** Reads one kind of package database, file by file, while the layers are streamed. */
export interface Cataloger<F = unknown> {
  /** Short name: `dpkg`. Gaps start with it. */
  readonly name: string;
  /** `language`: left out if a package of an OS database owns the file that was read, as is a `generic` package of `binary`. */
  readonly kind: 'os' | 'language' | 'binary';
  /** Maximum bytes of a file. A larger one is not read and is a gap. `Infinity` if `read` uses only `chunks`. */
  readonly maxBytes: number;
  /** Whether to read the file at this path (clean, relative to the root). Called for every file, so it must be fast. */
  wants(path: string): boolean;
  /** Fixed paths that are wanted; a path with a slash at the end means the files of that folder. They are looked up behind all links. */
  readonly places?: readonly string[];
  /**
   * What a path says besides the content; '' if nothing. A file that the cataloger has at one path counts again at a path
   * behind a symbolic link that says something else. Default: ''.
   */
  roleOf?(path: string): string;
  /** True if files beside it decide what a file is. Then it counts again in the folder of a symbolic link to it. */
  readonly dependsOnFolder?: boolean;
  /**
   * Whether a symbolic link may give the file a path that the cataloger wants. The reading is used only then, and the
   * layer is not read once more. Called for each file that the cataloger does not want by its path.
   */
  mayWant?(path: string): boolean;
  /** Whether to read a file by its first bytes. Called for each file that no cataloger wants by its path. */
  recognizes?(head: Uint8Array, size: number, mode: number): boolean;
  /**
   * Reads a file. The result must not depend on the path. Malformed content is a gap and never throws. The time is
   * linear in the size.
   */
  read(file: LayerFile): Promise<Reading<F>> | Reading<F>;
  /**
   * Joins what several files say. Default: the packages of each reading at its place. `gaps` are those that depend on
   * the path; the gaps of the readings are reported anyway.
   * @param found sorted by path
   */
  combine?(
    found: readonly FoundFile<F>[],
    files: ImageFiles,
  ): { packages: LocatedPackage[]; gaps?: (Gap & { path: string })[] };
}
