import { getOrMake } from '../../oci/index.js';
import type { Finder } from './byte-scanner.js';
import type { Package, Reading } from './cataloger.js';

/** Maximum different versions that are kept of one file. */
const MOST_VERSIONS = 50;
/** Platforms in the name of the `config-…` folder, which programs that embed Python use. */
const PLATFORMS = ['gnu', 'musl'].flatMap((libc) => [`x86_64-linux-${libc}`, `aarch64-linux-${libc}`]);

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39;
}

function matchIn(bytes: Buffer, pattern: RegExp): string | undefined {
  return pattern.exec(bytes.toString('latin1'))?.[1];
}

/** A Python that was built from source has its launcher, its library and its modules in folders beside each other. */
function pythonOwns(version: string): string[] {
  const name = `python${/^\d+\.\d+/.exec(version)?.[0] ?? ''}`;
  return [
    ...['', 'm'].flatMap((suffix) => [`../bin/${name}${suffix}`, `../lib/lib${name}${suffix}.so.1.0`]),
    '../lib/libpython3.so',
    `../lib/${name}/lib-dynload/`,
    ...PLATFORMS.map((platform) => `../lib/${name}/config-${name.slice(6)}-${platform}/`),
  ];
}

/** Looks for programs that images have without a package, by texts that only they contain: node, python, busybox. */
export class KnownPrograms {
  readonly finders: readonly Finder[] = [
    {
      needle: Buffer.from('js/v'),
      before: 5,
      bytes: 40,
      found: (bytes) => this.#keep('node', matchIn(bytes, /^node\.js\/v(\d+\.\d+\.\d+[\w.-]*)\0/)),
    },
    {
      needle: Buffer.from('BusyB'),
      bytes: 40,
      found: (bytes) => this.#keep('busybox', matchIn(bytes, /^BusyBox v(\d+\.\d+(?:\.\d+)?[\w.-]*)[ \0]/)),
    },
    // What Python formats its version with.
    { needle: Buffer.from('%.80s (%.80s) %.80s'), bytes: 20, found: () => this.#seePython() },
    ...['3.', '2.7.'].map((needle) => ({
      needle: Buffer.from(needle),
      isLikely: (bytes: Buffer, at: number) => isDigit(bytes[at + needle.length]),
      before: 1,
      bytes: 16,
      found: (bytes: Buffer) => this.#keepPython(bytes),
    })),
  ];
  readonly #versions = new Map<string, Set<string>>();
  #isPython = false;

  /** What was found. Undefined if the file is none of them. */
  result(): Reading | undefined {
    const packages: Package[] = [];
    for (const [name, versions] of this.#versions) {
      const [version, ...others] = versions;
      // A file that names several versions says nothing.
      if (version === undefined || others.length > 0 || (name === 'python' && !this.#isPython)) continue;
      packages.push({ type: 'generic', name, version, ...(name === 'python' && { owns: pythonOwns(version) }) });
    }
    return packages.length > 0 ? { packages } : undefined;
  }

  #keep(name: string, version: string | undefined): undefined {
    if (version === undefined) return;
    const versions = getOrMake(this.#versions, name, () => new Set<string>());
    if (versions.size < MOST_VERSIONS) versions.add(version);
  }

  #seePython(): undefined {
    this.#isPython = true;
  }

  /** Keeps a version that a zero byte follows. Python also contains 3.2.0, the version of an old Unicode database. */
  #keepPython(bytes: Buffer): undefined {
    const version = matchIn(bytes, /^[^\d.]((?:2\.7|3\.\d{1,2})\.\d{1,2}(?:(?:a|b|rc)\d{1,2})?\+?)\0/);
    return this.#keep('python', version === '3.2.0' ? undefined : version);
  }
}
