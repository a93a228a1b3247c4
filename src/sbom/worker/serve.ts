import type { MessagePort } from 'node:worker_threads';
import type { Descriptor, Digest, DigestAlgorithm } from '../../oci/index.js';
import { errorOf, failedWork } from '../failed-work.js';
import type { OpenLayer } from '../layers/layer-reading.js';
import type { FromWorker, ToUnpacked, ToWorker, Unpacked } from '../messages.js';
import { Arriving } from './arriving.js';
import { makeImageSboms, type ImageWork } from './image.js';
import type { BlobSource } from './layer-reader.js';

/** The end of a message channel in the thread that reads layers. */
export interface WorkerPort {
  on(event: 'message', listener: (message: ToWorker) => void): unknown;
  postMessage(message: FromWorker): void;
}

/** Waits for the work of one image, does it, and sends its SBOMs or its error. */
export function serve(port: WorkerPort): void {
  const blobs = new RemoteBlobs((message) => port.postMessage(message));
  port.on('message', (message) => {
    if (message.type === 'start') {
      blobs.start(message.work, message.unpacker);
      void work(port, message.work, blobs);
    } else blobs.answer(message);
  });
}

async function work(port: WorkerPort, image: ImageWork, blobs: BlobSource): Promise<void> {
  try {
    port.postMessage({ type: 'done', sboms: await makeImageSboms(image, blobs) });
  } catch (error) {
    port.postMessage({ type: 'failed', error: failedWork(error) });
  }
}

/** Blobs and kept layers, which other threads fetch and unpack. */
class RemoteBlobs implements BlobSource {
  #manifest: readonly Descriptor[] = [];
  readonly #send: WorkerPort['postMessage'];
  readonly #layers = new Map<number, Arriving<Unpacked>>();
  readonly #questions = new Map<number, (bytes: Uint8Array | undefined) => void>();
  #unpacker: MessagePort | undefined;
  #last = 0;

  constructor(send: WorkerPort['postMessage']) {
    this.#send = send;
  }

  start({ layers }: ImageWork, unpacker: MessagePort): void {
    this.#manifest = layers;
    this.#unpacker = unpacker;
    unpacker.on('message', (message: Unpacked) => this.#layers.get(message.id)?.add(message));
    // The port to the main thread keeps this thread running.
    unpacker.unref();
  }

  answer({ id, bytes }: Extract<ToWorker, { type: 'answer' }>): void {
    this.#questions.get(id)?.(bytes);
    this.#questions.delete(id);
  }

  readonly open: OpenLayer = (layer, algorithm, onFrames) => {
    const id = ++this.#last;
    let diffId: Digest | undefined;
    const onEnd = (digest: Digest): void => {
      diffId = digest;
    };
    return {
      pieces: this.#read(id, layer, algorithm, onFrames, onEnd),
      diffId() {
        if (diffId === undefined) throw new Error('the layer was not read to its end');
        return diffId;
      },
    };
  };

  async *#read(
    id: number,
    layer: Descriptor,
    algorithm: DigestAlgorithm,
    onFrames: Parameters<OpenLayer>[2],
    onEnd: (diffId: Digest) => void,
  ): AsyncGenerator<Uint8Array> {
    const arriving = new Arriving<Unpacked>();
    this.#layers.set(id, arriving);
    this.#send({ type: 'open', id, layer: this.#manifest.indexOf(layer), algorithm });
    let hasEnded = false;
    try {
      for (;;) {
        const next = await arriving.next();
        if (next?.type === 'piece') {
          yield next.bytes;
          const { buffer: memory } = next.bytes;
          this.#answer({ type: 'pull', id, memory }, [memory]);
        } else if (next?.type === 'frames') {
          await onFrames(next.frames, next.needsMuchMemory);
          this.#answer({ type: 'goOn', id });
        } else {
          hasEnded = true;
          if (next?.type === 'failed') throw errorOf(next.error);
          if (next === undefined) return;
          await onFrames(next.frames, false);
          onEnd(next.diffId);
          return;
        }
      }
    } finally {
      this.#layers.delete(id);
      if (!hasEnded) this.#answer({ type: 'close', id });
    }
  }

  #answer(message: ToUnpacked, transfer: ArrayBuffer[] = []): void {
    this.#unpacker?.postMessage(message, transfer);
  }

  skip(layer: Descriptor): void {
    this.#send({ type: 'skip', layer: this.#manifest.indexOf(layer) });
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
