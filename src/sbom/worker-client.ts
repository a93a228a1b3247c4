import { buffer } from 'node:stream/consumers';
import type { Descriptor, Digest } from '../oci/index.js';
import { Allowance } from './allowance.js';
import { piecesOf } from './blob-pieces.js';
import { errorOf } from './failed-work.js';
import type { Sbom, SbomInput } from './generator.js';
import type { SbomLimits } from './limits.js';
import { PIECES_AHEAD, type FromUnpacker, type FromWorker } from './messages.js';
import { layerTooSlow, overLimit } from './sbom-errors.js';
import { startUnpacker, type LayerThread, type UnpackingThread } from './start-thread.js';

/** How often the work of a thread is compared with its limit. */
const LOOK_MS = 1000;

/** Threads that read layers. */
export interface LayerThreads {
  /** A thread that has nothing to do. */
  take(): LayerThread;
  /** Takes back the thread of a small image whose SBOMs were made. */
  keep(thread: LayerThread): void;
}

/**
 * Makes the SBOMs of an image in a thread of its own, so that layers written by strangers neither block this thread nor
 * fill its heap. This thread only fetches blobs.
 */
export async function generateInThread(input: SbomInput, given: SbomLimits, threads: LayerThreads): Promise<Sbom[]> {
  const { manifest, signal, name, descriptor, layersAtOnce = given.layersAtOnce } = input;
  const limits = { ...given, layersAtOnce: Math.min(layersAtOnce, given.layersAtOnce) };
  signal.throwIfAborted();
  if (manifest.layers.length > limits.layers) throw overLimit('layers', 'the image has more layers', limits.layers);
  if (manifest.config.size > limits.configBytes) {
    throw overLimit('configBytes', 'the config has more bytes', limits.configBytes);
  }
  const elsewhere = await layersElsewhere(input);
  const config = await buffer(await input.openBlob(manifest.config, signal));
  const client = new WorkerClient(input, limits, elsewhere, threads);
  const { digest } = descriptor;
  const formats = input.formats ?? ['cyclonedx'];
  return await client.run({ name, digest, layers: manifest.layers, elsewhere, config, formats, limits });
}

/** True for a layer that registries usually do not have (`urls` names other places), such as Windows base layers. */
function isForeignLayer({ mediaType }: Descriptor): boolean {
  return mediaType.includes('foreign') || mediaType.includes('nondistributable');
}

/**
 * The foreign layers that the registry does not have. Runtimes read a foreign layer from the registry if it is there,
 * whatever its `urls` say.
 */
async function layersElsewhere({ manifest, hasBlob, signal }: SbomInput): Promise<Digest[]> {
  const elsewhere = new Set<Digest>();
  for (const layer of manifest.layers)
    if (isForeignLayer(layer) && !((await hasBlob?.(layer, signal)) ?? false)) elsewhere.add(layer.digest);
  return [...elsewhere];
}

type Work = Extract<Parameters<LayerThread['post']>[0], { type: 'start' }>['work'];

/** Serves the threads that unpack and read layers with blobs, until the SBOMs are made. */
class WorkerClient {
  readonly #input: SbomInput;
  readonly #limits: SbomLimits;
  readonly #threads: LayerThreads;
  readonly #thread: LayerThread;
  /** Started for the first layer that is not unpacked by the thread that reads it. */
  #unpacker: UnpackingThread | undefined;
  /** Its channel to the thread that reads layers. */
  readonly #channel = new MessageChannel();
  readonly #blobs = new Map<number, SentBlob>();
  readonly #stop = new AbortController();
  /** Buffers that the thread has given back, to be filled again. */
  readonly #free: ArrayBuffer[] = [];
  readonly #progress: LayerProgress;
  /** Settles the result; further calls do nothing. */
  #fail: (error: unknown) => void = () => {};

