import type { DatabaseSync } from 'node:sqlite';

/** What may be done with a repository, tag or manifest. ACR calls these changeable attributes. */
export interface Lock {
  writable: boolean;
  deletable: boolean;
  readable: boolean;
  /** If false, lists leave it out. */
  listable: boolean;
}

const OPEN: Lock = { writable: true, deletable: true, readable: true, listable: true };
/** The reference of a lock on the repository itself. */
const WHOLE = '';

/** SQL that is true if no lock hides the entry from lists; `reference` is the column or text that names it. */
export function isListed(repository: string, reference: string): string {
  return `NOT EXISTS (SELECT 1 FROM locks WHERE locks.repository = ${repository} AND reference = ${reference} AND NOT listable)`;
}

/** Locked repositories, tags and manifests, as `az acr repository update --write-enabled false` locks them. */
export class LockStore {
  readonly #database: DatabaseSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /** @param reference a tag or digest; undefined: the repository itself */
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

  /** True if manifests and tags that `references` names may be pushed. */
  mayWrite(repository: string, references: readonly string[] = []): boolean {
    return [WHOLE, ...references].every((reference) => this.of(repository, reference).writable);
  }

  /** True if these may be deleted. A lock against writing also prevents deleting. */
  mayDelete(repository: string, references: readonly string[]): boolean {
    return [WHOLE, ...references].every((reference) => {
      const { writable, deletable } = this.of(repository, reference);
      return writable && deletable;
    });
  }

  mayRead(repository: string, references: readonly string[] = []): boolean {
    return [WHOLE, ...references].every((reference) => this.of(repository, reference).readable);
  }

  /** True if neither the repository nor anything in it is locked against deleting. */
  mayDeleteAll(repository: string): boolean {
    return (
      this.#database
        .prepare('SELECT 1 FROM locks WHERE repository = ? AND NOT (writable AND deletable) LIMIT 1')
        .get(repository) === undefined
    );
  }
}
