import { z } from 'zod';
import type { Notes } from '../ports/notes.js';
import type { StorePort } from '../ports/store.js';

const NOTE = 'resync';
const noteSchema = z.object({ looking: z.array(z.string()) });

/**
 * Says which promotions a tick is about to look at, so that one that kills its host is found: if a tick did not come to its end, the
 * next one looks at each of these by itself; one that was alone was it.
 */
export class ResyncBegun {
  readonly #ports: StorePort<Notes>;
  #version: string | undefined;
  /** What a tick that died was looking at. */
  readonly before: readonly string[];

  private constructor(ports: StorePort<Notes>, kept: { value: string; version: string } | undefined) {
    this.#ports = ports;
    this.#version = kept?.version;
    this.before = lookingIn(kept?.value);
  }

  static async open(ports: StorePort<Notes>): Promise<ResyncBegun> {
    return new ResyncBegun(ports, await ports.store.getNote(NOTE));
  }

  /** @returns false if another tick has written it: that one goes on */
  async say(looking: readonly string[]): Promise<boolean> {
    if (!(await this.#put(looking))) return false;
    const kept = await this.#ports.store.getNote(NOTE);
    this.#version = kept?.version;
    return kept?.value === JSON.stringify({ looking });
  }

  async end(): Promise<void> {
    await this.#put([]);
  }

  #put(looking: readonly string[]): Promise<boolean> {
    return this.#ports.store.putNote(NOTE, JSON.stringify({ looking }), this.#version);
  }
}

/** A note of another version: nothing. */
function lookingIn(text: string | undefined): string[] {
  try {
    return noteSchema.parse(JSON.parse(text ?? '')).looking;
  } catch {
    return [];
  }
}