  constructor(input: SbomInput, limits: SbomLimits, elsewhere: readonly Digest[], threads: LayerThreads) {
    this.#input = input;
    this.#limits = limits;
    const layers = input.manifest.layers.filter(({ digest }) => !elsewhere.includes(digest));
    this.#progress = new LayerProgress(layers, input.onProgress);
    this.#threads = threads;
    this.#thread = threads.take();
  }

  async run(work: Work): Promise<Sbom[]> {
    const { signal } = this.#input;
    const onAbort = (): void => this.#fail(this.#endOfTime(signal.reason) ?? signal.reason);
    const watch = setInterval(() => this.#checkWork(), LOOK_MS);
    let isDone = false;
    try {
      const sboms = await new Promise<Sbom[]>((resolve, reject) => {
        this.#fail = reject;
        signal.addEventListener('abort', onAbort, { once: true });
        this.#thread.listen(
          (message) => {
            if (message.type === 'done') {
              // The limit does not depend on how often it is looked at.
              this.#checkWork();
              this.#progress.end();
              resolve(message.sboms);
            } else this.#receive(message);
          },
          (error) => reject(this.#endOf(error)),
        );
        const { port1: unpacker } = this.#channel;
        this.#thread.post({ type: 'start', work, unpacker }, [unpacker]);
      });
      isDone = true;
      return sboms;
    } finally {
      clearInterval(watch);
      signal.removeEventListener('abort', onAbort);
      this.#stop.abort(new Error('the SBOM has ended'));
      for (const blob of this.#blobs.values()) blob.allowance.close();
      this.#channel.port2.close();
      // Nothing went wrong, and little was unpacked: the thread may read another image.
      const isKept = isDone && this.#unpacker === undefined;
      if (isKept) {
        this.#thread.rest();
        this.#threads.keep(this.#thread);
      } else await Promise.all([this.#thread.end(), this.#unpacker?.end()]);
    }
  }

  #checkWork(): void {
    const { workMs } = this.#limits;
    if (this.#workedMs() <= workMs) return;
    this.#fail(overLimit('workMs', 'its layers take more milliseconds of work', workMs));
  }

  #workedMs(): number {
    return this.#thread.workedMs() + (this.#unpacker?.workedMs() ?? 0);
  }

  /** The error if the time limit is reached while a layer is read: it names the layer that was opened first. */
  #endOfTime(reason: unknown): unknown {
    if (!(reason instanceof DOMException) || reason.name !== 'TimeoutError') return undefined;
    const [first, ...others] = [...this.#blobs.values()].filter(({ allowance }) => !allowance.isClosed);
    if (first === undefined) return undefined;
    const { layer, sentBytes: readBytes, openedMs } = first;
    const ms = performance.now() - openedMs;
    return layerTooSlow(layer, { readBytes, ms, workedMs: this.#workedMs(), beside: others.length });
  }

  /** The error of a thread that ended by itself. */
  #endOf(error: unknown): unknown {
    const isFull = error instanceof Error && 'code' in error && error.code === 'ERR_WORKER_OUT_OF_MEMORY';
    return isFull ? overLimit('heapBytes', 'reading its layers needs more memory', this.#limits.heapBytes) : error;
  }

  #receive(message: Exclude<FromWorker, { type: 'done' }>): void {
    switch (message.type) {
      case 'open':
        void this.#send(message).catch((error: unknown) => this.#fail(error));
        break;
      case 'skip':
        this.#skip(message.layer);
        break;
      case 'readKept':
        this.#answer(message.id, async () => await this.#input.layers?.read(message.key));
        break;
      case 'writeKept':
        this.#answer(message.id, async () => {
          await this.#input.layers?.write(message.key, message.bytes);
          return undefined;
        });
        break;
      case 'failed':
        this.#fail(errorOf(message.error));
        break;
      case 'pull':
      case 'close':
        this.#receiveFromUnpacker(message);
    }
  }

  /** The thread that unpacks layers, which is started if it is not running. */
  #startedUnpacker(): UnpackingThread {
    if (this.#unpacker !== undefined) return this.#unpacker;
    const unpacker = startUnpacker();
    this.#unpacker = unpacker;
    unpacker.listen(
      (message) => this.#receiveFromUnpacker(message),
      (error) => this.#fail(this.#endOf(error)),
    );
    const { port2: reader } = this.#channel;
    const { zstdWindowBytes } = this.#limits;
    unpacker.post({ type: 'start', reader, zstdWindowBytes }, [reader]);
    return unpacker;
  }

  #receiveFromUnpacker(message: FromUnpacker): void {
    const blob = this.#blobs.get(message.id);
    if (message.type === 'close') blob?.allowance.close();
    else {
      if (message.memory !== undefined) this.#free.push(message.memory);
      blob?.allowance.pull();
    }
  }

  #skip(at: number): void {
    const layer = this.#input.manifest.layers[at];
    if (layer !== undefined) this.#progress.read(layer, layer.size);
  }

