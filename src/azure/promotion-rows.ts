import type { TransactionAction } from '@azure/data-tables';
import { InputError } from '../oci/index.js';
import type { Page, PageOptions } from '../runs/ports.js';
import { promotionRowSchema } from '../runs/row-schemas.js';
import type { PromotionRow, Versioned } from '../runs/rows.js';
import { invertedTime } from '../runs/run-id.js';
import { packRow, unpackRow } from './row-json.js';
import { callStorageUnless } from './storage-errors.js';
import { encodeKey } from './table-keys.js';
import type { TableRows } from './table-rows.js';

const PARTITION = 'promotion';
const rowKeyOf = (id: string): string => `id|${encodeKey(id)}`;

/** Row keys of a promotion's copies. */
interface Copies {
  at: string;
  open?: string;
}

/** Where a row's copies belong. In the list of those not at rest: a run is open, or `wanted` was not answered. */
function copiesOf(row: PromotionRow): Copies {
  const ms = Date.parse(row.runOpenedAt ?? row.wantedAt);
  const id = encodeKey(row.id);
  return {
    at: `at|${invertedTime(ms)}|${id}`,
    ...((row.runOpen || row.wanted > row.answered) && { open: `open|${id}` }),
  };
}

/**
 * Promotion rows with their copies for the two lists, in one transaction each. The row's properties `at` and `open` say where its
 * copies are, and so does a version, beside the ETag: a replace finds them without reading.
 */
export class PromotionRows {
  readonly #rows: TableRows;

  constructor(rows: TableRows) {
    this.#rows = rows;
  }

  async get(id: string): Promise<Versioned<PromotionRow> | undefined> {
    const rowKey = rowKeyOf(id);
    const entity = await this.#rows.read(PARTITION, rowKey);
    if (entity === undefined) {
      return undefined;
    }
    const value = unpackRow(entity.properties, promotionRowSchema, this.#rows.place(PARTITION, rowKey));
    return { value, version: versionOf(entity.etag, entity.properties) };
  }

  async insert(row: PromotionRow): Promise<boolean> {
    const chunks = this.#pack(row);
    const copies = copiesOf(row);
    return this.#submit([
      ['create', { partitionKey: PARTITION, rowKey: rowKeyOf(row.id), ...copies, ...chunks }],
      ...putCopies(copies, chunks),
    ]);
  }

  async replace(row: PromotionRow, version: string): Promise<boolean> {
    const { etag, copies: old } = parseVersion(version);
    const chunks = this.#pack(row);
    const now = copiesOf(row);
    return this.#submit([
      ['update', { partitionKey: PARTITION, rowKey: rowKeyOf(row.id), ...now, ...chunks }, 'Replace', { etag }],
      ...putCopies(now, chunks),
      ...(old.at === now.at ? [] : [deleteCopy(old.at)]),
      ...(old.open === undefined || old.open === now.open ? [] : [deleteCopy(old.open)]),
    ]);
  }

  async list(options?: PageOptions): Promise<Page<PromotionRow>> {
    return this.#rows.page(PARTITION, 'at|', promotionRowSchema, options);
  }

  async listOpen(options?: PageOptions): Promise<Page<PromotionRow>> {
    return this.#rows.page(PARTITION, 'open|', promotionRowSchema, options);
  }

  #pack(row: PromotionRow): Record<string, string> {
    return packRow(row, this.#rows.place(PARTITION, rowKeyOf(row.id)));
  }

  /** @returns false where the row exists, is at another version, or is gone. */
  async #submit(actions: TransactionAction[]): Promise<boolean> {
    const done = await callStorageUnless(this.#rows.what, [404, 409, 412], () =>
      this.#rows.client.submitTransaction(actions),
    );
    return done !== undefined;
  }
}

function putCopies(copies: Copies, chunks: Record<string, string>): TransactionAction[] {
  return [copies.at, ...(copies.open === undefined ? [] : [copies.open])].map((rowKey) => [
    'upsert',
    { partitionKey: PARTITION, rowKey, ...chunks },
    'Replace',
  ]);
}

function deleteCopy(rowKey: string): TransactionAction {
  return ['delete', { partitionKey: PARTITION, rowKey }];
}

/** The copies are where the row says: an older version of this code may have placed them otherwise. */
function versionOf(etag: string, { at, open }: Record<string, unknown>): string {
  return JSON.stringify([etag, at, open ?? null]);
}

function parseVersion(version: string): { etag: string; copies: Copies } {
  let parts: unknown;
  try {
    parts = JSON.parse(version);
  } catch {
    parts = undefined;
  }
  const [etag, at, open] = Array.isArray(parts) ? (parts as unknown[]) : [];
  if (typeof etag !== 'string' || typeof at !== 'string') {
    throw new InputError('VERSION_INVALID', 'that is no version of a promotion row', {
      remedy: 'Use the version that came with the row.',
    });
  }
  return { etag, copies: { at, ...(typeof open === 'string' && { open }) } };
}
