import { createDigester, type Descriptor, type DigestAlgorithm } from '../../oci/index.js';
import { Allowance } from '../allowance.js';
import { failedWork } from '../failed-work.js';
import { unpackLayer } from '../layers/unpack.js';
import {
  PIECE_BYTES,
  PIECES_AHEAD,
  type FromUnpacker,
  type Packed,
  type ToUnpacked,
  type ToUnpacker,
  type Unpacked,
} from '../messages.js';
import { overLimit } from '../sbom-errors.js';
import { Arriving } from './arriving.js';

/** The end of a message channel to the main thread. */
export interface UnpackerPort {
  on(event: 'message', listener: (message: ToUnpacker) => void): unknown;
  postMessage(message: FromUnpacker, transfer?: readonly ArrayBuffer[]): void;
}

/** Frames of zstd that are counted at once. */
const FRAMES_AT_ONCE = 1000;
/** Layers of zstd whose window has more bytes are unpacked one at a time. */
const MUCH_MEMORY = 8 * 1024 * 1024;

/** Where the messages of an {@link Unpacker} go. */
interface Sender {
  toMain(message: FromUnpacker, transfer?: ArrayBuffer[]): void;
  toReader(message: Unpacked, transfer?: ArrayBuffer[]): void;
}

/** Unpacks layers in a thread of its own, beside the one that reads them. */
export function serveUnpacker(port: UnpackerPort): void {
  let unpacker: Unpacker | undefined;
  port.on('message', (message) => {
    if (message.type !== 'start') {
      unpacker?.receive(message);
      return;
    }
    const { reader, zstdWindowBytes } = message;
    const started = new Unpacker(
      {
        toMain: (sent, transfer) => port.postMessage(sent, transfer),
        toReader: (sent, transfer = []) => reader.postMessage(sent, transfer),
      },
      zstdWindowBytes,
    );
    unpacker = started;
    reader.on('message', (answer: ToUnpacked) => started.answer(answer));
    // The port to the main thread keeps this thread running.
    reader.unref();
  });
}

/**
 * Unpacks and hashes layers of one image: the main thread sends the packed bytes, and who reads the layers gets the
 * unpacked ones.
 */
export class Unpacker {
  readonly #layers = new Map<number, UnpackingLayer>();
  /** Memory that the reader has given back: as much as it had of all open layers at once. */
  readonly #free: ArrayBuffer[] = [];
  readonly #sender: Sender;
  readonly #zstdWindowBytes: number;

  constructor(sender: Sender, zstdWindowBytes: number) {
    this.#sender = sender;
    this.#zstdWindowBytes = zstdWindowBytes;
  }

  /** Takes a message of the main thread. */
  receive(message: Packed): void {
    if (message.type !== 'open') {
      this.#layers.get(message.id)?.receive(message);
      return;
    }
    const { id, layer, algorithm } = message;
    const unpacking = new UnpackingLayer(id, this.#sender, this.#free, this.#zstdWindowBytes);
    this.#layers.set(id, unpacking);
    void unpacking.run(layer, algorithm).finally(() => this.#layers.delete(id));
  }

  /** Takes a message of the reader. */
  answer(message: ToUnpacked): void {
    this.#layers.get(message.id)?.answer(message);
  }
}

class UnpackingLayer {
  readonly #id: number;
  readonly #sender: Sender;
  readonly #free: ArrayBuffer[];
  readonly #zstdWindowBytes: number;
  readonly #packed = new Arriving<Uint8Array<ArrayBuffer>>();
  readonly #allowance = new Allowance(PIECES_AHEAD);
  /** Frames that the reading thread does not know of. */
  #frames = 0;
  #goOn: () => void = () => {};

  constructor(id: number, sender: Sender, free: ArrayBuffer[], zstdWindowBytes: number) {
    this.#id = id;
    this.#sender = sender;
    this.#free = free;
    this.#zstdWindowBytes = zstdWindowBytes;
  }

  receive(message: Exclude<Packed, { type: 'open' }>): void {
    if (message.type === 'piece') this.#packed.add(message.bytes);
    else this.#packed.end();
  }

  answer(message: ToUnpacked): void {
    if (message.type === 'goOn') this.#goOn();
    else if (message.type === 'pull') {
      if (message.memory?.byteLength === PIECE_BYTES) this.#free.push(message.memory);
      this.#allowance.pull();
    } else {
      // Whatever waits goes on and finds that the layer is closed.
      if (!this.#packed.hasEnded) this.#sender.toMain({ type: 'close', id: this.#id });
      this.#allowance.close();
      this.#packed.end();
      this.#goOn();
    }
  }

  async run(layer: Descriptor, algorithm: DigestAlgorithm | undefined): Promise<void> {
    const id = this.#id;
    try {
      const digester = algorithm && createDigester(algorithm);
      const unpacked = unpackLayer(this.#read(), layer, (windowBytes) => this.#onFrame(windowBytes), this.#free);
      for await (const bytes of unpacked) {
        digester?.update(bytes);
        await this.#allowance.take();
        if (this.#allowance.isClosed) return;
        this.#sender.toReader({ type: 'piece', id, bytes }, [bytes.buffer]);
      }
      const frames = this.#frames;
      this.#sender.toReader({ type: 'end', id, frames, ...(digester && { diffId: digester.digest() }) });
    } catch (error) {
      if (!this.#allowance.isClosed) this.#sender.toReader({ type: 'failed', id, error: failedWork(error) });
      if (!this.#packed.hasEnded) this.#sender.toMain({ type: 'close', id });
    }
  }

  async *#read(): AsyncGenerator<Uint8Array> {
    const id = this.#id;
    for (let bytes = await this.#packed.next(); bytes !== undefined; bytes = await this.#packed.next()) {
      yield bytes;
      const { buffer: memory } = bytes;
      // A small piece may still be in use: it is joined with others.
      if (memory.byteLength < PIECE_BYTES) this.#sender.toMain({ type: 'pull', id });
      else this.#sender.toMain({ type: 'pull', id, memory }, [memory]);
    }
  }

  async #onFrame(windowBytes: number): Promise<void> {
    if (windowBytes > this.#zstdWindowBytes) {
      const what = `a zstd layer needs a window of ${windowBytes} bytes: more`;
      throw overLimit('zstdWindowBytes', what, this.#zstdWindowBytes);
    }
    this.#frames += 1;
    const needsMuchMemory = windowBytes > MUCH_MEMORY;
    if (!needsMuchMemory && this.#frames < FRAMES_AT_ONCE) return;
    const answered = new Promise<void>((resolve) => (this.#goOn = resolve));
    this.#sender.toReader({ type: 'frames', id: this.#id, frames: this.#frames, needsMuchMemory });
    this.#frames = 0;
    await answered;
    if (this.#allowance.isClosed) throw new Error('the layer is closed');
  }
}
