import type { Descriptor } from '../oci/index.js';

/** More of a blob has come, or gone; what is sent again is not counted again. */
export interface Moving {
  state: 'moving';
  descriptor: Descriptor;
  moreBytes: number;
}

/** The same bytes; each piece is reported. */
export async function* countMoving(
  body: AsyncIterable<Uint8Array>,
  descriptor: Descriptor,
  tell: (progress: Moving) => void,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of body) {
    yield chunk;
    tell({ state: 'moving', descriptor, moreBytes: chunk.length });
  }
}
