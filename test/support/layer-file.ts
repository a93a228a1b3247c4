import { HEAD_BYTES, type LayerFile } from '../../src/sbom/catalogers/cataloger.js';

/** A file as catalogers read it. `chunks` overwrites each piece when the next is asked for. */
export function layerFile(content: string | Uint8Array, { mode = 0o644, chunkBytes = 64 * 1024 } = {}): LayerFile {
  const bytes = Buffer.from(content);
  return {
    size: bytes.length,
    mode,
    head: bytes.subarray(0, HEAD_BYTES),
    whole: () => Promise.resolve(bytes),
    async *chunks() {
      for (let at = 0; at < bytes.length; at += chunkBytes) {
        const piece = Buffer.from(bytes.subarray(at, at + chunkBytes));
        yield piece;
        piece.fill(0xdd);
      }
    },
  };
}