  #answer(id: number, answer: () => Promise<Uint8Array | undefined>): void {
    answer().then(
      (bytes) => this.#thread.post({ type: 'answer', id, ...(bytes && { bytes }) }, []),
      (error: unknown) => this.#fail(error),
    );
  }

  /** Sends a layer to the thread that unpacks it, a few pieces ahead of those that are unpacked. */
  async #send({ id, layer: at, algorithm, beside }: Extract<FromWorker, { type: 'open' }>): Promise<void> {
    const layer = this.#input.manifest.layers[at];
    if (layer === undefined) return;
    const unpacker = beside ? this.#startedUnpacker() : this.#thread;
    const blob = new SentBlob(layer);
    const { allowance } = blob;
    this.#blobs.set(id, blob);
    unpacker.post({ type: 'open', id, layer, ...(algorithm && { algorithm }) }, []);
    const signal = AbortSignal.any([this.#input.signal, this.#stop.signal]);
    for await (const bytes of piecesOf(await this.#input.openBlob(layer, signal), this.#free)) {
      await allowance.take();
      if (allowance.isClosed) return;
      blob.sentBytes += bytes.length;
      this.#progress.read(layer, blob.sentBytes);
      unpacker.post({ type: 'piece', id, bytes }, [bytes.buffer]);
    }
    this.#blobs.delete(id);
    if (!allowance.isClosed) unpacker.post({ type: 'end', id }, []);
  }
}

/** A blob that is sent to the thread that unpacks it. */
class SentBlob {
  readonly layer: Descriptor;
  readonly openedMs = performance.now();
  readonly allowance = new Allowance(PIECES_AHEAD);
  sentBytes = 0;

  constructor(layer: Descriptor) {
    this.layer = layer;
  }
}

/** Counts the packed bytes that were read. They never go back when a layer is read again. */
class LayerProgress {
  readonly #report: SbomInput['onProgress'];
  /** Bytes of all layers with this digest. */
  readonly #sizes = new Map<Digest, number>();
  readonly #read = new Map<Digest, number>();
  readonly #totalBytes: number;
  #readBytes = 0;
  #isReported = false;

  constructor(layers: readonly Descriptor[], report: SbomInput['onProgress']) {
    this.#report = report;
    this.#totalBytes = layers.reduce((sum, { size }) => sum + size, 0);
    for (const { digest, size } of layers) this.#sizes.set(digest, (this.#sizes.get(digest) ?? 0) + size);
  }

  /** A part of a layer was read, from its start. */
  read({ digest, size }: Descriptor, bytes: number): void {
    const before = this.#read.get(digest) ?? 0;
    const whole = this.#sizes.get(digest) ?? 0;
    const now = bytes >= size ? whole : bytes;
    if (now <= before) return;
    this.#read.set(digest, now);
    this.#tell(this.#readBytes + now - before);
  }

  /** Layers that cannot be read count as well. */
  end(): void {
    this.#tell(this.#totalBytes);
  }

  #tell(readBytes: number): void {
    if (readBytes === this.#readBytes && this.#isReported) return;
    this.#readBytes = readBytes;
    this.#isReported = true;
    this.#report?.(readBytes, this.#totalBytes);
  }
}
