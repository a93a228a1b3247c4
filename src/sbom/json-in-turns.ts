import { overLimit } from './sbom-errors.js';
import { ITEMS_PER_LOOK, type Turns } from './turns.js';

/** Characters that are collected before they are encoded. */
const BATCH_CHARS = 1024 * 1024;

/**
 * Encodes the result of `JSON.stringify(value, undefined, 1)` and a line feed, piece by piece. An iterable that is not
 * an array is written as an array whose items are created when they are written.
 * @throws InputError `SBOM_LIMIT` for more than `mostBytes`
 */
export async function jsonInTurns(value: unknown, mostBytes: number, turns: Turns): Promise<Uint8Array> {
  const batches: Buffer[] = [];
  let batch = '';
  let bytes = 0;
  const flush = (): void => {
    const encoded = Buffer.from(batch);
    bytes += encoded.length;
    if (bytes > mostBytes) throw overLimit('documentBytes', 'the SBOM is longer', mostBytes);
    batches.push(encoded);
    batch = '';
  };
  for (const piece of piecesOf(value, '')) {
    batch += piece;
    if (batch.length >= BATCH_CHARS) flush();
    if (turns.isOver) await turns.rest();
  }
  batch += '\n';
  flush();
  return Buffer.concat(batches);
}

function* piecesOf(value: unknown, indent: string): Generator<string> {
  if (!isLong(value)) {
    yield JSON.stringify(value, undefined, 1).replaceAll('\n', `\n${indent}`);
    return;
  }
  const inner = `${indent} `;
  const isList = isIterable(value);
  let before = isList ? '[' : '{';
  for (const entry of isList ? value : membersOf(value)) {
    const [name, item] = isList ? ['', entry] : (entry as [string, unknown]);
    yield `${before}\n${inner}${isList ? '' : `${JSON.stringify(name)}: `}`;
    yield* piecesOf(item, inner);
    before = ',';
  }
  if (before === ',') yield `\n${indent}${isList ? ']' : '}'}`;
  else yield isList ? '[]' : '{}';
}

function membersOf(value: unknown): [string, unknown][] {
  return Object.entries(value as object).filter(([, item]) => item !== undefined);
}

function isIterable(value: unknown): value is Iterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.iterator in value;
}

/** True if the value contains a list that is written item by item. */
function isLong(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > ITEMS_PER_LOOK || value.some(isLong);
  if (typeof value !== 'object' || value === null) return false;
  return isIterable(value) || Object.values(value).some(isLong);
}
