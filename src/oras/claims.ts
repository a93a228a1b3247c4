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
  /** All of a file's bytes lie there. */
  isWhole?: boolean;
}

/** @returns the error `FILE_NAME_DUPLICATE` */
export function duplicate({ name }: Claim): InputError {
  return new InputError('FILE_NAME_DUPLICATE', `${name}: duplicate name`, {
    remedy: 'Pull to an OCI image layout instead (copy --to-oci-layout): blobs have no names there.',
  });
}

/**
 * Who stands where. Claims are made without waiting, so that of two at the same time it is known which came second. A file or a
 * link may be claimed twice: whether the two are the same shows when both are whole.
 */
export class Claims {
  readonly #claims = new Map<string, [Claim, ...Claim[]]>();
  /** Folders that are only there because something is in them. */
  readonly #implied = new Set<string>();

  /** @throws InputError `FILE_NAME_DUPLICATE`, `PATH_BLOCKED` */
  add(path: string, claim: Claim): void {
    const there = this.#claims.get(path);
    if (there?.[0].kind === claim.kind) {
      if (claim.kind !== 'folder') there.push(claim);
      return;
    }
    if (there !== undefined || (claim.kind !== 'folder' && this.#implied.has(path))) throw duplicate(claim);
    for (let at = dirname(path); !this.#implied.has(at); at = dirname(at)) {
      const above = this.#claims.get(at)?.[0];
      if (above !== undefined && above.kind !== 'folder') {
        throw new InputError('PATH_BLOCKED', `${claim.name} would go through ${above.name}, which is a ${above.kind}`);
      }
      if (at === dirname(at)) break;
    }
    for (let at = dirname(path); !this.#implied.has(at) && at !== dirname(at); at = dirname(at)) this.#implied.add(at);
    this.#claims.set(path, [claim]);
  }

  /** A file that can be copied. */
  wholeAt(path: string): Claim | undefined {
    return this.#claims.get(path)?.find(({ kind, isWhole }) => kind === 'file' && isWhole === true);
  }

  /** What will stand there, each after the folder it is in: of several, the one that says which permissions it has. */
  parentsFirst(): [string, Claim][] {
    return [...this.#claims]
      .map(([path, claims]): [string, Claim] => [path, chosen(claims)])
      .sort(([a], [b]) => (a < b ? -1 : 1));
  }

  /** Pairs that have to be the same. */
  twins(): [Claim, Claim][] {
    return [...this.#claims.values()].flatMap((claims) => {
      const one = chosen(claims);
      return claims.flatMap((other): [Claim, Claim][] => (other === one ? [] : [[one, other]]));
    });
  }
}

function chosen(claims: readonly [Claim, ...Claim[]]): Claim {
  return claims.find(({ attributes }) => attributes.mode !== undefined) ?? claims[0];
}
