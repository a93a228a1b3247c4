import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { SQLInputValue, SQLOutputValue, StatementSync } from 'node:sqlite';

/**
 * Table messages: `queue` is the kind of work (`instance`: a turn of that instance, `activity`: one call, `schedule`: a
 * timer function). `lockedBy` is a host. `token` identifies one taking of the message, so that a late holder is
 * recognised.
 */
const SCHEMA = `
CREATE TABLE IF NOT EXISTS hosts (id TEXT PRIMARY KEY, pid INTEGER NOT NULL, beatAt INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS instances (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, execution TEXT NOT NULL, status TEXT NOT NULL,
  input TEXT NOT NULL, output TEXT NOT NULL DEFAULT 'null', customStatus TEXT NOT NULL DEFAULT 'null',
  createdAt INTEGER NOT NULL, updatedAt INTEGER NOT NULL,
  nextTask INTEGER NOT NULL DEFAULT 0, actionsDone INTEGER NOT NULL DEFAULT 0, parent TEXT);
CREATE TABLE IF NOT EXISTS history (
  instance TEXT NOT NULL, seq INTEGER NOT NULL, event TEXT NOT NULL, PRIMARY KEY (instance, seq)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS messages (
  id INTEGER PRIMARY KEY AUTOINCREMENT, queue TEXT NOT NULL, instance TEXT NOT NULL, execution TEXT NOT NULL,
  kind TEXT NOT NULL, body TEXT NOT NULL, visibleAt INTEGER NOT NULL, lockedBy TEXT NOT NULL DEFAULT '',
  token TEXT NOT NULL DEFAULT '', lockedUntil INTEGER NOT NULL DEFAULT 0, tries INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS messagesByTime ON messages (queue, visibleAt);
CREATE INDEX IF NOT EXISTS messagesByInstance ON messages (instance, queue);
CREATE TABLE IF NOT EXISTS timers (
  name TEXT PRIMARY KEY, schedule TEXT NOT NULL, last INTEGER NOT NULL, next INTEGER NOT NULL);
`;

/** How long a connection waits for another one's lock, in milliseconds. */
const BUSY_MS = 15_000;

export type Row = Record<string, SQLOutputValue>;

/** One connection with its prepared statements. */
class Connection {
  readonly db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  constructor(path: string, synchronous: 'FULL' | 'NORMAL') {
    this.db = new DatabaseSync(path);
    this.db.exec(`PRAGMA busy_timeout = ${BUSY_MS};`);
    this.#useWriteAheadLog();
    this.db.exec(`PRAGMA synchronous = ${synchronous};`);
  }

  /** The busy timeout does not apply here: if two hosts create the file at once, one is refused immediately. */
  #useWriteAheadLog(): void {
    for (const until = Date.now() + BUSY_MS; ;) {
      try {
        this.db.exec('PRAGMA journal_mode = WAL;');
        return;
      } catch (error) {
        if (Date.now() > until) throw error;
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
      }
    }
  }

  prepare(sql: string): StatementSync {
    const known = this.#statements.get(sql);
    if (known !== undefined) {
      return known;
    }
    const statement = this.db.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }
}

/** One SQLite file, shared by all host processes. It has the whole state of the hosts. */
export class Database {
  readonly #main: Connection;
  /**
   * The connection for locks. Locks need not survive a power failure, so they do not wait for the disk; commits of
   * `#main` sync them later.
   */
  readonly #locks: Connection;

  constructor(path: string) {
    mkdirSync(dirname(path), { recursive: true });
    this.#main = new Connection(path, 'FULL');
    this.transaction(() => this.#main.db.exec(SCHEMA));
    this.#locks = new Connection(path, 'NORMAL');
  }

  get(sql: string, ...values: SQLInputValue[]): Row | undefined {
    return this.#main.prepare(sql).get(...values);
  }

  all(sql: string, ...values: SQLInputValue[]): Row[] {
    return this.#main.prepare(sql).all(...values);
  }

  /** @returns the number of changed rows */
  run(sql: string, ...values: SQLInputValue[]): number {
    return Number(this.#main.prepare(sql).run(...values).changes);
  }

  /** Runs one statement about locks outside a transaction. Other processes see it at once; the disk has it later. */
  lock(sql: string, ...values: SQLInputValue[]): Row | undefined {
    return this.#locks.prepare(sql).get(...values);
  }

  /** Runs `work` in a transaction that is on disk when this returns. `work` must be synchronous. */
  transaction<T>(work: () => T): T {
    const { db } = this.#main;
    db.exec('BEGIN IMMEDIATE');
    try {
      const result = work();
      db.exec('COMMIT');
      return result;
    } catch (error) {
      if (db.isTransaction) {
        db.exec('ROLLBACK');
      }
      throw error;
    }
  }

  close(): void {
    this.#locks.db.close();
    this.#main.db.close();
  }
}
