import type { Descriptor } from './descriptor.js';
import { IntegrityError } from './errors.js';
import type { CallOptions, ReadableRepository } from './store.js';

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
  if (descriptor.size > mostBytes) {
    throw new IntegrityError(
      'TOO_LARGE',
      `${repository.name}@${descriptor.digest} is ${descriptor.size} bytes; the maximum is ${mostBytes}`,
      { details: { size: descriptor.size, mostBytes } },
    );
  }
  const chunks: Uint8Array[] = [];
  // `openBlob` never yields more bytes than the descriptor's size.
  for await (const chunk of await repository.openBlob(descriptor, options)) chunks.push(chunk);
  return Buffer.concat(chunks);
}
