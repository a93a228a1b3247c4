import type { DatabaseSync } from 'node:sqlite';
import type { Descriptor, Digest } from '../../../src/oci/index.js';
import { isListed } from './locks.js';

/** The most levels of referrers that are deleted with their subject. */
const GRAPH_DEPTH = 64;

export interface StoredManifest {
  digest: Digest;
  mediaType: string;
  bytes: Uint8Array;
}

/** A manifest to store: what it refers to, and its entry in a list of referrers. */
export interface IncomingManifest extends StoredManifest {
  tag?: string;
  subject?: Digest;
  /** Present if there is a `subject`. */
  referrer?: Descriptor;
  /** Default: only its own bytes. */
  described?: Described;
}

/** What ACR's lists show of a manifest besides digest and times. Read when it is pushed. */
export interface Described {
  /** Bytes of everything that it consists of. */
  imageSize: number;
  architecture?: string;
  os?: string;
  configMediaType?: string;
  /** An index's manifests. */
  references?: { digest: Digest; architecture?: string; os?: string }[];
}

export interface ManifestEntry {
  digest: Digest;
  mediaType: string;
  described: Described;
  created: string;
  updated: string;
}

/** By name or digest, or by the time of the last change. */
export type Order = '' | 'timedesc' | 'timeasc';

interface InOrder {
  order: Order;
  /** The name of the entry before the first one; empty: start at the beginning. */
  last: string;
  count: number;
}

export interface TagEntry {
  tag: string;
  digest: Digest;
  created: string;
  updated: string;
}

/** Manifests, their tags and their referrers. */
export class ManifestStore {
  readonly #database: DatabaseSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /** Finds a manifest by tag or digest. */
  get(repository: string, reference: string): StoredManifest | undefined {
    const digest = reference.includes(':') ? reference : this.tag(repository, reference)?.digest;
    if (digest === undefined) return undefined;
    const row = this.#database
      .prepare('SELECT digest, media_type, content FROM manifests WHERE repository = ? AND digest = ?')
      .get(repository, digest);
    if (row === undefined) return undefined;
    return { digest: row.digest as Digest, mediaType: String(row.media_type), bytes: row.content as Uint8Array };
  }

  has(repository: string, digest: Digest): boolean {
    const row = this.#database
      .prepare('SELECT 1 FROM manifests WHERE repository = ? AND digest = ?')
      .get(repository, digest);
    return row !== undefined;
  }

  /**
   * Call inside a transaction. The times of an existing manifest stay: a new tag changes only the tag's time. ACR's
   * behaviour is not documented, but a client that reads both lists finds all changes either way.
   */
  put(repository: string, manifest: IncomingManifest, now = new Date().toISOString()): void {
    const { digest, mediaType, bytes, tag, subject, referrer, described = { imageSize: bytes.length } } = manifest;
    this.#database
      .prepare(
        `INSERT INTO manifests
           (repository, digest, media_type, content, subject, referrer, artifact_type, described, created, updated)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (repository, digest) DO UPDATE SET media_type = excluded.media_type, referrer = excluded.referrer`,
      )
      .run(
        repository,
        digest,
        mediaType,
        bytes,
        subject ?? null,
        referrer === undefined ? null : JSON.stringify(referrer),
        referrer?.artifactType ?? null,
        JSON.stringify(described),
        now,
        now,
      );
    if (tag === undefined) return;
    this.#database
      .prepare(
        `INSERT INTO tags (repository, tag, digest, created, updated) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT (repository, tag) DO UPDATE SET digest = excluded.digest, updated = excluded.updated`,
      )
      .run(repository, tag, digest, now, now);
  }

  /**
   * Deletes a manifest with its tags, locks and referrers, as ACR does. Call inside a transaction.
   * @returns what was deleted, the manifest first; empty if it did not exist
   */
  remove(repository: string, digest: Digest, depth = 0): ManifestEntry[] {
    const manifest = this.manifest(repository, digest);
    if (manifest === undefined || depth > GRAPH_DEPTH) return [];
    const referrers = this.#database
      .prepare('SELECT digest FROM manifests WHERE repository = ? AND subject = ?')
      .all(repository, digest);
    for (const name of [digest, ...this.tagsOf(repository, digest)]) this.#forgetLock(repository, name);
    this.#database.prepare('DELETE FROM manifests WHERE repository = ? AND digest = ?').run(repository, digest);
    this.#database.prepare('DELETE FROM tags WHERE repository = ? AND digest = ?').run(repository, digest);
    return [manifest, ...referrers.flatMap((row) => this.remove(repository, row.digest as Digest, depth + 1))];
  }

  removeTag(repository: string, tag: string): boolean {
    const { changes } = this.#database
      .prepare('DELETE FROM tags WHERE repository = ? AND tag = ?')
      .run(repository, tag);
    this.#forgetLock(repository, tag);
    return changes > 0;
  }

  /** Deletes all manifests, tags and locks of a repository. Call inside a transaction. */
  removeAll(repository: string): { manifests: ManifestEntry[]; tags: string[] } {
    const remove = (table: string) =>
      this.#database.prepare(`DELETE FROM ${table} WHERE repository = ? RETURNING *`).all(repository);
    remove('locks');
    return { manifests: remove('manifests').map(manifestEntry), tags: remove('tags').map(({ tag }) => String(tag)) };
  }

