import { ConfigurationError } from '../../src/oci/index.js';
import { log } from './log.js';

/** Faults that the host can inject, and their probabilities. */
const ODDS = {
  /** A second holder takes a message while the first still works on it. */
  unlockEarly: 0.08,
  deliverTwice: 0.08,
  /** A random due message is taken instead of the oldest. */
  shuffle: 0.3,
  /** The activity ends as if its worker had died, before it started or after it finished. */
  workerGoneBefore: 0.03,
  workerGoneAfter: 0.03,
  /** A turn is finished, but its result is lost. */
  turnLost: 0.05,
  /**
   * The worker dies or the host stops during a turn, so the engine fails the orchestration (durable-extension#3216).
   */
  failTurn: 0.003,
  /** An activity fails in all its attempts without being tried. */
  failActivity: 0.002,
  /**
   * The worker of an invocation dies. The invocation never ends, and keeps its slot and its message until
   * `functionTimeout`.
   */
  hang: 0.002,
} as const;
type Fault = keyof typeof ODDS;

/** How often one process injects the worst faults. A host that only hangs would show nothing. */
const MOST: Partial<Record<Fault, number>> = { failTurn: 10, failActivity: 5, hang: 3 };

/** The values of `--lies`. `kill` is {@link crashSomeTime}. */
const LIES = {
  /** Work is repeated, late and out of order, but never lost. */
  repeat: ['unlockEarly', 'deliverTwice', 'shuffle', 'workerGoneBefore', 'workerGoneAfter', 'turnLost'],
  kill: [],
  'fail-turn': ['failTurn'],
  'fail-activity': ['failActivity'],
  hang: ['hang'],
} as const satisfies Record<string, readonly Fault[]>;
type LieName = keyof typeof LIES;

export interface Lie {
  name: LieName;
  /** The name of the function that is affected; undefined: any. */
  of?: string;
  /** The fault happens exactly at the nth occasion, counted from 1; undefined: at random. */
  chance?: number;
}

/** Faults with the same form as the real engine's. */
export interface Chaos {
  /** @param of the function that would be affected */
  happens(fault: Fault, of?: string): boolean;
  /** True or false, with equal probability. */
  flip(): boolean;
  /** Milliseconds to add to a message's time. A timer may fire up to a second early, as with the real engine. */
  delayMs(kind: string): number;
}

function isLieName(name: string): name is LieName {
  return Object.hasOwn(LIES, name);
}

/**
 * @param text comma-separated names: `NAME`, `NAME:FUNCTION`, `NAME@3` or `NAME:FUNCTION@3`; undefined: all
 * @throws ConfigurationError `BAD_OPTION`
 */
export function parseLies(text: string | undefined): Lie[] {
  const names = Object.keys(LIES).filter(isLieName);
  if (text === undefined) return names.map((name) => ({ name }));
  return text.split(',').map((part) => {
    const [, name = '', of, chance] = /^([a-z-]+)(?::([A-Za-z]+))?(?:@([1-9]\d{0,5}))?$/.exec(part) ?? [];
    const isExact = of !== undefined || chance !== undefined;
    if (!isLieName(name) || (isExact && (name === 'kill' || name === 'repeat'))) {
      throw new ConfigurationError('BAD_OPTION', `--lies: ${part} is not one of ${names.join(', ')}`, {
        remedy: 'Use NAME, NAME:FUNCTION, NAME@3 (only the third occasion) or NAME:FUNCTION@3, separated by commas.',
      });
    }
    return { name, ...(of !== undefined && { of }), ...(chance !== undefined && { chance: Number(chance) }) };
  });
}

/** A host is killed at a random moment between these two, in milliseconds after its start. */
const LEAST_LIFE_MS = 4_000;
const MOST_LIFE_MS = 30_000;

/** Kills this process at a random moment, like a crash. Its parent starts it again. */
export function crashSomeTime(): void {
  const lifeMs = LEAST_LIFE_MS + Math.random() * (MOST_LIFE_MS - LEAST_LIFE_MS);
  setTimeout(() => process.kill(process.pid, 'SIGKILL'), lifeMs).unref();
}

/** @param seed undefined: no faults @param lies default: all */
export function createChaos(seed: number | undefined, lies: readonly Lie[] = parseLies(undefined)): Chaos {
  if (seed === undefined) {
    return { happens: () => false, flip: () => false, delayMs: () => 0 };
  }
  // mulberry32: a small seeded generator, good enough here.
  let state = seed;
  const random = () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const rules = lies.map((lie) => ({ ...lie, faults: new Set<Fault>(LIES[lie.name]), chances: 0 }));
  const times = new Map<Fault, number>();
  const isLate = rules.some(({ name }) => name === 'repeat');
  return {
    happens(fault, of) {
      let does = false;
      for (const rule of rules) {
        if (!rule.faults.has(fault) || (rule.of !== undefined && rule.of !== of)) continue;
        rule.chances += 1;
        does ||= rule.chance === undefined ? random() < ODDS[fault] : rule.chance === rule.chances;
      }
      const before = times.get(fault) ?? 0;
      if (!does || before >= (MOST[fault] ?? Infinity)) return false;
      times.set(fault, before + 1);
      // The other faults are too frequent to log.
      if (fault in MOST) log('warning', of ?? 'host', `by --chaos: ${fault}`);
      return true;
    },
    flip: () => random() < 0.5,
    delayMs: (kind) => {
      if (!isLate) return 0;
      return kind === 'timer' ? Math.floor(random() * 1300) - 1000 : Math.floor(random() ** 3 * 100);
    },
  };
}
