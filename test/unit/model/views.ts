import type { HeldLease, Lease } from '../../../src/oci/index.js';
import type { World } from '../steps/world.js';
import type { Simulation, Task } from './simulation.js';

/** What only reads: where its caller died, it may as well never have been asked. */
const READS = /^(?:get|list|find|is|has|resolve|fetch|open|load|state|check)/;
/** Names something, and asks nobody. */
const NAMES = new Set(['repository', 'registry']);
/** No place where anything could come in between that matters: progress is for people, blobs never change. */
const PLAIN = new Set(['putProgress', 'openBlob', 'generate', 'requestsPerMinute', 'maxRunsPerTick']);

/** An object whose every method waits for its turn before it is done. */
function watched<T extends object>(target: T, what: string, task: Task): T {
  return new Proxy(target, {
    get(_target, key) {
      const value: unknown = Reflect.get(target, key);
      if (typeof value !== 'function' || typeof key !== 'string') return value;
      const call = (...args: unknown[]): unknown => value.apply(target, args) as unknown;
      // It takes a turn of the loop: nothing else is to be taken for all that there is meanwhile.
      if (key === 'openBlob') return (...args: unknown[]) => task.aside(call(...args) as Promise<unknown>);
      if (PLAIN.has(key)) return call;
      if (NAMES.has(key)) return (...args: unknown[]) => watched(call(...args) as object, String(args.at(-1)), task);
      const label = (args: unknown[]): string =>
        `${what} ${key} ${typeof args[0] === 'string' ? args[0].slice(0, 80) : ''}`;
      if (/^list(?:Tags|TagDetails|Repositories)$/.test(key)) {
        return async function* (...args: unknown[]) {
          await task.call(label(args), false, () => undefined);
          yield* call(...args) as AsyncIterable<unknown>;
        };
      }
      return (...args: unknown[]) => task.call(label(args), !READS.test(key), () => call(...args));
    },
  });
}

const LEASE_MS = 15_000;

interface Holder {
  task: Task;
  /** Set where nobody renews it any more. */
  untilMs?: number;
}

/** Leases in the simulation's time: renewed while their holder lives, and over a while after it has died or fallen asleep. */
export class SimulatedLeases {
  readonly #holders = new Map<string, Holder>();
  readonly #simulation: Simulation;

  constructor(simulation: Simulation) {
    this.#simulation = simulation;
  }

  of(task: Task): Lease {
    return {
      acquire: (name) => task.call(`lease ${name.slice(0, 60)}`, true, () => this.#take(name, task)),
    };
  }

  #take(name: string, task: Task): HeldLease | undefined {
    const present = this.#holders.get(name);
    if (present !== undefined && (present.untilMs ?? Infinity) > this.#simulation.nowMs) return undefined;
    const holder: Holder = { task };
    const lost = new AbortController();
    this.#holders.set(name, holder);
    const stops = (): void => {
      holder.untilMs = this.#simulation.nowMs + LEASE_MS;
      task.onWake.push(() => {
        const isOver = (holder.untilMs ?? 0) <= this.#simulation.nowMs || this.#holders.get(name) !== holder;
        if (isOver) lost.abort(new Error(`lost the lease ${name}`));
        else delete holder.untilMs;
      });
    };
    task.onSleep.push(stops);
    if (task.mode !== 'live') stops();
    const simulation = this.#simulation;
    return {
      signal: lost.signal,
      get heldUntilMs() {
        return holder.untilMs ?? simulation.nowMs + LEASE_MS;
      },
      release: () =>
        task.call(`release ${name.slice(0, 60)}`, true, () => {
          if (this.#holders.get(name) === holder) this.#holders.delete(name);
        }),
    };
  }
}

/** A world as one task sees it: its own calls, one by one. */
export function viewOf(world: World, task: Task, leases: SimulatedLeases): World {
  const { registries, listing, store, documents, queues, engine, signer, rules } = world;
  return {
    ...world,
    registries: watched(registries, 'registries', task),
    listing: watched(listing, 'listing', task),
    store: watched(store, 'store', task),
    documents: watched(documents, 'documents', task),
    queues: watched(queues, 'queue', task),
    engine: watched(engine, 'engine', task),
    signer: signer && watched(signer, 'signer', task),
    rules: watched(rules, 'rules', task),
    lease: leases.of(task) as World['lease'],
  };
}
