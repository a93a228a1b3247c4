import { overLimit } from '../sbom-errors.js';

/** Characters that are collected before they are encoded. */
const BATCH_CHARS = 1024 * 1024;

/**
 * Encodes the result of `JSON.stringify(value, undefined, 1)` and a line feed. An iterable that is not an array is
 * written as an array whose items are created when they are written.
 * @throws InputError `SBOM_LIMIT` for more than `mostBytes`
 */
export function encodeJson(value: object, mostBytes: number): Uint8Array {
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
  for (const piece of piecesOf(value)) {
    batch += piece;
    if (batch.length >= BATCH_CHARS) flush();
  }
  batch += '\n';
  flush();
  return Buffer.concat(batches);
}

/** The members of the document; of a member with many items, each item. */
function* piecesOf(value: object): Generator<string> {
  let before = '{';
  for (const [name, item] of Object.entries(value)) {
    if (item === undefined) continue;
    yield `${before}\n ${JSON.stringify(name)}: `;
    if (isIterable(item)) yield* listed(item);
    else yield indented(item, ' ');
    before = ',';
  }
  yield before === ',' ? '\n}' : '{}';
}

function* listed(items: Iterable<unknown>): Generator<string> {
  let before = '[';
  for (const item of items) {
    yield `${before}\n  ${indented(item ?? null, '  ')}`;
    before = ',';
  }
  yield before === ',' ? '\n ]' : '[]';
}

function indented(value: unknown, indent: string): string {
  return JSON.stringify(value, undefined, 1).replaceAll('\n', `\n${indent}`);
}

function isIterable(value: unknown): value is Iterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.iterator in value;
}
