import { handleTickMessage, reviveClock } from '../../../src/schedule/clock.js';
import { memoryRunStore } from '../../support/memory-ports.js';

// Hosts, a queue and a table in virtual time, for the schedule's loop. They behave as Microsoft's host was seen to
// behave.

/** The message of a killed host is delivered again after this time, in milliseconds. */
const LOCK_MS = 10 * 60_000;
/** A message whose handler failed is delivered again after this time, at most five times (host.json). */
const RETRY_MS = 30_000;
const MOST_DEQUEUES = 5;
const POLL_MS = 10_000;
const RESTART_MS = 20_000;

/** What happens at one call of a port: the host dies, the call fails, or the host sleeps. */
export interface Harm {
  how: 'crash' | 'fail' | 'sleep';
  when: 'before' | 'after';
}

interface Message {
  text: string;
  visibleMs: number;
  dequeues: number;
}

interface Host {
  /** How far the host's clock is ahead, in milliseconds. */
  skewMs: number;
  isDead: boolean;
}

export interface Plan {
  seed: number;
  /** One entry per host. */
  skewsMs: readonly number[];
  /** @param call counts the calls of all hosts, starting at 1 */
  harm?: (call: number, nowMs: number) => Harm | undefined;
  /** Duration of a tick, in milliseconds. */
  tickMs?: (nowMs: number) => number;
  /** If true, each message is delivered twice. */
  twice?: boolean;
}

export class ClockHosts {
  nowMs = Date.UTC(2026, 0, 1);
  /** When ticks started, in virtual milliseconds since the test started. */
  readonly ticks: number[] = [];
  /** Messages moved to the poison queue. */
  readonly poison: string[] = [];
  readonly queue: Message[] = [];
  readonly store = memoryRunStore();
  calls = 0;
  readonly #plan: Plan;
  readonly #startMs = this.nowMs;
  readonly #hosts: Host[];
  #events: { atMs: number; run: () => void }[] = [];
  #random: number;

  constructor(plan: Plan) {
    this.#plan = plan;
    this.#random = plan.seed;
    this.#hosts = plan.skewsMs.map((skewMs) => ({ skewMs, isDead: false }));
    for (let index = 0; index < this.#hosts.length; index += 1) this.#poll(index);
    this.#timer();
  }

  get passedMs(): number {
    return this.nowMs - this.#startMs;
  }

  async run(minutes: number): Promise<void> {
    const untilMs = this.#startMs + minutes * 60_000;
    for (;;) {
      const [next] = this.#events.sort((a, b) => a.atMs - b.atMs);
      if (next === undefined || next.atMs > untilMs) return;
      this.#events.shift();
      this.nowMs = next.atMs;
      next.run();
      await new Promise((resolve) => void setImmediate(resolve));
    }
  }

  /** Milliseconds between the starts of ticks, after a given time. */
  gaps(fromMs = 0): number[] {
    const later = this.ticks.filter((atMs) => atMs >= fromMs);
    return later.slice(1).map((atMs, index) => atMs - (later[index] ?? 0));
  }

  #draw(most: number): number {
    this.#random = (Math.imul(this.#random, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((this.#random / 2 ** 32) * most);
  }

  #after(ms: number, run: () => void): void {
    this.#events.push({ atMs: this.nowMs + ms, run });
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.#after(ms, resolve));
  }

  /** Every host polls the queue now and then. */
  #poll(index: number): void {
    this.#after(this.#draw(POLL_MS) + 1, () => {
      this.#take(index);
      this.#poll(index);
    });
  }

  /** One timer for all hosts. */
  #timer(): void {
    this.#after(60_000, () => {
      const host = this.#hosts[this.#draw(this.#hosts.length)];
      if (host !== undefined && !host.isDead) void reviveClock(this.#portsOf(host)).catch(() => undefined);
      this.#timer();
    });
  }

  #take(index: number): void {
    const host = this.#hosts[index];
    const message = this.queue.find(({ visibleMs }) => visibleMs <= this.nowMs);
    if (host === undefined || host.isDead || message === undefined) return;
    message.visibleMs = this.nowMs + LOCK_MS;
    message.dequeues += 1;
    if (this.#plan.twice === true && message.dequeues === 1)
      this.queue.push({ ...message, visibleMs: this.nowMs + this.#draw(90_000) });
    const work = async (): Promise<void> => {
      await handleTickMessage(this.#portsOf(host), message.text, async (state) => {
        this.ticks.push(this.passedMs);
        await this.#pause(this.#plan.tickMs?.(this.passedMs) ?? 1_000 + this.#draw(20_000));
        return state;
      });
    };
    const remove = (): void => void this.queue.splice(this.queue.indexOf(message), 1);
    work().then(remove, () => {
      if (message.dequeues < MOST_DEQUEUES) message.visibleMs = this.nowMs + RETRY_MS;
      else {
        remove();
        this.poison.push(message.text);
      }
    });
  }

  #portsOf(host: Host): Parameters<typeof reviveClock>[0] {
    const call = <T>(work: () => Promise<T>): Promise<T> => this.#call(host, work);
    const { store } = this;
    return {
      store: {
        getNote: (name) => call(() => store.getNote(name)),
        putNote: (name, text, version) => call(() => store.putNote(name, text, version)),
      },
      queues: {
        send: (_queue, text, { delaySeconds = 0 } = {}) =>
          call(async () => {
            this.queue.push({ text, visibleMs: this.nowMs + delaySeconds * 1_000, dequeues: 0 });
          }),
      },
      now: () => new Date(this.nowMs + host.skewMs),
    };
  }

  async #call<T>(host: Host, work: () => Promise<T>): Promise<T> {
    this.calls += 1;
    const harm = this.#plan.harm?.(this.calls, this.passedMs);
    await this.#pause(this.#draw(200));
    if (host.isDead) return new Promise<never>(() => undefined);
    if (harm?.when === 'before') await this.#suffer(host, harm.how);
    const answer = await work();
    if (harm?.when === 'after') await this.#suffer(host, harm.how);
    return answer;
  }

  async #suffer(host: Host, how: Harm['how']): Promise<void> {
    if (how === 'fail') throw new Error('the account does not answer');
    if (how === 'sleep') return this.#pause(5 * 60_000);
    // All work in progress is abandoned, and a new process takes the host's place.
    host.isDead = true;
    const index = this.#hosts.indexOf(host);
    this.#after(RESTART_MS, () => (this.#hosts[index] = { skewMs: host.skewMs, isDead: false }));
    return new Promise<never>(() => undefined);
  }
}
