import { dirname } from 'node:path';
import { InputError } from '../oci/index.js';
import type { FileAttributes } from './file-sink.js';

/** What is to stand at a path. */
export interface Claim {
  kind: 'file' | 'folder' | 'link';
  /** As it was given, for messages. */
  name: string;
  /** Where it lies until then; nothing lies there for a folder. */
  staged: string;
  attributes: FileAttributes;
}

/** Who stands where. Claims are made without waiting, so that of two at the same time the second is refused. */
export class Claims {
  readonly #claims = new Map<string, Claim>();
  /** Folders that are only there because something is in them. */
  readonly #implied = new Set<string>();

  /** @throws InputError `FILE_NAME_DUPLICATE`, `PATH_BLOCKED` */
  add(path: string, claim: Claim): void {
    const there = this.#claims.get(path);
    if (there?.kind === 'folder' && claim.kind === 'folder') return;
    if (there !== undefined || (claim.kind !== 'folder' && this.#implied.has(path))) {
      throw new InputError('FILE_NAME_DUPLICATE', `${claim.name}: duplicate name`, {
        remedy: 'Pull to an OCI image layout instead (copy --to-oci-layout): blobs have no names there.',
      });
    }
    for (let at = dirname(path); !this.#implied.has(at); at = dirname(at)) {
      const above = this.#claims.get(at);
      if (above !== undefined && above.kind !== 'folder') {
        throw new InputError('PATH_BLOCKED', `${claim.name} would go through ${above.name}, which is a ${above.kind}`);
      }
      if (at === dirname(at)) break;
    }
    for (let at = dirname(path); !this.#implied.has(at) && at !== dirname(at); at = dirname(at)) this.#implied.add(at);
    this.#claims.set(path, claim);
  }

  at(path: string): Claim | undefined {
    return this.#claims.get(path);
  }

  /** All of them, each after the folder it is in. */
  parentsFirst(): [string, Claim][] {
    return [...this.#claims].sort(([a], [b]) => (a < b ? -1 : 1));
  }
}
