import type { Descriptor } from './descriptor.js';
import { IntegrityError } from './errors.js';
import type { CallOptions, ReadableRepository } from './store.js';

/** A small blob as a whole, verified. @throws IntegrityError `TOO_LARGE` for more than `mostBytes` */
export async function readBlob(
  repository: Pick<ReadableRepository, 'name' | 'openBlob'>,
  descriptor: Descriptor,
  mostBytes: number,
  options: CallOptions = {},
): Promise<Uint8Array> {
  if (descriptor.size > mostBytes) {
    throw new IntegrityError(
      'TOO_LARGE',
      `${repository.name}@${descriptor.digest} is ${descriptor.size} bytes; the most is ${mostBytes}`,
      { details: { size: descriptor.size, mostBytes } },
    );
  }
  const chunks: Uint8Array[] = [];
  // Nothing past the descriptor's size is passed on.
  for await (const chunk of await repository.openBlob(descriptor, options)) chunks.push(chunk);
  return Buffer.concat(chunks);
}
