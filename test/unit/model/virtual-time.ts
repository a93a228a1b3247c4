import crypto from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';
import timers from 'node:timers/promises';
import type { Simulation } from './simulation.js';

/** Set while a history is played. */
let current: Simulation | undefined;

/** Dice that fall alike in each history. */
let thrown = 0;
function dice(): number {
  thrown = (Math.imul(thrown, 1_664_525) + 1_013_904_223) >>> 0;
  return thrown / 2 ** 32;
}

// While a history is played, a pause takes no time, and run ids of one moment are listed by their random part.
const { setTimeout: pause } = timers;
const { randomBytes } = crypto;
timers.setTimeout = (async (...values: Parameters<typeof pause>) =>
  current === undefined ? pause(...values) : values[1]) as typeof pause;
crypto.randomBytes = (size: number) =>
  current === undefined ? randomBytes(size) : Buffer.from(Array.from({ length: size }, () => dice() * 256));
syncBuiltinESMExports();

const { setTimeout, setInterval, clearInterval } = globalThis;
const real = { now: Date.now, random: Math.random, timeout: AbortSignal.timeout.bind(AbortSignal) };

/** Work that goes on in threads: what it was asked for once it is not asked for again. */
const verified = new Map<string, Promise<boolean>>();
const { subtle } = globalThis.crypto;
const verify = subtle.verify.bind(subtle);

/** Clock, pauses, deadlines and dice are the simulation's while `work` goes on; and it knows of what goes on in threads. */
export async function inVirtualTime<T>(simulation: Simulation, work: () => Promise<T>): Promise<T> {
  current = simulation;
  thrown = 0;
  Object.assign(globalThis, {
    setTimeout: (end: () => void) => {
      current?.nap(end);
      return { unref: () => undefined };
    },
    setInterval: (fire: () => void) => ({ end: simulation.interval(fire), unref: () => undefined }),
    // An earlier test file may have left a timer that ends now.
    clearInterval: (timer: NodeJS.Timeout | { end: () => void }) =>
      'end' in timer ? timer.end() : clearInterval(timer),
  });
  Math.random = dice;
  Date.now = () => simulation.nowMs;
  AbortSignal.timeout = (ms) => {
    const stop = new AbortController();
    const { signal } = stop;
    simulation.deadline(simulation.nowMs + ms, () => stop.abort(new DOMException('it took too long', 'TimeoutError')));
    return signal;
  };
  subtle.verify = async (algorithm, key, signature, data) => {
    const bytes = (source: ArrayBuffer | ArrayBufferView): string =>
      Buffer.from(
        source instanceof ArrayBuffer
          ? new Uint8Array(source)
          : new Uint8Array(source.buffer, source.byteOffset, source.byteLength),
      ).toString('latin1');
    const name = `${bytes(signature)}|${bytes(data)}`;
    const known = verified.get(name) ?? simulation.watch(verify(algorithm, key, signature, data));
    verified.set(name, known);
    return known;
  };
  try {
    return await work();
  } finally {
    current = undefined;
    Object.assign(globalThis, { setTimeout, setInterval, clearInterval });
    Date.now = real.now;
    Math.random = real.random;
    AbortSignal.timeout = real.timeout;
    subtle.verify = verify;
  }
}
