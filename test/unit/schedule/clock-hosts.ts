import { handleTickMessage, reviveClock } from '../../../src/schedule/clock.js';
import { memoryRunStore } from '../../support/memory-ports.js';

// Hosts, a queue and a table in virtual time, for the loop of the schedule: as Microsoft's host was seen to work.

/** The message of a host that was killed comes back so late, in milliseconds. */
const LOCK_MS = 10 * 60_000;
/** A message whose handler failed comes back so late, five times at most: host.json. */
const RETRY_MS = 30_000;
const MOST_DEQUEUES = 5;
const POLL_MS = 10_000;
const RESTART_MS = 20_000;

/** What is done to a call of a port: the host dies, the call fails, or the host sleeps. */
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
  /** How far its clock is ahead, in milliseconds. */
  skewMs: number;
  isDead: boolean;
}

export interface Plan {
  seed: number;
  /** One for each host. */
  skewsMs: readonly number[];
  /** @param call of all hosts, from 1 on */
  harm?: (call: number, nowMs: number) => Harm | undefined;
  /** How long a tick takes, in milliseconds. */
  tickMs?: (nowMs: number) => number;
  /** Each message is delivered twice. */
  twice?: boolean;
}

export class ClockHosts {
  nowMs = Date.UTC(2026, 0, 1);
  /** When ticks began, in virtual milliseconds since the begin. */
  readonly ticks: number[] = [];
  /** Messages that were given up. */
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

  /** Milliseconds between the begins of ticks, from a time on. */
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

  /** Every host looks into the queue now and then. */
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
    // All that it was at is left as it is; another process takes its place.
    host.isDead = true;
    const index = this.#hosts.indexOf(host);
    this.#after(RESTART_MS, () => (this.#hosts[index] = { skewMs: host.skewMs, isDead: false }));
    return new Promise<never>(() => undefined);
  }
}
