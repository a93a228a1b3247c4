import { buffer } from 'node:stream/consumers';
import type { Descriptor } from './descriptor.js';
import { createDigester, digestAlgorithm, digestOf } from './digest.js';
import { IntegrityError } from './errors.js';
import type { CallOptions, ReadableRepository } from './repository.js';

/** Creates `SIZE_MISMATCH`. @param actual the number of bytes, or `more` if the content was not read to its end */
export function sizeMismatch(what: string, expected: number, actual: number | string): IntegrityError {
  return new IntegrityError('SIZE_MISMATCH', `${what}: expected ${expected} bytes, got ${actual}`, {
    details: { expected, actual },
  });
}

/** Creates `DIGEST_MISMATCH`. */
export function digestMismatch(what: string, expected: string, actual: string): IntegrityError {
  return new IntegrityError('DIGEST_MISMATCH', `${what}: expected ${expected}, got ${actual}`, {
    details: { expected, actual },
  });
}

/** Creates `TOO_LARGE`. @param size the number of bytes; undefined if the content was not read to its end */
export function tooLarge(what: string, mostBytes: number, size?: number): IntegrityError {
  return new IntegrityError('TOO_LARGE', `${what} has ${size ?? 'more'} bytes; the maximum is ${mostBytes}`, {
    details: { ...(size !== undefined && { size }), mostBytes },
  });
}

/** Compares bytes with their descriptor. @throws IntegrityError `SIZE_MISMATCH`, `DIGEST_MISMATCH` */
export function checkBytes(bytes: Uint8Array, { digest, size }: Descriptor, what: string): void {
  if (bytes.length !== size) throw sizeMismatch(what, size, bytes.length);
  const actual = digestOf(bytes, digestAlgorithm(digest));
  if (actual !== digest) throw digestMismatch(what, digest, actual);
}

/**
 * Passes on a body and compares it with its descriptor at the end. Never yields more bytes than the descriptor's size.
 * @throws IntegrityError `SIZE_MISMATCH`, `DIGEST_MISMATCH`
 */
export async function* verified(
  body: AsyncIterable<Uint8Array>,
  { digest, size }: Descriptor,
  what: string,
): AsyncGenerator<Uint8Array> {
  const digester = createDigester(digestAlgorithm(digest));
  let count = 0;
  for await (const chunk of body) {
    count += chunk.length;
    if (count > size) throw sizeMismatch(what, size, 'more');
    digester.update(chunk);
    yield chunk;
  }
  if (count !== size) throw sizeMismatch(what, size, count);
  const actual = digester.digest();
  if (actual !== digest) throw digestMismatch(what, digest, actual);
}

/** A body of bytes that are already in memory. */
export async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

/**
 * Reads a whole blob into memory and verifies it.
 * @param mostBytes maximum size of the blob
 * @throws IntegrityError `TOO_LARGE` if the blob is larger
 */
export async function readBlob(
  repository: Pick<ReadableRepository, 'name' | 'openBlob'>,
  descriptor: Descriptor,
  mostBytes: number,
  options: CallOptions = {},
): Promise<Uint8Array> {
  const { digest, size } = descriptor;
  if (size > mostBytes) throw tooLarge(`${repository.name}@${digest}`, mostBytes, size);
  // `openBlob` never yields more bytes than the descriptor's size.
  return buffer(await repository.openBlob(descriptor, options));
}
