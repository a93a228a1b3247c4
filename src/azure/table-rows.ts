import { odata, type TableClient } from '@azure/data-tables';
import type { z } from 'zod';
import { InputError, PromoterError } from '../oci/index.js';
import type { Page, PageOptions } from '../ports/page.js';
import type { Versioned } from '../ports/versioned.js';
import { packRow, unpackRow, type RowPlace } from './row-json.js';
import { callStorage, callStorageUnless } from './storage-errors.js';
import { pageToken, parsePageToken } from './table-keys.js';

/** The most rows of a partition that are read together. */
const MOST_LISTED_ROWS = 2_000;
/** Rows per transaction; a limit of the service. */
const TRANSACTION_ROWS = 100;
/** The most rows per page. `PAGE_SIZE_INVALID` */
const MOST_PAGE_ROWS = 100;
/** Rows per answer; a limit of the service. */
const MOST_ANSWER_ROWS = 1_000;
/** The most queries for one page of a filtered list, and the rows that each query after the first reads. */
const MOST_PAGE_QUERIES = 4;
const FILTERED_ROWS = 500;

const CONFLICT = [409];
const NOT_FOUND = [404];
/** 412: another version. 404: the row is gone. */
const MOVED_ON = [404, 412];

/** '~' sorts after every character of a key. */
function endOf(prefix: string): string {
  return prefix === '' ? '' : `${prefix}~`;
}

/** A row as the service returns it. */
export interface ReadEntity {
  partitionKey: string;
  rowKey: string;
  etag: string;
  properties: Record<string, unknown>;
}

/** Called for a row that cannot be parsed; the list skips it. */
export type OnUnreadableRow = (error: PromoterError) => void;

/** Rows stored as JSON in one table. Every call except lists is one request. */
export class TableRows {
  readonly client: TableClient;
  readonly #onUnreadable: OnUnreadableRow;

  constructor(client: TableClient, onUnreadable: OnUnreadableRow) {
    this.client = client;
    this.#onUnreadable = onUnreadable;
  }

  get what(): string {
    return `table ${this.client.tableName}`;
  }

  place(partitionKey: string, rowKey: string): RowPlace {
    return { table: this.client.tableName, partitionKey, rowKey };
  }

  async read(partitionKey: string, rowKey: string): Promise<ReadEntity | undefined> {
    const entity = await callStorageUnless(this.what, NOT_FOUND, () => this.client.getEntity(partitionKey, rowKey));
    return entity && { partitionKey, rowKey, etag: entity.etag, properties: entity };
  }

  async get<T>(partitionKey: string, rowKey: string, schema: z.ZodType<T>): Promise<Versioned<T> | undefined> {
    const entity = await this.read(partitionKey, rowKey);
    return (
      entity && {
        value: unpackRow(entity.properties, schema, this.place(partitionKey, rowKey)),
        version: entity.etag,
      }
    );
  }

  /** @returns false if the row exists */
  async insert(partitionKey: string, rowKey: string, value: unknown): Promise<boolean> {
    const entity = { partitionKey, rowKey, ...packRow(value, this.place(partitionKey, rowKey)) };
    const done = await callStorageUnless(this.what, CONFLICT, () => this.client.createEntity(entity));
    return done !== undefined;
  }

  /** Writes the row, whether it exists or not. */
  async put(partitionKey: string, rowKey: string, value: unknown): Promise<void> {
    const entity = { partitionKey, rowKey, ...packRow(value, this.place(partitionKey, rowKey)) };
    await callStorage(this.what, () => this.client.upsertEntity(entity, 'Replace'));
  }

  /** @returns false if the row has another version */
  async replace(partitionKey: string, rowKey: string, value: unknown, version: string): Promise<boolean> {
    return (await this.replaceAt(partitionKey, rowKey, value, version)) !== undefined;
  }

  /** @returns the new version; undefined if the row has another version */
  async replaceAt(partitionKey: string, rowKey: string, value: unknown, version: string): Promise<string | undefined> {
    const entity = { partitionKey, rowKey, ...packRow(value, this.place(partitionKey, rowKey)) };
    const done = await callStorageUnless(this.what, MOVED_ON, () =>
      this.client.updateEntity(entity, 'Replace', { etag: version }),
    );
    return done?.etag;
  }

  /**
   * Removes the row.
   * @param etag removes it only at this version; default: any version
   * @returns false if it has another version
   */
  async remove(partitionKey: string, rowKey: string, etag = '*'): Promise<boolean> {
    const done = await callStorageUnless(this.what, MOVED_ON, () =>
      this.client.deleteEntity(partitionKey, rowKey, { etag }),
    );
    return done !== undefined || (await this.read(partitionKey, rowKey)) === undefined;
  }

  /** The first rows of a partition after a key, not parsed. */
  rowsAfter(partitionKey: string, after: string, limit: number): Promise<ReadEntity[]> {
    return this.#query(partitionKey, '', after, limit);
  }

  /** The rows of a partition after the token `from`, as many as one request returns, with their versions. */
  async manyOf<T>(partitionKey: string, schema: z.ZodType<T>, from?: string): Promise<Page<Versioned<T>>> {
    const after = from === undefined ? '' : parsePageToken(from, '');
    const rows = await this.rowsAfter(partitionKey, after, MOST_ANSWER_ROWS);
    const items = this.readable(rows, schema).map(({ row, value }) => ({ value, version: row.etag }));
    const last = rows.length === MOST_ANSWER_ROWS ? rows.at(-1) : undefined;
    return { items, ...(last !== undefined && { next: pageToken(last.rowKey) }) };
  }

