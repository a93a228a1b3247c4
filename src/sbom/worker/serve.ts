import { PromoterError, type Descriptor } from '../../oci/index.js';
import { PIECE_BYTES, type FailedWork, type FromWorker, type ToWorker } from '../messages.js';
import { makeImageSboms, type ImageWork } from './image.js';
import type { BlobSource } from './layer-reader.js';

/** The end of a message channel in the thread that reads layers. */
export interface WorkerPort {
  on(event: 'message', listener: (message: ToWorker) => void): unknown;
  postMessage(message: FromWorker, transfer?: readonly ArrayBuffer[]): void;
}

/** Waits for the work of one image, does it, and sends its SBOMs or its error. */
export function serve(port: WorkerPort): void {
  const blobs = new RemoteBlobs((message, transfer) => port.postMessage(message, transfer));
  port.on('message', (message) => {
    if (message.type === 'start') {
      blobs.layers = message.work.layers;
      void work(port, message.work, blobs);
    } else blobs.receive(message);
  });
}

async function work(port: WorkerPort, image: ImageWork, blobs: BlobSource): Promise<void> {
  try {
    port.postMessage({ type: 'done', sboms: await makeImageSboms(image, blobs) });
  } catch (error) {
    port.postMessage({ type: 'failed', error: failureOf(error) });
  }
}

function failureOf(error: unknown): FailedWork {
  if (error instanceof PromoterError) {
    const { remedy } = error;
    return { ...error.toJSON(), isInput: true, ...(remedy !== undefined && { remedy }) };
  }
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { code: 'INTERNAL', message, isInput: false };
}

/** Blobs and kept layers, which the main thread fetches. */
class RemoteBlobs implements BlobSource {
  layers: readonly Descriptor[] = [];
  readonly #send: WorkerPort['postMessage'];
  readonly #streams = new Map<number, IncomingBlob>();
  readonly #questions = new Map<number, (bytes: Uint8Array | undefined) => void>();
  #last = 0;

  constructor(send: WorkerPort['postMessage']) {
    this.#send = send;
  }

  receive(message: Exclude<ToWorker, { type: 'start' }>): void {
    if (message.type === 'answer') {
      this.#questions.get(message.id)?.(message.bytes);
      this.#questions.delete(message.id);
    } else this.#streams.get(message.id)?.receive(message);
  }

  async *open(layer: Descriptor): AsyncGenerator<Uint8Array> {
    const id = ++this.#last;
    const blob = new IncomingBlob();
    this.#streams.set(id, blob);
    this.#send({ type: 'open', id, layer: this.layers.indexOf(layer) });
    try {
      for (;;) {
        const bytes = await blob.next();
        if (bytes === undefined) return;
        yield bytes;
        const { buffer: memory } = bytes;
        // A small piece may still be in use: it is joined with others.
        if (memory.byteLength < PIECE_BYTES) this.#send({ type: 'pull', id });
        else this.#send({ type: 'pull', id, memory }, [memory]);
      }
    } finally {
      this.#streams.delete(id);
      if (!blob.hasEnded) this.#send({ type: 'close', id });
    }
  }

  skip(layer: Descriptor): void {
    this.#send({ type: 'skip', layer: this.layers.indexOf(layer) });
  }

  async readKept(key: string): Promise<Uint8Array | undefined> {
    return await this.#ask((id) => this.#send({ type: 'readKept', id, key }));
  }

  async writeKept(key: string, bytes: Uint8Array): Promise<void> {
    await this.#ask((id) => this.#send({ type: 'writeKept', id, key, bytes }));
  }

  async #ask(send: (id: number) => void): Promise<Uint8Array | undefined> {
    const id = ++this.#last;
    return await new Promise((resolve) => {
      this.#questions.set(id, resolve);
      send(id);
    });
  }
}

/** The pieces of one blob that have arrived. */
class IncomingBlob {
  hasEnded = false;
  readonly #pieces: Uint8Array<ArrayBuffer>[] = [];
  #arrived: () => void = () => {};

  receive(message: Exclude<ToWorker, { type: 'start' | 'answer' }>): void {
    if (message.type === 'piece') this.#pieces.push(message.bytes);
    else this.hasEnded = true;
    this.#arrived();
  }

  /** The next piece; undefined at the end. */
  async next(): Promise<Uint8Array<ArrayBuffer> | undefined> {
    for (;;) {
      const piece = this.#pieces.shift();
      if (piece !== undefined || this.hasEnded) return piece;
      await new Promise<void>((resolve) => (this.#arrived = resolve));
    }
  }
}
