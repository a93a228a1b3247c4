import type { TransactionAction } from '@azure/data-tables';
import { z } from 'zod';
import type { Page, PageOptions } from '../ports/page.js';
import type { Versioned } from '../ports/versioned.js';
import { packRow, unpackRow, type RowChunks } from './row-json.js';
import { callStorageUnless } from './storage-errors.js';
import type { TableRows } from './table-rows.js';

/** How rows of one kind are stored: the row itself and its copies in lists, all in one partition. */
export interface Listing<T, C> {
  partitionKey: string;
  rowKeyOf(id: string): string;
  schema: z.ZodType<T>;
  /** Row keys of the copies: the prefix of a list, then the sort key. */
  copyKeysOf(copy: C): string[];
  copyOf(row: T): C;
  copySchema: z.ZodType<C>;
}

/**
 * Rows with copies in lists; each write is one transaction. The property `copies` and the version both hold the row
 * keys of the copies, so a replace finds them without a read, even if another version of this code chose other keys.
 */
export class ListedRows<T extends { id: string }, C> {
  readonly #rows: TableRows;
  readonly #listing: Listing<T, C>;

  constructor(rows: TableRows, listing: Listing<T, C>) {
    this.#rows = rows;
    this.#listing = listing;
  }

  async get(id: string): Promise<Versioned<T> | undefined> {
    const { partitionKey, schema } = this.#listing;
    const rowKey = this.#listing.rowKeyOf(id);
    const entity = await this.#rows.read(partitionKey, rowKey);
    if (entity === undefined) return undefined;
    const value = unpackRow(entity.properties, schema, this.#rows.place(partitionKey, rowKey));
    return { value, version: versionOf(entity.etag, entity.properties) };
  }

  /** @returns false if the row exists */
  async insert(row: T): Promise<boolean> {
    const keys = this.#listing.copyKeysOf(this.#listing.copyOf(row));
    return this.#submit([['create', this.#entity(row, keys)], ...this.#putCopies(row, keys)]);
  }

  /** @returns false if the row has another version */
  async replace(row: T, version: string): Promise<boolean> {
    const { etag, copies: before } = parseVersion(version);
    const keys = this.#listing.copyKeysOf(this.#listing.copyOf(row));
    const { partitionKey } = this.#listing;
    return this.#submit([
      ['update', this.#entity(row, keys), 'Replace', { etag }],
      ...this.#putCopies(row, keys),
      ...before
        .filter((rowKey) => !keys.includes(rowKey))
        .map((rowKey): TransactionAction => ['delete', { partitionKey, rowKey }]),
    ]);
  }

  /** Removes the row, then its copies. @returns false if the row has another version */
  async remove(id: string, version: string): Promise<boolean> {
    const { partitionKey } = this.#listing;
    const { etag, copies } = parseVersion(version);
    const there = await this.#etagsOf(copies);
    if (!(await this.#rows.remove(partitionKey, this.#listing.rowKeyOf(id), etag))) return false;
    await this.#removeCopies(there);
    return true;
  }

  /** Removes copies that a crash left behind after their row was removed. If the row exists again, its copies stay. */
  async removeLeft(id: string, copy: C): Promise<void> {
    const there = await this.#etagsOf(this.#listing.copyKeysOf(copy));
    if ((await this.get(id)) === undefined) await this.#removeCopies(there);
  }

  async #etagsOf(keys: readonly string[]): Promise<{ rowKey: string; etag: string }[]> {
    const { partitionKey } = this.#listing;
    const found = await Promise.all(keys.map((rowKey) => this.#rows.read(partitionKey, rowKey)));
    return found.flatMap((entity) => (entity === undefined ? [] : [entity]));
  }

  /** Removes each copy only at the ETag that was read, so that a copy written since stays. */
  async #removeCopies(copies: readonly { rowKey: string; etag: string }[]): Promise<void> {
    const { partitionKey } = this.#listing;
    await Promise.all(copies.map(({ rowKey, etag }) => this.#rows.remove(partitionKey, rowKey, etag)));
  }

  /**
   * Reads one page of the list with this prefix.
   * @param keep filters by what the list is not sorted by
   * @param end where the list ends; default: everything with the prefix
   */
  list(prefix: string, options?: PageOptions, keep?: (copy: C) => boolean, end?: string): Promise<Page<C>> {
    const { partitionKey, copySchema } = this.#listing;
    return this.#rows.page(partitionKey, prefix, copySchema, options, keep, end);
  }

  #entity(row: T, copies: readonly string[]): { partitionKey: string; rowKey: string; copies: string } & RowChunks {
    const { partitionKey } = this.#listing;
    const rowKey = this.#listing.rowKeyOf(row.id);
    const chunks = packRow(row, this.#rows.place(partitionKey, rowKey));
    return { ...chunks, partitionKey, rowKey, copies: JSON.stringify(copies) };
  }

  #putCopies(row: T, keys: readonly string[]): TransactionAction[] {
    const { partitionKey } = this.#listing;
    const chunks = packRow(this.#listing.copyOf(row), this.#rows.place(partitionKey, keys[0] ?? ''));
    return keys.map((rowKey) => ['upsert', { ...chunks, partitionKey, rowKey }, 'Replace']);
  }

  /** @returns false if the row exists, has another version, or is gone */
  async #submit(actions: TransactionAction[]): Promise<boolean> {
    const done = await callStorageUnless(this.#rows.what, [404, 409, 412], () =>
      this.#rows.client.submitTransaction(actions),
    );
    return done !== undefined;
  }
}

function versionOf(etag: string, { copies }: Record<string, unknown>): string {
  return JSON.stringify([etag, copies]);
}

/** Versions are made by {@link versionOf} only. */
const versionSchema = z.tuple([z.string(), z.string()]);

function parseVersion(version: string): { etag: string; copies: string[] } {
  const [etag, copies] = versionSchema.parse(JSON.parse(version));
  return { etag, copies: z.array(z.string()).parse(JSON.parse(copies)) };
}
