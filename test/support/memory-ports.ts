import { InputError, TransportError, type HeldLease, type Lease } from '../../src/oci/index.js';
import type { DocumentContainer, Documents } from '../../src/ports/documents.js';
import type { Engine, EngineState } from '../../src/ports/engine.js';
import type { Files } from '../../src/ports/files.js';
import type { QueueName, Queues } from '../../src/ports/queues.js';

/** The ports of src/runs in memory, held to the real ones by test/unit/azure/ports-contract.test.ts. */
export { memoryRunStore } from './memory-run-store.js';

interface RecordedStart {
  orchestration: string;
  id: string;
  input: unknown;
}

/** An engine that does no work: it records what it was asked for, and a test says how far its instances are. */
export interface MemoryEngine extends Engine {
  /** Starts that made an instance. As in Durable Functions, an id that has ended is started over; one that has not is left alone. */
  readonly starts: RecordedStart[];
  /** Events that reached an instance that was there and had not ended. */
  readonly notified: { id: string; event: string }[];
  setState(id: string, state: EngineState, createdAt?: string): void;
}

/** @param now epoch milliseconds, for `createdAt`. */
export function memoryEngine(now: () => number = Date.now): MemoryEngine {
  const instances = new Map<string, { state: EngineState; createdAt: string }>();
  const starts: RecordedStart[] = [];
  const notified: { id: string; event: string }[] = [];
  const createdNow = (): string => new Date(now()).toISOString();
  return {
    starts,
    notified,
    setState(id, state, createdAt) {
      if (state === 'missing') {
        instances.delete(id);
      } else {
        instances.set(id, { state, createdAt: createdAt ?? instances.get(id)?.createdAt ?? createdNow() });
      }
    },
    async start(orchestration, id, input) {
      const { state = 'ended' } = instances.get(id) ?? {};
      if (state !== 'ended') return;
      instances.set(id, { state: 'pending', createdAt: createdNow() });
      starts.push({ orchestration, id, input: structuredClone(input) });
    },
    async state(id) {
      const instance = instances.get(id);
      return instance === undefined ? { state: 'missing' } : { ...instance };
    },
    async notify(id, event) {
      const state = instances.get(id)?.state;
      if (state === 'pending' || state === 'running') {
        notified.push({ id, event });
      }
    },
    async purge(id) {
      if (instances.get(id)?.state === 'ended') instances.delete(id);
    },
    async purgeEnded(from, to) {
      const ended = [...instances].filter(([, { state, createdAt }]) => {
        const at = Date.parse(createdAt);
        return state === 'ended' && at >= from.getTime() && at <= to.getTime();
      });
      for (const [id] of ended) instances.delete(id);
      return ended.length;
    },
  };
}

export interface MemoryDocuments extends Documents {
  /** Keys are `container/name`. */
  readonly kept: ReadonlyMap<string, Uint8Array>;
}

const key = (container: DocumentContainer, name: string): string => `${container}/${name}`;
const copy = (bytes: Uint8Array | undefined): Uint8Array | undefined => bytes && new Uint8Array(bytes);

export function memoryDocuments(): MemoryDocuments {
  const kept = new Map<string, Uint8Array>();
  // Each write is another array, so that the array itself is its version.
  const versions = new WeakMap<Uint8Array, string>();
  let writes = 0;
  const versionOf = (bytes: Uint8Array | undefined): string | undefined => {
    if (bytes === undefined) return undefined;
    const version = versions.get(bytes) ?? `${(writes += 1)}`;
    versions.set(bytes, version);
    return version;
  };
  return {
    kept,
    async get(container, name) {
      return copy(kept.get(key(container, name)));
    },
    async put(container, name, bytes) {
      kept.set(key(container, name), new Uint8Array(bytes));
    },
    async putIfAbsent(container, name, bytes) {
      const first = kept.get(key(container, name)) ?? new Uint8Array(bytes);
      kept.set(key(container, name), first);
      return new Uint8Array(first);
    },
    async getVersioned(container, name) {
      const found = kept.get(key(container, name));
      return found && { value: new Uint8Array(found), version: versionOf(found) ?? '' };
    },
    async putVersioned(container, name, bytes, version) {
      if (versionOf(kept.get(key(container, name))) !== version) return undefined;
      const written = new Uint8Array(bytes);
      kept.set(key(container, name), written);
      return versionOf(written);
    },
    async removeAll(container, prefix) {
      for (const name of kept.keys()) if (name.startsWith(key(container, prefix))) kept.delete(name);
    },
  };
}

export interface MemoryFiles extends Files {
  /** Keys are `container/name`. */
  readonly kept: Map<string, Uint8Array>;
}

export function memoryFiles(): MemoryFiles {
  const kept = new Map<string, Uint8Array>();
  return {
    kept,
    async sizeOf(container, name) {
      return kept.get(`${container}/${name}`)?.length;
    },
    async *list(container, prefix) {
      const start = `${container}/`;
      for (const [key, bytes] of kept) {
        if (key.startsWith(start + prefix)) yield { name: key.slice(start.length), sizeBytes: bytes.length };
      }
    },
    async *open(container, name) {
      const bytes = kept.get(`${container}/${name}`);
      if (bytes === undefined) throw new InputError('STORAGE_FAILED', `${container}/${name} is not there`);
      yield bytes;
    },
    async put(container, name, content) {
      const chunks: Uint8Array[] = [];
      for await (const chunk of content) chunks.push(chunk);
      kept.set(`${container}/${name}`, Buffer.concat(chunks));
    },
  };
}

export interface MemoryQueues extends Queues {
  readonly sent: { queue: QueueName; text: string; delaySeconds: number }[];
}

export function memoryQueues(): MemoryQueues {
  const sent: MemoryQueues['sent'] = [];
  return {
    sent,
    async send(queue, text, options) {
      if (Buffer.byteLength(text) > 48 * 1024) {
        throw new InputError('MESSAGE_TOO_LARGE', `a message for ${queue} is over 48 KiB`);
      }
      sent.push({ queue, text, delaySeconds: options?.delaySeconds ?? 0 });
    },
  };
}

export interface MemoryLease extends Lease {
  /** Takes the lease from who holds it, as if it could not be renewed. */
  lose(name: string): void;
  readonly held: ReadonlySet<string>;
}

export function memoryLease(): MemoryLease {
  const held = new Set<string>();
  const holders = new Map<string, AbortController>();
  const drop = (name: string, holder: AbortController): void => {
    // Only the present holder frees it: releasing a lost lease must not take it from the next one.
    if (holders.get(name) === holder) {
      holders.delete(name);
      held.delete(name);
    }
  };
  const take = (name: string): HeldLease => {
    const holder = new AbortController();
    holders.set(name, holder);
    held.add(name);
    return {
      signal: holder.signal,
      get heldUntilMs() {
        return Date.now() + 30_000;
      },
      async release() {
        drop(name, holder);
      },
    };
  };
  return {
    held,
    lose(name) {
      const holder = holders.get(name);
      if (holder !== undefined) {
        drop(name, holder);
        holder.abort(new TransportError('LEASE_LOST', `lost the lease ${name}`, { transient: true }));
      }
    },
    async acquire(name, options = {}) {
      const deadline = Date.now() + (options.waitMs ?? 0);
      for (;;) {
        options.signal?.throwIfAborted();
        if (!holders.has(name)) {
          return take(name);
        }
        if (Date.now() >= deadline) {
          return undefined;
        }
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
    },
  };
}
