import type { Turns } from '../turns.js';

/** Longer names and versions are nothing that a package manager installs, and become a gap. */
export const LONGEST_NAME = 1000;

/** A package as its own database names it. */
export interface Package {
  /** Type of the package URL: `deb`, `npm`. */
  type: string;
  /** npm's scope. What depends on the distribution (deb's namespace and qualifier) is added later. */
  namespace?: string;
  name: string;
  version: string;
  /** Qualifiers of the package URL, such as `arch`. */
  qualifiers?: Record<string, string>;
  /** As the package declares them: SPDX ids, expressions or free text. */
  licenses?: string[];
}

/** What `os-release` says. */
export interface Distro {
  /** `debian` */
  id: string;
  /** `12`; absent on rolling releases. */
  versionId?: string;
}

/** What a cataloger read in one file. */
export interface Reading {
  packages?: Package[];
  distro?: Distro;
  /** What could not be read there, as a person would say it. */
  gaps?: string[];
}

/** Reads one kind of package database, file by file, while the layers stream by. */
export interface Cataloger {
  /** Short: `dpkg`. Gaps begin with it. */
  readonly name: string;
  /** A larger file isn't read and becomes a gap. */
  readonly maxBytes: number;
  /** Whether the file at this path (clean, below the root) is to be read. Called for every entry: quick. */
  wants(path: string): boolean;
  /** Must not depend on the path. Never throws for content: what is malformed is a gap. Rests while it reads what is long. */
  read(bytes: Uint8Array, turns: Turns): Reading | Promise<Reading>;
  /** Whether a symbolic link at this path hides packages from us: then why. `target` is clean, below the root. */
  lost?(path: string, target: string): string | undefined;
}
