import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Refusal } from '../refusal.js';

/** The version of the schema, increased when a table changes. */
const SCHEMA_VERSION = 1;
export const SCHEMA = `
PRAGMA user_version = ${SCHEMA_VERSION};
CREATE TABLE IF NOT EXISTS blobs (
  repository TEXT NOT NULL, digest TEXT NOT NULL, size INTEGER NOT NULL,
  PRIMARY KEY (repository, digest)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS blobs_by_digest ON blobs (digest);
CREATE TABLE IF NOT EXISTS manifests (
  id INTEGER PRIMARY KEY AUTOINCREMENT, repository TEXT NOT NULL, digest TEXT NOT NULL, media_type TEXT NOT NULL,
  content BLOB NOT NULL, subject TEXT, referrer TEXT, artifact_type TEXT, described TEXT NOT NULL, created TEXT NOT NULL,
  updated TEXT NOT NULL, UNIQUE (repository, digest));
CREATE INDEX IF NOT EXISTS manifests_by_time ON manifests (repository, updated, id);
CREATE INDEX IF NOT EXISTS manifests_by_subject ON manifests (repository, subject, id) WHERE subject IS NOT NULL;
CREATE TABLE IF NOT EXISTS tags (
  repository TEXT NOT NULL, tag TEXT NOT NULL, digest TEXT NOT NULL, created TEXT NOT NULL, updated TEXT NOT NULL,
  PRIMARY KEY (repository, tag)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS tags_by_digest ON tags (repository, digest);
CREATE INDEX IF NOT EXISTS tags_by_time ON tags (repository, updated, tag);
CREATE TABLE IF NOT EXISTS locks (
  repository TEXT NOT NULL, reference TEXT NOT NULL, writable INTEGER NOT NULL, deletable INTEGER NOT NULL,
  readable INTEGER NOT NULL, listable INTEGER NOT NULL, PRIMARY KEY (repository, reference)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS events (
  id INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT NOT NULL, created INTEGER NOT NULL,
  tries INTEGER NOT NULL DEFAULT 0, due INTEGER NOT NULL);
`;

/**
 * Everything except the bytes of blobs. Each statement is on disk when it returns. Only one process may use it: a
 * second one fails at once, and a killed one leaves no lock behind.
 * @throws Refusal `DATA_FOLDER_IN_USE`, `DATA_FOLDER_OLD`
 */
export function openDatabase(folder: string): DatabaseSync {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const database = new DatabaseSync(join(folder, 'registry.sqlite'));
  try {
    database.exec(
      'PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA case_sensitive_like = ON',
    );
    refuseOld(database, folder);
    database.exec(SCHEMA);
  } catch (cause) {
    database.close();
    if (cause instanceof Refusal) throw cause;
    throw new Refusal(
      0,
      'DATA_FOLDER_IN_USE',
      `the data folder ${folder} is used by another registry or cannot be read`,
      {
        cause,
      },
    );
  }
  return database;
}

function refuseOld(database: DatabaseSync, folder: string): void {
  const isEmpty = database.prepare('SELECT 1 FROM sqlite_master').get() === undefined;
  const version = Number(database.prepare('PRAGMA user_version').get()?.user_version);
  if (isEmpty || version === SCHEMA_VERSION) return;
  throw new Refusal(0, 'DATA_FOLDER_OLD', `the data folder ${folder} was made by another version: delete it`);
}

/** Runs `work` in one transaction. */
export function transaction<T>(database: DatabaseSync, work: () => T): T {
  database.exec('BEGIN IMMEDIATE');
  try {
    const result = work();
    database.exec('COMMIT');
    return result;
  } catch (error) {
    database.exec('ROLLBACK');
    throw error;
  }
}
