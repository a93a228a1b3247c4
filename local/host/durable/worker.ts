import { describe, log } from '../log.js';
import { runActivity } from './activity.js';
import { beat, leave } from './hosts.js';
import type { ActivityBody, Message, NewMessage, ScheduleBody, TurnBody } from './messages.js';
import { giveUp, runTurn } from './turn.js';
import type { Engine } from './turn.js';

/** How often a turn may throw inside the host before its instance fails. */
const TURN_TRIES = 20;

export interface WorkerOptions {
  hostId: string;
  /** Interval of the signs of life; shorter than the shortest lock. */
  beatMs: number;
  pollMs: number;
  /** How many messages of each queue are handled in parallel; 0: none. */
  atOnce: Record<NewMessage['queue'], number>;
  /** Checks the timer functions; called before each look at the queues. */
  tick(): void;
  /** Runs a timer function. */
  runScheduled(message: Message<ScheduleBody>): Promise<void>;
}

export interface Worker {
  /** Call it after writing to the database, to look at the queues at once. */
  wake: () => void;
  /**
   * Takes nothing new and waits up to `graceMs` for running work. The rest becomes visible again when its lock expires.
   */
  stop(graceMs: number): Promise<void>;
}

/** Takes messages and handles them until it is stopped. */
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
      log('error', 'durable', `a turn of ${message.instance} failed: ${describe(error)}`);
      if (message.tries >= TURN_TRIES) {
        giveUp(engine, message, `LOCAL_HOST_TURN_BROKE: ${String(error)}`);
      } else {
        messages.release(message, 50 * message.tries);
      }
    }
  }

  /** @returns true if there was a message */
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
    // Always check all three queues, so that many turns do not hold up activities.
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
      // Keep renewing the locks of running work while we wait.
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