  /** Removes a whole, small partition. */
  async removeAll(partitionKey: string): Promise<void> {
    for (;;) {
      const rows = await this.#query(partitionKey, '', '', TRANSACTION_ROWS);
      if (rows.length === 0) return;
      await callStorageUnless(this.what, NOT_FOUND, () =>
        this.client.submitTransaction(rows.map(({ rowKey }) => ['delete', { partitionKey, rowKey }])),
      );
    }
  }

  /** Inserts the row if it does not exist. @returns the row that exists then */
  async claim<T>(partitionKey: string, rowKey: string, value: T, schema: z.ZodType<T>): Promise<Versioned<T>> {
    // Read first, because the row nearly always exists.
    const before = await this.get(partitionKey, rowKey, schema);
    if (before !== undefined) {
      return before;
    }
    await this.insert(partitionKey, rowKey, value);
    const after = await this.get(partitionKey, rowKey, schema);
    if (after === undefined) {
      throw new PromoterError('ROW_GONE', `${this.what}: row ${partitionKey} was deleted while it was claimed`, {
        transient: true,
        remedy: 'The app retries. This app never deletes such rows; check whether another program does.',
      });
    }
    return after;
  }

  /**
   * Reads one page of a partition, by row key: the keys that start with `prefix`, up to `end`. With `keep`, the number
   * of queries is limited, so a page may be short or empty although there is more.
   */
  async page<T>(
    partitionKey: string,
    prefix: string,
    schema: z.ZodType<T>,
    options: PageOptions = {},
    keep: (row: T) => boolean = () => true,
    end = endOf(prefix),
  ): Promise<Page<T>> {
    const size = options.size ?? 50;
    if (!Number.isInteger(size) || size < 1 || size > MOST_PAGE_ROWS) {
      throw new InputError('PAGE_SIZE_INVALID', `a page has 1 to ${MOST_PAGE_ROWS} rows, not ${size}`);
    }
    let after = options.from === undefined ? prefix : parsePageToken(options.from, prefix);
    const items: T[] = [];
    // One row more than requested shows whether there is another page.
    let limit = size + 1;
    for (let queries = 0; queries < MOST_PAGE_QUERIES; queries += 1) {
      const rows = await this.#query(partitionKey, end, after, limit);
      for (const row of rows) {
        if (items.length === size) return { items, next: pageToken(after) };
        after = row.rowKey;
        items.push(...this.readable([row], schema).flatMap(({ value }) => (keep(value) ? [value] : [])));
      }
      if (rows.length < limit) return { items };
      limit = FILTERED_ROWS;
    }
    return { items, next: pageToken(after) };
  }

  /** Reads the first 2,000 rows of a partition, such as a run's steps. Further rows are ignored. */
  async first<T>(partitionKey: string, schema: z.ZodType<T>): Promise<T[]> {
    return this.readable(await this.#query(partitionKey, '', '', MOST_LISTED_ROWS), schema).map(({ value }) => value);
  }

  /** A page over all partitions whose keys start with `prefix`; the rows are not parsed. */
  async pageOfPartitions(prefix: string, size: number, from?: string): Promise<{ rows: ReadEntity[]; next?: string }> {
    const key = from === undefined ? undefined : parsePageToken(from, prefix);
    const at = key?.lastIndexOf('|') ?? 0;
    const after = key === undefined ? prefix : key.slice(0, at);
    // First the rest of the current partition, then the partitions after it. One filter with `or` would scan the whole
    // table.
    const rows = key === undefined ? [] : await this.#query(after, '', key.slice(at + 1), size);
    if (rows.length < size) {
      const filter = odata`PartitionKey gt ${after} and PartitionKey lt ${`${prefix}~`}`;
      rows.push(...(await this.#entities(filter, size - rows.length)));
    }
    const last = rows.at(-1);
    const isMore = rows.length === size && last !== undefined;
    return { rows, ...(isMore && { next: pageToken(`${last.partitionKey}|${last.rowKey}`) }) };
  }

  /** @param end the list ends before this key; empty: at the end of the partition */
  #query(partitionKey: string, end: string, after: string, limit: number): Promise<ReadEntity[]> {
    const filter =
      odata`PartitionKey eq ${partitionKey} and RowKey gt ${after}` + (end === '' ? '' : odata` and RowKey lt ${end}`);
    return this.#entities(filter, limit);
  }

  #entities(filter: string, limit: number): Promise<ReadEntity[]> {
    return callStorage(this.what, async () => {
      const rows: ReadEntity[] = [];
      // The service may return fewer rows than requested, even none, although there are more.
      const pages = this.client
        .listEntities({ queryOptions: { filter } })
        .byPage({ maxPageSize: Math.min(limit, MOST_ANSWER_ROWS) });
      for await (const entities of pages) {
        for (const entity of entities) {
          const { partitionKey = '', rowKey = '', etag } = entity;
          rows.push({ partitionKey, rowKey, etag, properties: entity });
        }
        if (rows.length >= limit) {
          break;
        }
      }
      return rows.slice(0, limit);
    });
  }

  /** Parses the rows and skips those that cannot be parsed. */
  readable<T>(rows: readonly ReadEntity[], schema: z.ZodType<T>): { row: ReadEntity; value: T }[] {
    return rows.flatMap((row) => {
      try {
        return [{ row, value: unpackRow(row.properties, schema, this.place(row.partitionKey, row.rowKey)) }];
      } catch (error) {
        if (!(error instanceof PromoterError)) throw error;
        this.#onUnreadable(error);
        return [];
      }
    });
  }
}
