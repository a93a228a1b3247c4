import type { Turns } from '../turns.js';

/**
 * Maximum characters of a name or version. Package managers install no longer ones, so a longer one is reported as a
 * gap.
 */
export const LONGEST_NAME = 1000;

/** A package as its database describes it. */
export interface Package {
  /** Type of its package URL: `deb`, `npm`. */
  type: string;
  /** The npm scope. The namespace of a deb package depends on the distribution and is added later. */
  namespace?: string;
  name: string;
  version: string;
  /** Qualifiers of the package URL, such as `arch`. */
  qualifiers?: Record<string, string>;
  /** Licenses as the package declares them: SPDX ids, expressions or free text. */
  licenses?: string[];
}

/** The distribution that `os-release` names. */
export interface Distro {
  /** `debian` */
  id: string;
  /** `12`; absent on rolling releases. */
  versionId?: string;
}

/** What a cataloger found in one file. */
export interface Reading {
  packages?: Package[];
  distro?: Distro;
  /** Content that could not be read, described for people. */
  gaps?: string[];
}

/** Reads one kind of package database, file by file, while the layers are streamed. */
export interface Cataloger {
  /** Short name: `dpkg`. Gaps start with it. */
  readonly name: string;
  /** Maximum bytes of a file. A larger file is not read and is reported as a gap. */
  readonly maxBytes: number;
  /**
   * Whether to read the file at this path (clean, relative to the root). Called for every entry, so it must be fast.
   */
  wants(path: string): boolean;
  /**
   * Reads a file. The result must not depend on the path. Malformed content is a gap and never throws. Long reads must
   * call `turns.rest`.
   */
  read(bytes: Uint8Array, turns: Turns): Reading | Promise<Reading>;
  /** Returns a reason if a symbolic link at this path hides packages. `target` is clean and relative to the root. */
  lost?(path: string, target: string): string | undefined;
}
