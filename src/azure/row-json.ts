import type { z } from 'zod';
import { InputError, IntegrityError } from '../oci/index.js';

/** UTF-16 units of JSON in one property of a table row. The service allows 32,768. */
const ROW_CHUNK_UNITS = 32_000;
/** The most properties that the JSON of one row may fill. `ROW_TOO_LARGE` */
const MOST_ROW_CHUNKS = 8;

/** The position of a row, for error messages. */
export interface RowPlace {
  table: string;
  partitionKey: string;
  rowKey: string;
}

/** The properties of an entity that hold JSON: `j0`, `j1`, … */
export type RowChunks = Record<string, string>;

const isHighSurrogate = (unit: number): boolean => unit >= 0xd800 && unit <= 0xdbff;

/** Serialises a row. @throws InputError `ROW_TOO_LARGE` */
export function packRow(value: unknown, place: RowPlace): RowChunks {
  const json = JSON.stringify(value);
  const chunks: RowChunks = {};
  let count = 0;
  for (let start = 0; start < json.length; count += 1) {
    let end = Math.min(start + ROW_CHUNK_UNITS, json.length);
    // Never split a surrogate pair, which UTF-8 cannot encode in halves.
    if (end < json.length && isHighSurrogate(json.charCodeAt(end - 1))) {
      end -= 1;
    }
    chunks[`j${count}`] = json.slice(start, end);
    start = end;
  }
  if (count > MOST_ROW_CHUNKS) {
    throw new InputError('ROW_TOO_LARGE', `a row of table ${place.table} has ${json.length} characters of JSON`, {
      details: { ...place, characters: json.length },
      remedy: `Make the rule or the job smaller; the maximum is ${MOST_ROW_CHUNKS * ROW_CHUNK_UNITS} characters.`,
    });
  }
  return chunks;
}

/** Parses a row. @throws IntegrityError `ROW_UNREADABLE` if it does not match `schema` */
export function unpackRow<T>(entity: Record<string, unknown>, schema: z.ZodType<T>, place: RowPlace): T {
  let json = '';
  for (let index = 0; index < MOST_ROW_CHUNKS; index += 1) {
    const chunk = entity[`j${index}`];
    if (typeof chunk !== 'string') {
      break;
    }
    json += chunk;
  }
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    throw unreadable(place, 'it is not JSON');
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success) {
    throw unreadable(place, parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.code}`).join(', '));
  }
  return parsed.data;
}

function unreadable(place: RowPlace, reason: string): IntegrityError {
  const { table, partitionKey, rowKey } = place;
  return new IntegrityError('ROW_UNREADABLE', `table ${table}, row ${partitionKey} / ${rowKey}: ${reason}`, {
    details: { ...place, reason: reason.slice(0, 500) },
    remedy: 'A newer version may have written it: deploy that version again, or delete the row.',
  });
}
