import { constants, createGunzip, type Gunzip } from 'node:zlib';
import { PIECE_BYTES } from '../messages.js';
import { layerInvalid } from '../sbom-errors.js';

/** What Node's own streams call. */
interface Handle {
  writeSync(
    flush: number,
    input: Uint8Array,
    inputAt: number,
    inputBytes: number,
    output: Uint8Array,
    outputAt: number,
    outputBytes: number,
  ): void;
}

/** A stream that is used by its parts. */
export interface Inflater {
  stream: Gunzip;
  handle: Handle;
  state: Uint32Array;
}

const NOTHING = new Uint8Array(0);

/**
 * Unpacks gzip, in this thread and into memory that is used again. Node's streams do the same in other threads, with new
 * memory for each piece: that takes a third more CPU time.
 * @param free memory of earlier pieces
 * @throws InputError `LAYER_INVALID`
 */
export async function* gunzip(
  source: AsyncIterable<Uint8Array>,
  layer: string,
  free: ArrayBuffer[],
  { stream, handle, state }: Inflater,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  try {
    let failure: string | undefined;
    Object.assign(handle, { onerror: (message: string) => (failure = message) });
    let output = memoryOf(free);
    let filled = 0;
    let hasEnded = false;
    const pieces = function* (input: Uint8Array, flush: number): Generator<Uint8Array<ArrayBuffer>> {
      for (let at = 0, isFull = true; isFull;) {
        handle.writeSync(flush, input, at, input.length - at, output, filled, output.length - filled);
        if (failure !== undefined) throw layerInvalid(layer, `it does not unpack: ${failure}`);
        const [room = 0, left = 0] = state;
        at = input.length - left;
        filled = output.length - room;
        isFull = room === 0;
        // Nothing follows the last member but bytes that are no gzip.
        hasEnded ||= !isFull && left > 0;
        if (!isFull) continue;
        yield output;
        output = memoryOf(free);
        filled = 0;
      }
    };
    // The rest after the compressed data is read only for the digest.
    for await (const input of source) if (!hasEnded) yield* pieces(input, constants.Z_NO_FLUSH);
    if (!hasEnded) yield* pieces(NOTHING, constants.Z_FINISH);
    if (filled > 0) yield output.subarray(0, filled);
  } finally {
    stream.destroy();
  }
}

function memoryOf(free: ArrayBuffer[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(free.pop() ?? new ArrayBuffer(PIECE_BYTES));
}

/**
 * Opens a stream by the parts that Node does not document, as npm's own reader of archives uses them.
 * @returns undefined if this Node has other parts
 */
export function openInflater(): Inflater | undefined {
  const stream = createGunzip();
  const { _handle: handle, _writeState: state } = stream as { _handle?: Handle; _writeState?: unknown };
  if (typeof handle?.writeSync === 'function' && state instanceof Uint32Array) return { stream, handle, state };
  stream.destroy();
  return undefined;
}
