import type { DatabaseSync } from 'node:sqlite';

/** What may be done with a repository, a tag or a manifest; ACR calls it changeable attributes. */
export interface Lock {
  writable: boolean;
  deletable: boolean;
  readable: boolean;
  /** False: lists leave it out. */
  listable: boolean;
}

const OPEN: Lock = { writable: true, deletable: true, readable: true, listable: true };
/** Where a lock names the repository itself. */
const WHOLE = '';

/** True in SQL where no lock leaves the entry out of lists; `reference` is the column or text that names it. */
export function isListed(repository: string, reference: string): string {
  return `NOT EXISTS (SELECT 1 FROM locks WHERE locks.repository = ${repository} AND reference = ${reference} AND NOT listable)`;
}

/** Repositories, tags and manifests that are locked, as `az acr repository update --write-enabled false` does it. */
export class LockStore {
  readonly #database: DatabaseSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /** @param reference a tag or a digest; undefined: the repository's own */
  of(repository: string, reference = WHOLE): Lock {
    const row = this.#database
      .prepare('SELECT * FROM locks WHERE repository = ? AND reference = ?')
      .get(repository, reference);
    if (row === undefined) return OPEN;
    return {
      writable: row.writable === 1,
      deletable: row.deletable === 1,
      readable: row.readable === 1,
      listable: row.listable === 1,
    };
  }

  set(repository: string, reference: string | undefined, { writable, deletable, readable, listable }: Lock): void {
    this.#database
      .prepare(
        'INSERT OR REPLACE INTO locks (repository, reference, writable, deletable, readable, listable) VALUES (?, ?, ?, ?, ?, ?)',
      )
      .run(repository, reference ?? WHOLE, Number(writable), Number(deletable), Number(readable), Number(listable));
  }

  /** A push into the repository, of the manifests and tags that `references` names. */
  mayWrite(repository: string, references: readonly string[] = []): boolean {
    return [WHOLE, ...references].every((reference) => this.of(repository, reference).writable);
  }

  /** A lock against writing is one against deleting too. */
  mayDelete(repository: string, references: readonly string[]): boolean {
    return [WHOLE, ...references].every((reference) => {
      const { writable, deletable } = this.of(repository, reference);
      return writable && deletable;
    });
  }

  mayRead(repository: string, references: readonly string[] = []): boolean {
    return [WHOLE, ...references].every((reference) => this.of(repository, reference).readable);
  }

  /** Whether nothing in the repository, nor the repository itself, is kept from being deleted. */
  mayDeleteAll(repository: string): boolean {
    return (
      this.#database
        .prepare('SELECT 1 FROM locks WHERE repository = ? AND NOT (writable AND deletable) LIMIT 1')
        .get(repository) === undefined
    );
  }
}