  #forgetLock(repository: string, reference: string): void {
    this.#database.prepare('DELETE FROM locks WHERE repository = ? AND reference = ?').run(repository, reference);
  }

  tag(repository: string, tag: string): TagEntry | undefined {
    const row = this.#database.prepare('SELECT * FROM tags WHERE repository = ? AND tag = ?').get(repository, tag);
    return row === undefined ? undefined : tagEntry(row);
  }

  /** The tags with this digest. */
  tagsOf(repository: string, digest: string): string[] {
    return this.#database
      .prepare('SELECT tag FROM tags WHERE repository = ? AND digest = ?')
      .all(repository, digest)
      .map((row) => String(row.tag));
  }

  /** The tags that lists show; with `digest`, only the tags of that digest. */
  tags(repository: string, { order, last, count, digest }: InOrder & { digest?: string }): TagEntry[] {
    const from = order === '' ? { updated: '', tag: last } : last === '' ? undefined : this.tag(repository, last);
    return this.#database
      .prepare(
        `SELECT * FROM tags WHERE repository = ?1 AND (?2 IS NULL OR digest = ?2) AND ${isListed('?1', 'tag')}
         AND ${after(order, 'tag', '?3', '?4')} LIMIT ?5`,
      )
      .all(repository, digest ?? null, from?.updated ?? null, from?.tag ?? null, count)
      .map(tagEntry);
  }

  /** The manifests that lists show. */
  manifests(repository: string, { order, last, count }: InOrder): ManifestEntry[] {
    const from = last === '' ? undefined : this.manifest(repository, last);
    return this.#database
      .prepare(
        `SELECT digest, media_type, described, created, updated FROM manifests
         WHERE repository = ?1 AND ${isListed('?1', 'digest')} AND ${after(order, 'digest', '?2', '?3')} LIMIT ?4`,
      )
      .all(repository, from?.updated ?? null, order === '' ? last : (from?.digest ?? null), count)
      .map(manifestEntry);
  }

  /** Counts and times of a repository. */
  summary(repository: string): {
    createdTime: string;
    lastUpdateTime: string;
    manifestCount: number;
    tagCount: number;
  } {
    const row = this.#database
      .prepare(
        'SELECT min(created) AS created, max(updated) AS updated, count(*) AS n FROM manifests WHERE repository = ?',
      )
      .get(repository);
    const tags = this.#database.prepare('SELECT count(*) AS n FROM tags WHERE repository = ?').get(repository);
    return {
      createdTime: String(row?.created),
      lastUpdateTime: String(row?.updated),
      manifestCount: Number(row?.n),
      tagCount: Number(tags?.n),
    };
  }

  manifest(repository: string, digest: string): ManifestEntry | undefined {
    const row = this.#database
      .prepare('SELECT * FROM manifests WHERE repository = ? AND digest = ?')
      .get(repository, digest);
    return row === undefined ? undefined : manifestEntry(row);
  }

  /** Descriptors of the referrers of `subject`, by arrival, after the entry numbered `last`. */
  referrers(
    repository: string,
    subject: Digest,
    options: { artifactType?: string; last: number; count: number },
  ): { id: number; descriptor: Descriptor }[] {
    return this.#database
      .prepare(
        `SELECT id, referrer FROM manifests
         WHERE repository = ? AND subject = ? AND id > ? AND (? IS NULL OR artifact_type = ?) ORDER BY id LIMIT ?`,
      )
      .all(repository, subject, options.last, options.artifactType ?? null, options.artifactType ?? null, options.count)
      .map((row) => ({ id: Number(row.id), descriptor: JSON.parse(String(row.referrer)) as Descriptor }));
  }

  /** The repositories with a manifest, in lexical order after `last`. */
  repositories(last: string, count: number): string[] {
    return this.#database
      .prepare(
        `SELECT DISTINCT repository FROM manifests
         WHERE repository > ? AND ${isListed('manifests.repository', "''")} ORDER BY repository LIMIT ?`,
      )
      .all(last, count)
      .map((row) => String(row.repository));
  }

  /** True if the repository holds anything, even a single blob. */
  hasRepository(repository: string): boolean {
    return (
      this.#database
        .prepare(
          'SELECT 1 FROM manifests WHERE repository = ? UNION ALL SELECT 1 FROM blobs WHERE repository = ? LIMIT 1',
        )
        .get(repository, repository) !== undefined
    );
  }
}

function tagEntry(row: Record<string, unknown>): TagEntry {
  return {
    tag: String(row.tag),
    digest: row.digest as Digest,
    created: String(row.created),
    updated: String(row.updated),
  };
}

function manifestEntry(row: Record<string, unknown>): ManifestEntry {
  return {
    digest: row.digest as Digest,
    mediaType: String(row.media_type),
    described: JSON.parse(String(row.described)) as Described,
    created: String(row.created),
    updated: String(row.updated),
  };
}

/** SQL for the entries after one, in an order. Null means the beginning. */
function after(order: Order, name: 'tag' | 'digest', updated: string, last: string): string {
  if (order === '') return `${name} > ${last} ORDER BY ${name}`;
  const [beyond, direction] = order === 'timedesc' ? ['<', 'DESC'] : ['>', 'ASC'];
  return `(${updated} IS NULL OR (updated, ${name}) ${beyond} (${updated}, ${last}))
    ORDER BY updated ${direction}, ${name} ${direction}`;
}
