import { describe, log } from '../log.js';
import { runActivity } from './activity.js';
import { beat, leave } from './hosts.js';
import type { ActivityBody, Message, NewMessage, ScheduleBody, TurnBody } from './messages.js';
import { giveUp, runTurn } from './turn.js';
import type { Engine } from './turn.js';

/** Times that a turn may break inside the host itself before its instance is failed. */
const TURN_TRIES = 20;

export interface WorkerOptions {
  hostId: string;
  /** How often a sign of life is given; less often than the shortest lock ends. */
  beatMs: number;
  pollMs: number;
  /** How many of each are worked on at a time; 0: none is taken. */
  atOnce: Record<NewMessage['queue'], number>;
  /** Looks at the timer functions; called before each look at the queues. */
  tick(): void;
  /** Runs a timer function. */
  runScheduled(message: Message<ScheduleBody>): Promise<void>;
}

export interface Worker {
  /** Something was put into the database: look now. */
  wake: () => void;
  /** Takes nothing new, and waits for what runs, up to `graceMs`. The rest is seen again when its lock ends. */
  stop(graceMs: number): Promise<void>;
}

/** Takes messages and works on them until it is stopped. */
export function startWorker(engine: Engine, options: WorkerOptions): Worker {
  const { messages } = engine;
  const running = new Set<Promise<void>>();
  const slots = { ...options.atOnce };
  const stopping = new AbortController();
  let lastBeat = 0;
  let wakeUp: (() => void) | undefined;

  const wake = () => wakeUp?.();

  async function turn(message: Message<TurnBody>): Promise<void> {
    try {
      await runTurn(engine, message);
    } catch (error) {
      log('error', 'durable', `a turn of ${message.instance} broke: ${describe(error)}`);
      if (message.tries >= TURN_TRIES) {
        giveUp(engine, message, `LOCAL_HOST_TURN_BROKE: ${String(error)}`);
      } else {
        messages.release(message, 50 * message.tries);
      }
    }
  }

  /** @returns whether there was one. */
  function take<B>(queue: NewMessage['queue'], work: (message: Message<B>) => Promise<void>): boolean {
    const message = slots[queue] > 0 ? messages.take<B>(queue) : undefined;
    if (message === undefined) {
      return false;
    }
    slots[queue]--;
    const job = work(message)
      .catch((error: unknown) => {
        log('error', 'durable', `message ${message.id} of ${queue}: ${describe(error)}`);
        messages.release(message, 200);
      })
      .finally(() => {
        slots[queue]++;
        running.delete(job);
        wake();
      });
    running.add(job);
    return true;
  }

  function look(): boolean {
    const now = Date.now();
    if (now - lastBeat >= options.beatMs) {
      beat(engine.db, messages, options.hostId);
      lastBeat = now;
    }
    options.tick();
    // All three are looked at, each time: a flood of turns holds up no activity.
    const turns = take<TurnBody>('instance', turn);
    const activities = take<ActivityBody>('activity', async (message) => await runActivity(engine, message));
    const scheduled = take<ScheduleBody>('schedule', async (message) => await options.runScheduled(message));
    return turns || activities || scheduled;
  }

  async function loop(): Promise<void> {
    while (!stopping.signal.aborted) {
      let found = false;
      try {
        found = look();
      } catch (error) {
        log('error', 'durable', `the database: ${describe(error)}`);
      }
      await new Promise<void>((resolve) => {
        if (found) {
          setImmediate(resolve);
          return;
        }
        const timer = setTimeout(resolve, options.pollMs);
        wakeUp = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      wakeUp = undefined;
    }
  }
  const looping = loop();

  return {
    wake,
    async stop(graceMs) {
      stopping.abort();
      wake();
      await looping;
      // What still runs is held until it is done: a sign of life for it, as long as we wait.
      const beating = setInterval(() => messages.renew(), options.beatMs);
      const late = new Promise<void>((resolve) => {
        setTimeout(resolve, graceMs).unref();
      });
      await Promise.race([Promise.all(running), late]);
      clearInterval(beating);
      leave(engine.db, messages, options.hostId);
    },
  };
}
