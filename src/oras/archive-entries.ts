import { posix } from 'node:path';
import { InputError } from '../oci/index.js';

/** The most bytes of a file in an archive that is held in memory, so that several can be written at once. */
export const SMALL_FILE_BYTES = 128 * 1024;

/** The entry at a path of an archive that is being unpacked. */
export type ArchiveEntry = { kind: 'folder' } | { kind: 'file'; sizeBytes: number } | { kind: 'link'; target: string };

function refuse(name: string, why: string): InputError {
  return new InputError('ARCHIVE_UNSAFE', `the archive's entry ${JSON.stringify(name.slice(0, 500))} ${why}`, {
    remedy: 'Nothing was written. Ask the publisher for an archive whose entries stay in its own folder.',
  });
}

/** The most links that are followed one after another. */
const LINKS = 40;

/** Checks that the entries of one archive stay within the folder that has its title. Paths begin there. */
export class ArchiveEntries {
  readonly #title: string;
  readonly #entries = new Map<string, ArchiveEntry>();

  constructor(title: string) {
    this.#title = posix.normalize(title).replace(/(?<=.)\/+$/, '');
  }

  /**
   * An entry's path below the title's folder; empty for the folder itself.
   * @throws InputError `ARCHIVE_UNSAFE`
   */
  pathOf(name: string): string {
    if (name.includes('\0')) throw refuse(name, 'is no file name');
    const plain = name.replace(/^(?:\.\/+)+(?=.)/, '').replace(/(?<=.)\/+$/, '');
    if (plain === this.#title) return '';
    const rest = this.#title === '.' ? plain : plain.slice(this.#title.length + 1);
    const isBelow = this.#title === '.' ? !plain.startsWith('/') : plain.startsWith(`${this.#title}/`);
    const segments = rest.split('/').filter((segment) => segment !== '' && segment !== '.');
    if (!isBelow || segments.includes('..')) throw refuse(name, `is outside of ${JSON.stringify(this.#title)}`);
    return segments.join('/');
  }

  /** Devices, pipes and sockets are refused. @returns the error `ARCHIVE_UNSAFE` */
  refuseSpecial(path: string, kind: string): InputError {
    return refuse(path, `is a ${kind}: neither file, nor folder, nor link`);
  }

  note(path: string, entry: ArchiveEntry): void {
    this.#entries.set(path, entry);
  }

  /**
   * The file of a hard link. It is looked up from the link's folder, as oras does, then from the start of the archive, as tar
   * specifies.
   * @throws InputError `ARCHIVE_UNSAFE` if the archive has had no such file yet
   */
  hardLinkTarget(path: string, target: string): { path: string; sizeBytes: number } {
    const candidates = [posix.join(posix.dirname(path), target)];
    if (target === this.#title || target.startsWith(`${this.#title}/`)) {
      candidates.push(posix.normalize(target.slice(this.#title.length + 1)));
    }
    for (const candidate of candidates) {
      const entry = this.#entries.get(candidate);
      if (entry?.kind === 'file') return { path: candidate, sizeBytes: entry.sizeBytes };
    }
    throw refuse(path, `is a hard link to ${JSON.stringify(target)}, which is no file of the archive before it`);
  }

  /**
   * Follows every link, and links to links: none may lead out of the folder. The target of a link may be missing.
   * @throws InputError `ARCHIVE_UNSAFE`
   */
  checkLinks(): void {
    for (const [path, entry] of this.#entries) {
      if (entry.kind === 'link') this.#follow(path, entry.target);
    }
  }

  #follow(path: string, target: string): void {
    const at = posix.dirname(path) === '.' ? [] : posix.dirname(path).split('/');
    const ahead = target.split('/').toReversed();
    if (target.startsWith('/')) throw refuse(path, `is a link to ${JSON.stringify(target)}, which is absolute`);
    let links = 0;
    for (let segment = ahead.pop(); segment !== undefined; segment = ahead.pop()) {
      if (segment === '' || segment === '.') continue;
      if (segment === '..') {
        if (at.pop() === undefined) throw refuse(path, `is a link to ${JSON.stringify(target)}, which leads out`);
        continue;
      }
      const here = this.#entries.get([...at, segment].join('/'));
      if (here?.kind !== 'link') {
        at.push(segment);
        continue;
      }
      links += 1;
      if (links > LINKS || here.target.startsWith('/')) throw refuse(path, 'is a link that leads nowhere');
      ahead.push(...here.target.split('/').toReversed());
    }
  }
}
