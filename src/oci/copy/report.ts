import type { Descriptor } from '../descriptor.js';
import type { Digest } from '../digest.js';
import type { CopyPlan } from './plan.js';

const TITLE = 'org.opencontainers.image.title';

/** How a node came to be at the destination. */
export type Arrival = 'copied' | 'existed' | 'mounted';

/** Progress of a copy, reported for each node and each chunk. */
export interface CopyProgress {
  /** `started`: the transfer of this node begins. `moving`: more bytes of a blob were sent. */
  state: 'started' | 'moving' | Arrival;
  descriptor: Descriptor;
  /** For `moving`: how many more bytes of this blob were sent. */
  moreBytes?: number;
  /** For a finished node: its entry in the report. */
  node?: CopiedNode;
  nodesDone: number;
  /** Number of manifests and distinct blobs. */
  nodesTotal: number;
  /** Bytes sent to the destination. */
  movedBytes: number;
  /** Bytes that the destination has: existing, mounted and sent. */
  doneBytes: number;
  totalBytes: number;
}

/** A manifest or blob in a report. */
export interface CopiedNode {
  kind: 'manifest' | 'blob';
  mediaType: string;
  digest: Digest;
  /** In bytes. */
  size: number;
  /** The file's name. */
  title?: string;
}

/** What a copy did, for each node. */
export interface CopyReport {
  copied: CopiedNode[];
  existed: CopiedNode[];
  mounted: CopiedNode[];
  /** Digest tags that were written. */
  tagged: string[];
  /** Bytes sent to the destination, including repeated uploads. */
  movedBytes: number;
}

/** Counts what happens to the nodes of a plan and reports progress. */
export class Reporter {
  readonly report: CopyReport = { copied: [], existed: [], mounted: [], tagged: [], movedBytes: 0 };
  readonly #plan: CopyPlan;
  readonly #onProgress: ((progress: CopyProgress) => void) | undefined;
  readonly #blobsDone = new Set<Digest>();
  /** Bytes sent so far of blobs that are not complete. */
  readonly #begunBytes = new Map<Digest, number>();
  #doneBytes = 0;
  #manifestsDone = 0;

  constructor(plan: CopyPlan, onProgress?: (progress: CopyProgress) => void) {
    this.#plan = plan;
    this.#onProgress = onProgress;
  }

  tell(
    state: CopyProgress['state'],
    descriptor: Descriptor,
    more: Pick<CopyProgress, 'moreBytes' | 'node'> = {},
  ): void {
    this.#onProgress?.({
      state,
      descriptor,
      ...more,
      nodesDone: this.#manifestsDone + this.#blobsDone.size,
      nodesTotal: this.#plan.manifests.length + this.#plan.blobCount,
      movedBytes: this.report.movedBytes,
      doneBytes: this.#doneBytes,
      totalBytes: this.#plan.sizeBytes,
    });
  }

  moving(count: number, descriptor: Descriptor): void {
    this.report.movedBytes += count;
    this.#doneBytes += count;
    this.#begunBytes.set(descriptor.digest, (this.#begunBytes.get(descriptor.digest) ?? 0) + count);
    this.tell('moving', descriptor, { moreBytes: count });
  }

  manifest(arrival: 'copied' | 'existed', descriptor: Descriptor): void {
    this.#manifestsDone += 1;
    this.#doneBytes += descriptor.size;
    if (arrival === 'copied') this.report.movedBytes += descriptor.size;
    this.#list('manifest', arrival, descriptor);
  }

  blob(arrival: Arrival, descriptor: Descriptor): void {
    this.#blobDone(descriptor);
    this.#list('blob', arrival, descriptor);
  }

  /** Counts the blobs of a manifest that exists as done, without a request. */
  passOver(blobs: readonly Descriptor[]): void {
    for (const blob of blobs) this.#blobDone(blob);
  }

  #blobDone({ digest, size }: Descriptor): void {
    if (this.#blobsDone.has(digest)) return;
    this.#blobsDone.add(digest);
    this.#doneBytes += size - (this.#begunBytes.get(digest) ?? 0);
  }

  #list(kind: CopiedNode['kind'], arrival: Arrival, descriptor: Descriptor): void {
    const { mediaType, digest, size, annotations } = descriptor;
    const title = annotations?.[TITLE];
    const node = { kind, mediaType, digest, size, ...(title !== undefined && { title }) };
    this.report[arrival].push(node);
    this.tell(arrival, descriptor, { node });
  }
}
