import { DatabaseSync } from 'node:sqlite';
import { SCHEMA } from './database.js';
import { ManifestStore } from './manifests.js';

/** The tables that {@link ManifestStore} reads. */
const COPIED = ['manifests', 'tags', 'locks'];

/**
 * The manifests and tags that reads see: with `lateReadsMs`, another region's copy of a geo-replicated registry that
 * sees writes later.
 */
export class LateReads {
  /** What reads see; the store itself if reads are not late. */
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

  /** Repeats a committed write in the copy after the delay. */
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

/** A copy of what exists when the registry starts, so that this is visible at once. */
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
