import type { DatabaseSync } from 'node:sqlite';

/** What a repository or a tag may still be asked to do. */
export interface Lock {
  writable: boolean;
  deletable: boolean;
}

const OPEN: Lock = { writable: true, deletable: true };
/** Where a lock names the repository itself. */
const WHOLE = '';

/** Repositories and tags that are locked, as `az acr repository update --write-enabled false` does it. */
export class LockStore {
  readonly #database: DatabaseSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /** @param tag undefined: the repository's own */
  of(repository: string, tag = WHOLE): Lock {
    const row = this.#database
      .prepare('SELECT writable, deletable FROM locks WHERE repository = ? AND tag = ?')
      .get(repository, tag);
    return row === undefined ? OPEN : { writable: row.writable === 1, deletable: row.deletable === 1 };
  }

  set(repository: string, tag: string | undefined, { writable, deletable }: Lock): void {
    this.#database
      .prepare('INSERT OR REPLACE INTO locks (repository, tag, writable, deletable) VALUES (?, ?, ?, ?)')
      .run(repository, tag ?? WHOLE, Number(writable), Number(deletable));
  }

  /** A push into the repository, under `tag` where it has one. */
  mayWrite(repository: string, tag?: string): boolean {
    return this.of(repository).writable && (tag === undefined || this.of(repository, tag).writable);
  }

  /** A lock against writing is one against deleting too. */
  mayDelete(repository: string, tags: readonly string[]): boolean {
    return [WHOLE, ...tags].every((tag) => {
      const { writable, deletable } = this.of(repository, tag);
      return writable && deletable;
    });
  }
}
