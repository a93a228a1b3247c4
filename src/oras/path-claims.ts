import { dirname } from 'node:path';
import { InputError } from '../oci/index.js';
import type { FileAttributes } from './file-sink.js';

/** A file, folder or link that a pull puts at a path. */
export interface Claim {
  kind: 'file' | 'folder' | 'link';
  /** The name as it was given, for messages. */
  name: string;
  /** The path of its content in the stage; a folder has none. */
  staged: string;
  attributes: FileAttributes;
  /** True if the stage has all bytes of the file. */
  isWhole?: boolean;
}

/** @returns the error `FILE_NAME_DUPLICATE` */
export function duplicate({ name }: Claim): InputError {
  return new InputError('FILE_NAME_DUPLICATE', `${name}: duplicate name`, {
    remedy: 'Pull to an OCI image layout instead (copy --to-oci-layout): blobs have no names there.',
  });
}

/**
 * Records which entry goes to which path. Claims are made synchronously, so that their order is known. A file or a link
 * may be claimed twice: the two are compared when both are complete.
 */
export class Claims {
  readonly #claims = new Map<string, [Claim, ...Claim[]]>();
  /** Folders that exist only because they contain something. */
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

  /** A complete file under that name, which can be copied. */
  wholeAt(path: string): Claim | undefined {
    return this.#claims.get(path)?.find(({ kind, isWhole }) => kind === 'file' && isWhole === true);
  }

  /** The claims to carry out, each after its folder. Of several for one path, the one with permissions. */
  parentsFirst(): [string, Claim][] {
    return [...this.#claims]
      .map(([path, claims]): [string, Claim] => [path, chosen(claims)])
      .sort(([a], [b]) => (a < b ? -1 : 1));
  }

  /** Pairs of claims that must have the same content. */
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
