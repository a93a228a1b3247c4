import { z } from 'zod';
import type { Notes } from '../ports/notes.js';
import type { Ports } from '../ports/ports.js';
import type { StorePort } from '../ports/store.js';
import { readNote } from './notes.js';

/** Who sends the requests: `scan` is the change scan and the full scan. */
export type ShareName = 'scan' | 'resync';

/** Requests beyond a share are deducted from the next ticks, at most for this many minutes. */
const MOST_DEBT_MINUTES = 10;
/** At most this many registries with a debt are kept. */
const MOST_INDEBTED = 200;

const NOTE = 'shares';
const debtsSchema = z.record(z.string(), z.number().min(0));
const noteSchema = z.object({ scan: debtsSchema, resync: debtsSchema });

export type SharePorts = Pick<Ports, 'counted' | 'scheduleRequests'> & StorePort<Notes>;

/** Registry clients whose requests are counted. */
export type CountedPorts = Pick<Ports, 'registries' | 'listing'>;

/** The requests that one part of a tick may send to each registry. */
export interface Share {
  /**
   * Requests left in this tick. At 0 or less, nothing new may begin; what has begun may finish, and the next ticks get
   * less.
   */
  left(registry: string): number;
  /** Requests sent in this tick. */
  asked(registry: string): number;
  /** @param onRequest called before each request, after it is counted; an error that it throws replaces the request */
  counted(onRequest?: (registry: string) => void): CountedPorts;
}

/**
 * Counts the requests of one tick by registry. Scans and resync have separate shares, so that neither takes the
 * other's. Only one tick works at a time and a tick lasts a minute, so no clock and no number of hosts is needed.
 * Unused requests do not carry over.
 */
export class Shares {
  readonly #ports: SharePorts;
  readonly #version: string | undefined;
  readonly #debts: z.infer<typeof noteSchema>;
  readonly #asked: Record<ShareName, Map<string, number>> = { scan: new Map(), resync: new Map() };

  private constructor(ports: SharePorts, version: string | undefined, debts: z.infer<typeof noteSchema>) {
    this.#ports = ports;
    this.#version = version;
    this.#debts = debts;
  }

  /** Starts a tick. Costs one table request. */
  static async open(ports: SharePorts): Promise<Shares> {
    const kept = await readNote(ports.store, NOTE, noteSchema);
    return new Shares(ports, kept?.version, kept?.value ?? { scan: {}, resync: {} });
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

  /** Ends the tick: keeps the requests beyond each share as a debt. If two ticks end at once, the first one wins. */
  async close(): Promise<void> {
    const text = JSON.stringify({ scan: this.#owed('scan'), resync: this.#owed('resync') });
    if (text !== JSON.stringify(this.#debts)) await this.#ports.store.putNote(NOTE, text, this.#version);
  }

  #owed(name: ShareName): Record<string, number> {
    const most = MOST_DEBT_MINUTES * this.#ports.scheduleRequests[name];
    const registries = new Set([...this.#asked[name].keys(), ...Object.keys(this.#debts[name])]);
    const owed = [...registries].map((registry) => [registry, Math.min(-this.#left(name, registry), most)] as const);
    return Object.fromEntries(owed.filter(([, requests]) => requests > 0).slice(0, MOST_INDEBTED));
  }
}
