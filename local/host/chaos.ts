/** What may go wrong on purpose, and how often. */
const ODDS = {
  /** A message is taken by a second holder while the first still works on it. */
  unlockEarly: 0.08,
  deliverTwice: 0.08,
  /** Any due message is taken, instead of the oldest. */
  shuffle: 0.3,
  /** The activity ends as it does when the worker dies: before it began, or after it was done. */
  workerGoneBefore: 0.03,
  workerGoneAfter: 0.03,
  /** A turn is done, and what it came to is lost. */
  turnLost: 0.05,
} as const;

/** Faults in the shape of the real engine's: work is repeated, late and out of order, but never lost. */
export interface Chaos {
  happens(fault: keyof typeof ODDS): boolean;
  /** Milliseconds to add to a message's time; a timer may fire up to a second early, as the real engine's do. */
  delayMs(kind: string): number;
}

/** How long a host lives that is to be killed at any moment, in milliseconds. */
const LEAST_LIFE_MS = 4_000;
const MOST_LIFE_MS = 30_000;

/** Ends this process as a crash does, at a moment that nobody knows: whoever started it starts it again. */
export function crashSomeTime(): void {
  const lifeMs = LEAST_LIFE_MS + Math.random() * (MOST_LIFE_MS - LEAST_LIFE_MS);
  setTimeout(() => process.kill(process.pid, 'SIGKILL'), lifeMs).unref();
}

/** @param seed undefined: nothing goes wrong. */
export function createChaos(seed: number | undefined): Chaos {
  if (seed === undefined) {
    return { happens: () => false, delayMs: () => 0 };
  }
  // mulberry32: small, seeded, and good enough for rolling dice.
  let state = seed;
  const random = () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    happens: (fault) => random() < ODDS[fault],
    delayMs: (kind) => (kind === 'timer' ? Math.floor(random() * 1300) - 1000 : Math.floor(random() ** 3 * 100)),
  };
}
