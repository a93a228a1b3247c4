import type { DatabaseSync } from 'node:sqlite';
import type { Descriptor, Digest } from '../../../src/oci/index.js';

/** Levels of referrers of referrers that go with a deleted subject. */
const GRAPH_DEPTH = 64;

export interface StoredManifest {
  digest: Digest;
  mediaType: string;
  bytes: Uint8Array;
}

/** A manifest as it is put: what it refers to, and how a list of referrers shows it. */
export interface IncomingManifest extends StoredManifest {
  tag?: string;
  subject?: Digest;
  /** Set with `subject`. */
  referrer?: Descriptor;
}

export interface TagEntry {
  tag: string;
  digest: Digest;
  created: string;
  updated: string;
}

/** Manifests, their tags, and who refers to whom. */
export class ManifestStore {
  readonly #database: DatabaseSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /** By tag or digest. */
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

  /** Call it inside a transaction. */
  put(repository: string, manifest: IncomingManifest): void {
    const { digest, mediaType, bytes, tag, subject, referrer } = manifest;
    this.#database
      .prepare(
        `INSERT INTO manifests (repository, digest, media_type, content, subject, referrer, artifact_type)
         VALUES (?, ?, ?, ?, ?, ?, ?)
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
      );
    if (tag === undefined) return;
    const now = new Date().toISOString();
    this.#database
      .prepare(
        `INSERT INTO tags (repository, tag, digest, created, updated) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT (repository, tag) DO UPDATE SET digest = excluded.digest, updated = excluded.updated`,
      )
      .run(repository, tag, digest, now, now);
  }

  /**
   * Deletes a manifest with its tags, and what refers to it, as ACR does; call it inside a transaction.
   * @returns what went, the manifest itself first; empty where it wasn't there
   */
  remove(repository: string, digest: Digest, depth = 0): StoredManifest[] {
    const manifest = this.get(repository, digest);
    if (manifest === undefined || depth > GRAPH_DEPTH) return [];
    const referrers = this.#database
      .prepare('SELECT digest FROM manifests WHERE repository = ? AND subject = ?')
      .all(repository, digest);
    this.#database.prepare('DELETE FROM manifests WHERE repository = ? AND digest = ?').run(repository, digest);
    this.#database.prepare('DELETE FROM tags WHERE repository = ? AND digest = ?').run(repository, digest);
    return [manifest, ...referrers.flatMap((row) => this.remove(repository, row.digest as Digest, depth + 1))];
  }

  removeTag(repository: string, tag: string): boolean {
    const { changes } = this.#database
      .prepare('DELETE FROM tags WHERE repository = ? AND tag = ?')
      .run(repository, tag);
    return changes > 0;
  }

  tag(repository: string, tag: string): TagEntry | undefined {
    const row = this.#database.prepare('SELECT * FROM tags WHERE repository = ? AND tag = ?').get(repository, tag);
    return row === undefined ? undefined : tagEntry(row);
  }

  /** Tags that stand on a digest. */
  tagsOf(repository: string, digest: string): string[] {
    return this.#database
      .prepare('SELECT tag FROM tags WHERE repository = ? AND digest = ?')
      .all(repository, digest)
      .map((row) => String(row.tag));
  }

  /** Tags in lexical order after `last`. */
  tags(repository: string, last: string, count: number): TagEntry[] {
    return this.#database
      .prepare('SELECT * FROM tags WHERE repository = ? AND tag > ? ORDER BY tag LIMIT ?')
      .all(repository, last, count)
      .map(tagEntry);
  }

  /** Tags by the time of their last change, after the tag `last`. */
  tagsByTime(repository: string, last: string, count: number, newestFirst: boolean): TagEntry[] {
    const [beyond, order] = newestFirst ? ['<', 'DESC'] : ['>', 'ASC'];
    const from = last === '' ? undefined : this.tag(repository, last);
    return this.#database
      .prepare(
        `SELECT * FROM tags WHERE repository = ? AND (? IS NULL OR (updated, tag) ${beyond} (?, ?))
         ORDER BY updated ${order}, tag ${order} LIMIT ?`,
      )
      .all(repository, from?.updated ?? null, from?.updated ?? null, from?.tag ?? null, count)
      .map(tagEntry);
  }

  /** Descriptors of what refers to `subject`, in the order of their coming, after the entry numbered `last`. */
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

  /** Repositories that hold a manifest, in lexical order after `last`. */
  repositories(last: string, count: number): string[] {
    return this.#database
      .prepare('SELECT DISTINCT repository FROM manifests WHERE repository > ? ORDER BY repository LIMIT ?')
      .all(last, count)
      .map((row) => String(row.repository));
  }

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
