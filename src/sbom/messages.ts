import type { SerializedError } from '../oci/index.js';
import type { Sbom } from './generator.js';
import type { ImageWork } from './worker/image.js';

/** An error that ended the work in the thread. */
export interface FailedWork extends SerializedError {
  remedy?: string;
  /** True for an error of this code's own kind, which keeps its code. Others are bugs. */
  isInput: boolean;
}

/** What the thread that reads layers sends. Blobs and requests have a number. */
export type FromWorker =
  /** Opens a layer by its position in the manifest. Bytes follow, up to the allowed number of pieces. */
  | { type: 'open'; id: number; layer: number }
  /** The thread has used a piece. The next one may be sent, in the same memory. */
  | { type: 'pull'; id: number; memory?: ArrayBuffer }
  | { type: 'close'; id: number }
  /** The bytes of the layer are not needed. */
  | { type: 'skip'; layer: number }
  | { type: 'readKept'; id: number; key: string }
  | { type: 'writeKept'; id: number; key: string; bytes: Uint8Array }
  | { type: 'done'; sboms: Sbom[] }
  | { type: 'failed'; error: FailedWork };

/** What the thread gets. */
export type ToWorker =
  | { type: 'start'; work: ImageWork }
  | { type: 'piece'; id: number; bytes: Uint8Array<ArrayBuffer> }
  | { type: 'end'; id: number }
  | { type: 'answer'; id: number; bytes?: Uint8Array };

/** Pieces of one blob that may be on their way. */
export const PIECES_AHEAD = 4;
/** Bytes of one piece. */
export const PIECE_BYTES = 256 * 1024;
