import { z } from 'zod';
import type { Notes } from '../ports/notes.js';
import type { StorePort } from '../ports/store.js';

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

  private constructor(ports: StorePort<Notes>, kept: { value: string; version: string } | undefined) {
    this.#ports = ports;
    this.#version = kept?.version;
    this.before = lookingIn(kept?.value);
  }

  static async open(ports: StorePort<Notes>): Promise<CrashMarker> {
    return new CrashMarker(ports, await ports.store.getNote(NOTE));
  }

  /** @returns false if another tick wrote the note; then that tick continues and this one stops */
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

/** If another version wrote the note, it counts as empty. */
function lookingIn(text: string | undefined): string[] {
  try {
    return noteSchema.parse(JSON.parse(text ?? '')).looking;
  } catch {
    return [];
  }
}
