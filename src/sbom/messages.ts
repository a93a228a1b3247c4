import type { MessagePort } from 'node:worker_threads';
import type { Descriptor, Digest, DigestAlgorithm, SerializedError } from '../oci/index.js';
import type { Sbom } from './generator.js';
import type { ImageWork } from './worker/image.js';

/** An error that ended the work in a thread. */
export interface FailedWork extends SerializedError {
  remedy?: string;
  /** True for an error of this code's own kind, which keeps its code. Others are bugs. */
  isInput: boolean;
}

/** Bytes of a blob. They belong to who gets them. */
interface Piece {
  type: 'piece';
  id: number;
  bytes: Uint8Array<ArrayBuffer>;
}
/** A piece was used. The next one may be sent, in the same memory. */
interface Pull {
  type: 'pull';
  id: number;
  memory?: ArrayBuffer;
}
/** The rest of a blob is not needed. */
interface Close {
  type: 'close';
  id: number;
}

/** What the thread that reads layers sends to the main thread. Blobs and requests have a number. */
export type FromWorker =
  /**
   * Opens a layer by its position in the manifest. If it is unpacked `beside`, unpacked bytes follow from the thread that
   * unpacks, otherwise packed ones from the main thread.
   */
  | { type: 'open'; id: number; layer: number; algorithm?: DigestAlgorithm; beside: boolean }
  /** The bytes of the layer are not needed. */
  | { type: 'skip'; layer: number }
  | { type: 'readKept'; id: number; key: string }
  | { type: 'writeKept'; id: number; key: string; bytes: Uint8Array }
  | { type: 'done'; sboms: Sbom[] }
  | { type: 'failed'; error: FailedWork }
  /** Of the layers that it unpacks itself. */
  | FromUnpacker;

/** What the main thread sends to the thread that reads layers. */
export type ToWorker =
  /** `unpacker` is the end of a channel to the thread that unpacks. */
  | { type: 'start'; work: ImageWork; unpacker: MessagePort }
  | { type: 'answer'; id: number; bytes?: Uint8Array }
  /** Of the layers that it unpacks itself. */
  | Packed;

/** What a thread that unpacks layers sends to the main thread. */
export type FromUnpacker = Pull | Close;

/** A layer that is to be unpacked. */
export type Packed =
  /** Up to the allowed number of packed pieces follow. Without an algorithm, the unpacked bytes are not hashed. */
  { type: 'open'; id: number; layer: Descriptor; algorithm?: DigestAlgorithm } | Piece | { type: 'end'; id: number };

/** What the main thread sends to the thread that unpacks layers. */
export type ToUnpacker = { type: 'start'; reader: MessagePort; zstdWindowBytes: number } | Packed;

/** What the thread that unpacks layers sends to the one that reads them. */
export type Unpacked =
  | Piece
  /** So many frames of zstd were met. The last one is unpacked once the answer `goOn` is there. */
  | { type: 'frames'; id: number; frames: number; needsMuchMemory: boolean }
  | { type: 'end'; id: number; frames: number; diffId?: Digest }
  | { type: 'failed'; id: number; error: FailedWork };

/** What the thread that reads layers sends to the one that unpacks them. */
export type ToUnpacked = Pull | Close | { type: 'goOn'; id: number };

/** Pieces of one blob that may be on their way. */
export const PIECES_AHEAD = 3;
/** Bytes of one piece. */
export const PIECE_BYTES = 384 * 1024;
