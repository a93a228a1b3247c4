import { z } from 'zod';
import type { Notes } from '../ports/notes.js';
import type { Ports } from '../ports/ports.js';
import type { StorePort } from '../ports/store.js';

/** Who asks: the change scan and the full scan, or resync. */
export type ShareName = 'scan' | 'resync';

/** What a tick asked beyond its share is paid back by the ticks after it; more minutes than these are not. */
const MOST_DEBT_MINUTES = 10;
/** Registries of which a debt is kept. */
const MOST_INDEBTED = 200;

const NOTE = 'shares';
const debtsSchema = z.record(z.string(), z.number().min(0));
const noteSchema = z.object({ scan: debtsSchema.default({}), resync: debtsSchema.default({}) });

export type SharePorts = Pick<Ports, 'counted' | 'scheduleRequests'> & StorePort<Notes>;

/** Registries whose requests count against a share. */
export type CountedPorts = Pick<Ports, 'registries' | 'listing'>;

/** The requests that one part of a tick may make of each registry. */
export interface Share {
  /** Requests that are left in this tick. 0 or less: none. What is begun may end, and the ticks after it make fewer. */
  left(registry: string): number;
  /** Requests of this tick so far. */
  asked(registry: string): number;
  /** @param onRequest called before each request, once it is counted; what it throws takes the request's place */
  counted(onRequest?: (registry: string) => void): CountedPorts;
}

/**
 * Requests of one tick, by registry: each part of the schedule has a share of its own, so that none takes another's turn. A tick is a
 * minute's, and only one works at a time: no clock and no count of hosts is needed. What a share has left at the end of a
 * tick is gone.
 */
export class Shares {
  readonly #ports: SharePorts;
  readonly #kept: { value: string; version: string } | undefined;
  readonly #debts: z.infer<typeof noteSchema>;
  readonly #asked: Record<ShareName, Map<string, number>> = { scan: new Map(), resync: new Map() };

  private constructor(ports: SharePorts, kept: { value: string; version: string } | undefined) {
    this.#ports = ports;
    this.#kept = kept;
    this.#debts = noteOf(kept?.value);
  }

  /** Begins a tick: one request to the table. */
  static async open(ports: SharePorts): Promise<Shares> {
    return new Shares(ports, await ports.store.getNote(NOTE));
  }

  of(name: ShareName): Share {
    const asked = this.#asked[name];
    return {
      left: (registry) => this.#left(name, registry),
      asked: (registry) => asked.get(registry) ?? 0,
      counted: (onRequest) =>
        this.#ports.counted((registry) => {
          asked.set(registry, (asked.get(registry) ?? 0) + 1);
          onRequest?.(registry);
        }),
    };
  }

  #left(name: ShareName, registry: string): number {
    const debt = this.#debts[name][registry] ?? 0;
    return this.#ports.scheduleRequests[name] - debt - (this.#asked[name].get(registry) ?? 0);
  }

  /** Ends the tick: keeps what it asked beyond its shares. Of two ticks at once the first one's word counts. */
  async close(): Promise<void> {
    const text = JSON.stringify({ scan: this.#owed('scan'), resync: this.#owed('resync') });
    if (text === (this.#kept?.value ?? JSON.stringify({ scan: {}, resync: {} }))) return;
    await this.#ports.store.putNote(NOTE, text, this.#kept?.version);
  }

  #owed(name: ShareName): Record<string, number> {
    const most = MOST_DEBT_MINUTES * this.#ports.scheduleRequests[name];
    const registries = new Set([...this.#asked[name].keys(), ...Object.keys(this.#debts[name])]);
    const owed = [...registries].map((registry) => [registry, Math.min(-this.#left(name, registry), most)] as const);
    return Object.fromEntries(owed.filter(([, requests]) => requests > 0).slice(0, MOST_INDEBTED));
  }
}

/** A note of another version: nothing is owed. */
function noteOf(text: string | undefined): z.infer<typeof noteSchema> {
  try {
    return noteSchema.parse(JSON.parse(text ?? '{}'));
  } catch {
    return { scan: {}, resync: {} };
  }
}
