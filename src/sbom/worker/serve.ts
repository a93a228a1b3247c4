import type { MessagePort } from 'node:worker_threads';
import { createDigester, type Descriptor, type Digest, type DigestAlgorithm } from '../../oci/index.js';
import { errorOf, failedWork } from '../failed-work.js';
import type { OpenLayer } from '../layers/layer-reading.js';
import type { FromWorker, Packed, ToUnpacked, ToWorker, Unpacked } from '../messages.js';
import { Arriving } from './arriving.js';
import { makeImageSboms, type ImageWork } from './image.js';
import type { BlobSource } from './layer-reader.js';
import { Unpacker } from './unpacker.js';

/** The end of a message channel in the thread that reads layers. */
export interface WorkerPort {
  on(event: 'message', listener: (message: ToWorker) => void): unknown;
  postMessage(message: FromWorker, transfer?: readonly ArrayBuffer[]): void;
}

/** Waits for the work of an image, does it, and sends its SBOMs or its error. Another image may follow. */
export function serve(port: WorkerPort): void {
  let blobs: RemoteBlobs | undefined;
  let last = 0;
  // Late messages of an image are none of the next one.
  const nextId = (): number => ++last;
  port.on('message', (message) => {
    if (message.type === 'start') {
      blobs = new RemoteBlobs(message.work, message.unpacker, nextId, (sent, transfer) =>
        port.postMessage(sent, transfer),
      );
      void work(port, message.work, blobs);
    } else if (message.type === 'answer') blobs?.answer(message);
    else blobs?.receive(message);
  });
}

async function work(port: WorkerPort, image: ImageWork, blobs: BlobSource): Promise<void> {
  try {
    port.postMessage({ type: 'done', sboms: await makeImageSboms(image, blobs) });
  } catch (error) {
    port.postMessage({ type: 'failed', error: failedWork(error) });
  }
}

/**
 * Up to so many packed bytes, the layers of an image are unpacked in this thread. On two free processors that takes as
 * long as with a second thread, whose start takes 50 ms of CPU time and 10 MiB.
 */
const UNPACKED_HERE_BYTES = 8 * 1024 * 1024;
/**
 * From so many packed bytes on, a layer is hashed in this thread. A layer takes longer to unpack than to read, so this
 * thread would only wait for the other one.
 */
const HASHED_HERE_BYTES = 128 * 1024 * 1024;

/** Asks other threads for layers, and for what was kept of them. */
class RemoteBlobs implements BlobSource {
  readonly #manifest: readonly Descriptor[];
  readonly #send: WorkerPort['postMessage'];
  readonly #layers = new Map<number, Arriving<Unpacked>>();
  readonly #questions = new Map<number, (bytes: Uint8Array | undefined) => void>();
  readonly #unpackerHere: Unpacker;
  readonly #unpackerBeside: MessagePort;
  #openedBytes = 0;
  readonly #nextId: () => number;

  constructor(
    { layers, limits }: ImageWork,
    unpacker: MessagePort,
    nextId: () => number,
    send: WorkerPort['postMessage'],
  ) {
    this.#nextId = nextId;
    this.#manifest = layers;
    this.#send = send;
    const toReader = (message: Unpacked): void => this.#layers.get(message.id)?.add(message);
    this.#unpackerHere = new Unpacker({ toMain: send, toReader }, limits.zstdWindowBytes);
    this.#unpackerBeside = unpacker;
    unpacker.on('message', toReader);
    // The port to the main thread keeps this thread running.
    unpacker.unref();
  }

  /** Takes a packed layer that is unpacked here. */
  receive(message: Packed): void {
    this.#unpackerHere.receive(message);
  }

  answer({ id, bytes }: Extract<ToWorker, { type: 'answer' }>): void {
    this.#questions.get(id)?.(bytes);
    this.#questions.delete(id);
  }

  readonly open: OpenLayer = (layer, algorithm, onFrames) => {
    const id = this.#nextId();
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
    this.#openedBytes += layer.size;
    const beside = this.#openedBytes > UNPACKED_HERE_BYTES;
    const answer = (message: ToUnpacked, transfer: ArrayBuffer[] = []): void => {
      if (beside) this.#unpackerBeside.postMessage(message, transfer);
      else this.#unpackerHere.answer(message);
    };
    const digester = layer.size < HASHED_HERE_BYTES ? undefined : createDigester(algorithm);
    const position = this.#manifest.indexOf(layer);
    this.#send({ type: 'open', id, layer: position, beside, ...(digester === undefined && { algorithm }) });
    let hasEnded = false;
    try {
      for (;;) {
        const next = await arriving.next();
        if (next?.type === 'piece') {
          digester?.update(next.bytes);
          yield next.bytes;
          const { buffer: memory } = next.bytes;
          answer({ type: 'pull', id, memory }, [memory]);
        } else if (next?.type === 'frames') {
          await onFrames(next.frames, next.needsMuchMemory);
          answer({ type: 'goOn', id });
        } else {
          hasEnded = true;
          if (next?.type === 'failed') throw errorOf(next.error);
          if (next === undefined) return;
          await onFrames(next.frames, false);
          const diffId = digester?.digest() ?? next.diffId;
          if (diffId !== undefined) onEnd(diffId);
          return;
        }
      }
    } finally {
      this.#layers.delete(id);
      if (!hasEnded) answer({ type: 'close', id });
    }
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
    const id = this.#nextId();
    return await new Promise((resolve) => {
      this.#questions.set(id, resolve);
      send(id);
    });
  }
}
