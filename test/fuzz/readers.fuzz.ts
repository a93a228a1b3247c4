import { READERS } from './readers.js';

/** Contents to start from; the first byte chooses the reader. */
export function seeds(): Buffer[] {
  return READERS.flatMap((reader, index) =>
    reader
      .seeds()
      .slice(0, 10)
      .map((seed) => Buffer.concat([Buffer.from([index]), seed])),
  );
}

/** Whatever a reader reads, it ends as it must. */
export async function fuzz(input: Buffer): Promise<void> {
  const reader = READERS[(input[0] ?? 0) % READERS.length];
  await reader?.read(input.subarray(1), { chunkBytes: 7, thoroughly: false });
}
