import type { World } from '../../support/world.js';
import { HOST } from './host-limits.js';
import type { Action, Simulation, Task } from './simulation.js';

export type Door = 'onRegistryEvent' | 'onRegistryEventMessage' | 'onJobMessage' | 'onScheduleMessage';

interface Letter {
  id: string;
  door: Door;
  body: unknown;
  insertedAt: string;
  visibleMs: number;
  tries: number;
  task?: Task;
  /** Its worker is dead and nobody knows: it keeps its slot. */
  hangs?: boolean;
}

/** How it is handled: by the app's own trigger. */
export type Handle = (task: Task, door: Door, body: unknown, metadata: Record<string, string>) => Promise<unknown>;

const MOST_TRIES = 60;
const FIRST_PAUSE_MS = 10_000;
const LONGEST_PAUSE_MS = 600_000;

/** Queues and Event Grid: what is under way to the app, delivered in any order, and again until it is handled. */
export class Mail {
  readonly #simulation: Simulation;
  readonly #queues: World['queues'];
  readonly #handle: Handle;
  readonly #letters: Letter[] = [];
  /** Messages of the schedule's loop: they come when somebody lets time pass for a tick. */
  readonly #held: unknown[] = [];
  #posted = 0;
  #collected = 0;

  constructor(simulation: Simulation, queues: World['queues'], handle: Handle) {
    this.#simulation = simulation;
    this.#queues = queues;
    this.#handle = handle;
    simulation.sources.push(() => this.#deliveries());
  }

  get isEmpty(): boolean {
    return this.#letters.length === 0;
  }

  /** Time for a tick. @returns false if no message is under way: the loop has stopped */
  releaseTicks(): boolean {
    this.#collect();
    const held = this.#held.splice(0);
    for (const body of held) this.post('onScheduleMessage', body);
    return held.length > 0 || this.#letters.some(({ door }) => door === 'onScheduleMessage');
  }

  post(door: Door, body: unknown, delayMs = 0): void {
    this.#posted += 1;
    const insertedAt = this.#simulation.now().toISOString();
    const visibleMs = this.#simulation.nowMs + delayMs;
    this.#letters.push({ id: `mail-${this.#posted}`, door, body, insertedAt, visibleMs, tries: 0 });
    if (delayMs > 0) this.#simulation.at(visibleMs, 'visible', () => undefined);
  }

  /** The handler of the letter has died, or sleeps. @returns whether that was a letter */
  again(task: Task, pauseMs: number): boolean {
    const letter = this.#letters.find((other) => other.task === task);
    if (letter !== undefined) this.#putBack(letter, pauseMs);
    return letter !== undefined;
  }

  /** The process that was handling it died, and the host does not see it until it times out. @returns whether that was a letter */
  hang(task: Task): boolean {
    const letter = this.#letters.find((other) => other.task === task);
    if (letter === undefined) return false;
    letter.hangs = true;
    this.#simulation.at(this.#simulation.nowMs + HOST.functionTimeoutMs, 'the message times out', () => {
      delete letter.hangs;
      this.#putBack(letter, HOST.visibilityTimeoutMs);
    });
    return true;
  }

  #deliveries(): Action[] {
    this.#collect();
    const hanging = this.#letters.filter(({ hangs }) => hangs === true).length;
    const working = this.#letters.filter(({ task }) => task !== undefined).length;
    // Without any that hangs there are other hosts.
    if (hanging > 0 && working >= HOST.messages) return [];
    return this.#letters
      .filter(({ task, visibleMs }) => task === undefined && visibleMs <= this.#simulation.nowMs)
      .map((letter) => {
        const { door, body } = letter;
        const label = `${door} ${JSON.stringify((body as { data?: unknown }).data ?? body).slice(0, 150)}`;
        return { label, run: () => this.#deliver(letter, label) };
      });
  }

  /** What the app itself has put into queues that it reads. */
  #collect(): void {
    const { sent } = this.#queues;
    for (; this.#collected < sent.length; this.#collected += 1) {
      const message = sent[this.#collected];
      const doors: Partial<Record<string, Door>> = {
        'registry-events': 'onRegistryEventMessage',
        jobs: 'onJobMessage',
      };
      if (message?.queue === 'schedule') this.#held.push(JSON.parse(message.text));
      const door = message && doors[message.queue];
      if (message !== undefined && door !== undefined)
        this.post(door, JSON.parse(message.text), message.delaySeconds * 1000);
    }
  }

  async #deliver(letter: Letter, label: string): Promise<void> {
    await this.#simulation.start(
      label,
      (task) => {
        letter.task = task;
        letter.tries += 1;
        return this.#handle(task, letter.door, letter.body, { id: letter.id, insertionTime: letter.insertedAt });
      },
      (task, _result, error) => {
        if (error === undefined) {
          if (this.#letters.includes(letter)) this.#letters.splice(this.#letters.indexOf(letter), 1);
          return;
        }
        if (letter.tries > MOST_TRIES) throw new Error(`${label} is never handled: ${error.message}`);
        if (letter.task === task)
          this.#putBack(letter, Math.min(FIRST_PAUSE_MS * 2 ** (letter.tries - 1), LONGEST_PAUSE_MS));
      },
    );
  }

  #putBack(letter: Letter, pauseMs: number): void {
    delete letter.task;
    letter.visibleMs = this.#simulation.nowMs + pauseMs;
    this.#simulation.at(letter.visibleMs, 'visible again', () => undefined);
  }
}
