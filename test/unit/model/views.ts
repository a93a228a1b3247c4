import type { HeldLease, Lease } from '../../../src/oci/index.js';
import type { PageOptions } from '../../../src/ports/page.js';
import type { World } from '../../support/world.js';
import type { Simulation, Task } from './simulation.js';
import type { Troubles } from './troubles.js';
import type { Watches } from './watches.js';

/** What only reads: where its caller died, it may as well never have been asked. */
const READS = /^(?:get|list|find|is|has|resolve|fetch|open|load|state|check)/;
/** Names something, and asks nobody. */
const NAMES = new Set(['repository', 'registry']);
/** No place where anything could come in between that matters: progress is for people, blobs never change. */
const PLAIN = new Set(['putProgress', 'openBlob', 'generate', 'maxRunsPerTick']);

/** What stands between a call and what is called. */
type Way = (writes: boolean, work: () => unknown) => unknown;
const straight: Way = (_writes, work) => work();

/** An object whose every method waits for its turn before it is done. @param wayTo of a registry, or one of its repositories */
function watched<T extends object>(
  target: T,
  what: string,
  task: Task,
  wayTo: (registry: string, repository?: string) => Way = () => straight,
  way: Way = straight,
): T {
  return new Proxy(target, {
    get(_target, key) {
      const value: unknown = Reflect.get(target, key);
      if (typeof value !== 'function' || typeof key !== 'string') return value;
      const call = (...args: unknown[]): unknown => value.apply(target, args) as unknown;
      if (key === 'openBlob') {
        // An SBOM is made once in all histories: what it takes may not depend on which one that is.
        const through = task.label.includes('attachSbom') ? straight : way;
        // It takes a turn of the loop: nothing else is to be taken for all that there is meanwhile.
        return (...args: unknown[]) => task.aside(Promise.resolve(through(false, () => call(...args))));
      }
      if (PLAIN.has(key)) return call;
      if (NAMES.has(key)) {
        return (registry: string, repository?: string) =>
          watched(
            call(registry, repository) as object,
            repository ?? registry,
            task,
            wayTo,
            wayTo(registry, repository),
          );
      }
      const writes = !READS.test(key);
      const label = (args: unknown[]): string =>
        `${what} ${key} ${typeof args[0] === 'string' ? args[0].slice(0, 80) : ''}`;
      if (/^list(?:Tags|TagDetails|Repositories|NewestTags|NewestManifests)$/.test(key)) {
        return async function* (...args: unknown[]) {
          await task.call(label(args), false, () => way(false, () => undefined));
          yield* call(...args) as AsyncIterable<unknown>;
        };
      }
      return (...args: unknown[]) => task.call(label(args), writes, () => way(writes, () => call(...args)));
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

/** Lists in pages of a few rows, as where there are many; a page of rows that change may miss one that moves meanwhile. */
function paged(store: World['store'], rows: number): World['store'] {
  const short = Object.create(store) as World['store'];
  const few = <O extends PageOptions>(options: O | undefined): O & PageOptions =>
    ({ ...options, size: Math.min(options?.size ?? rows, rows) }) as O & PageOptions;
  short.listPromotions = (options) => store.listPromotions(few(options));
  short.listDuePromotions = (options) => store.listDuePromotions(few(options));
  short.listRuns = (options) => store.listRuns(few(options));
  short.listSubjectIndex = (options) => store.listSubjectIndex(few(options));
  return short;
}

/** A world as one task sees it: its own calls, one by one, through whatever is wrong with the registries. */
export function viewOf(
  world: World,
  task: Task,
  around: { leases: SimulatedLeases; troubles: Troubles; watches: Watches; pageRows: number | undefined },
): World {
  const { registries, listing, documents, queues, engine, signer, rules } = world;
  const { leases, troubles, watches, pageRows } = around;
  // The answer to a write is lost, and the client that asks once more is told that somebody has written.
  const stored: Way = async (writes, work) => {
    if (writes && troubles.loseAnswer()) await work();
    return work();
  };
  const keep = <T extends object>(port: T, what: string): T => watched(port, what, task, undefined, stored);
  const store = watches.storeOf(task);
  const wayTo =
    (registry: string, repository?: string): Way =>
    (writes, work) =>
      troubles.through({ registry, ...(repository !== undefined && { repository }) }, writes, async () => {
        if (writes && repository !== undefined) await watches.writing(task, registry, repository);
        watches.writer = task;
        return work();
      });
  return {
    ...world,
    registries: watched(registries, 'registries', task, wayTo),
    listing: watched(listing, 'listing', task, wayTo),
    counted(onRequest) {
      const counted = world.counted(onRequest);
      return {
        registries: watched(counted.registries, 'registries', task, wayTo),
        listing: watched(counted.listing, 'listing', task, wayTo),
      };
    },
    store: keep(pageRows === undefined ? store : paged(store, pageRows), 'store'),
    documents: keep(documents, 'documents'),
    queues: keep(queues, 'queue'),
    engine: keep(engine, 'engine'),
    signer: signer && watched(signer, 'signer', task),
    rules: watched(rules, 'rules', task),
    lease: leases.of(task) as World['lease'],
  };
}
