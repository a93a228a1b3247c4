import { DatabaseSync } from 'node:sqlite';
import { SCHEMA } from './database.js';
import { ManifestStore } from './manifests.js';

/** Tables of what {@link ManifestStore} reads. */
const COPIED = ['manifests', 'tags', 'locks'];

/** What reads see of the manifests and tags: another region's copy of a geo-replicated registry, which learns of writes later. */
export class LateReads {
  /** What reads see; the store itself if they are not late. */
  readonly store: ManifestStore;
  readonly #lateMs: number | undefined;
  readonly #copy: DatabaseSync | undefined;
  readonly #timers = new Set<NodeJS.Timeout>();

  /** @param lateMs undefined: reads see each write at once */
  constructor(database: DatabaseSync, written: ManifestStore, lateMs: number | undefined) {
    this.#lateMs = lateMs;
    this.#copy = lateMs === undefined ? undefined : copyOf(database);
    this.store = this.#copy === undefined ? written : new ManifestStore(this.#copy);
  }

  /** Does a write that was committed where reads see it, in its time. */
  later(write: (store: ManifestStore) => void): void {
    if (this.#copy === undefined) return;
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      write(this.store);
    }, this.#lateMs);
    this.#timers.add(timer);
  }

  close(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#copy?.close();
  }
}

/** What is there when the registry starts is seen at once. */
function copyOf(database: DatabaseSync): DatabaseSync {
  const copy = new DatabaseSync(':memory:');
  copy.exec(SCHEMA);
  for (const table of COPIED) {
    for (const row of database.prepare(`SELECT * FROM ${table}`).all()) {
      const names = Object.keys(row);
      copy
        .prepare(`INSERT INTO ${table} (${names.join(', ')}) VALUES (${names.map(() => '?').join(', ')})`)
        .run(...Object.values(row));
    }
  }
  return copy;
}
