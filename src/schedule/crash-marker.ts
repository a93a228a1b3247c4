import { z } from 'zod';
import type { Notes } from '../ports/notes.js';
import type { StorePort } from '../ports/store.js';
import { readNote } from './notes.js';

const NOTE = 'resync';
const noteSchema = z.object({ looking: z.array(z.string()) });

/**
 * Records which promotions a tick is about to compare, to find one that crashes its host. After a tick that did not
 * finish, the next tick compares each of these alone. If that tick crashes, the promotion being compared is the cause.
 */
export class CrashMarker {
  readonly #ports: StorePort<Notes>;
  #version: string | undefined;
  /** The promotions that a crashed tick was comparing. */
  readonly before: readonly string[];

  private constructor(ports: StorePort<Notes>, version: string | undefined, before: readonly string[]) {
    this.#ports = ports;
    this.#version = version;
    this.before = before;
  }

  static async open(ports: StorePort<Notes>): Promise<CrashMarker> {
    const kept = await readNote(ports.store, NOTE, noteSchema);
    return new CrashMarker(ports, kept?.version, kept?.value?.looking ?? []);
  }

  /** Records what is compared next. @returns false if another tick wrote the note; then that tick continues and this one stops */
  async mark(looking: readonly string[]): Promise<boolean> {
    if (!(await this.#put(looking))) return false;
    const kept = await this.#ports.store.getNote(NOTE);
    this.#version = kept?.version;
    return kept?.value === JSON.stringify({ looking });
  }

  /** Records that the tick finished. */
  async clear(): Promise<void> {
    await this.#put([]);
  }

  #put(looking: readonly string[]): Promise<boolean> {
    return this.#ports.store.putNote(NOTE, JSON.stringify({ looking }), this.#version);
  }
}
