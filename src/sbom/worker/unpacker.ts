import type { MessagePort } from 'node:worker_threads';
import { createDigester, type Descriptor, type DigestAlgorithm } from '../../oci/index.js';
import { Allowance } from '../allowance.js';
import { failedWork } from '../failed-work.js';
import { unpackLayer } from '../layers/unpack.js';
import {
  PIECE_BYTES,
  PIECES_AHEAD,
  type FromUnpacker,
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

/**
 * Unpacks and hashes the layers of one image, beside the thread that reads them: the main thread sends the packed bytes,
 * and the reading thread gets the unpacked ones.
 */
export function serveUnpacker(port: UnpackerPort): void {
  const layers = new Map<number, UnpackingLayer>();
  /** Memory that the reading thread has given back. */
  const free: ArrayBuffer[] = [];
  let reader: MessagePort | undefined;
  let zstdWindowBytes = 0;
  port.on('message', (message) => {
    if (message.type === 'start') {
      ({ reader, zstdWindowBytes } = message);
      reader.on('message', (answer: ToUnpacked) => layers.get(answer.id)?.answer(answer));
      // The port to the main thread keeps this thread running.
      reader.unref();
    } else if (message.type === 'open') {
      const { id, layer, algorithm } = message;
      const sender = {
        toMain: (sent: FromUnpacker, transfer: ArrayBuffer[] = []) => port.postMessage(sent, transfer),
        toReader: (sent: Unpacked, transfer: ArrayBuffer[] = []) => reader?.postMessage(sent, transfer),
      };
      const unpacking = new UnpackingLayer(id, sender, free, zstdWindowBytes);
      layers.set(id, unpacking);
      void unpacking.run(layer, algorithm).finally(() => layers.delete(id));
    } else layers.get(message.id)?.receive(message);
  });
}

interface Sender {
  toMain(message: FromUnpacker, transfer?: ArrayBuffer[]): void;
  toReader(message: Unpacked, transfer?: ArrayBuffer[]): void;
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

  receive(message: Extract<ToUnpacker, { type: 'piece' | 'end' }>): void {
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

  async run(layer: Descriptor, algorithm: DigestAlgorithm): Promise<void> {
    const id = this.#id;
    try {
      const digester = createDigester(algorithm);
      const unpacked = unpackLayer(this.#read(), layer, (windowBytes) => this.#onFrame(windowBytes), this.#free);
      for await (const bytes of unpacked) {
        digester.update(bytes);
        await this.#allowance.take();
        if (this.#allowance.isClosed) return;
        this.#sender.toReader({ type: 'piece', id, bytes }, [bytes.buffer]);
      }
      this.#sender.toReader({ type: 'end', id, frames: this.#frames, diffId: digester.digest() });
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
