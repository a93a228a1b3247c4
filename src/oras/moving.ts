import type { Descriptor } from '../oci/index.js';

/** More bytes of a blob were received or sent. Bytes that are sent again are not counted again. */
export interface Moving {
  state: 'moving';
  descriptor: Descriptor;
  moreBytes: number;
}

/** Passes the bytes on, and reports each piece. */
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
