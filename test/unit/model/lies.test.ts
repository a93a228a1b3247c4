import { describe, expect, test } from '@jest/globals';
import type { Timed } from './history.js';
import { play } from './model.js';
import { SIMPLE } from './setting.js';

// What the cloud does to orchestrations, one lie at a time, and how the runs end (interrupted.ts). SHOW=1 prints what comes of each.

const PUSH: Timed = { is: 'push', image: 0, repository: 0, tag: 0, after: 0 };
const TICK: Timed = { is: 'tick', after: 300 };
const CUT_NEXT: Timed = { is: 'cut', nth: 0, of: 'next', after: 0 };
const MINUTES: Timed[] = Array.from({ length: 18 }, () => [
  { is: 'time', seconds: 60, after: 300 } as const,
  { is: 'tick', after: 0 } as const,
]).flat();

interface Case {
  happenings: Timed[];
  spreads?: boolean;
  /** How the runs end, and how often; undefined: it may be either way. */
  ends?: Record<string, number>;
}

const FOLLOWED = { interrupted: 1, promoted: 1 };

const CASES: Record<string, Case> = {
  'the first turn of a run is cut off': { happenings: [CUT_NEXT, PUSH, TICK], ends: FOLLOWED },
  'a turn is cut off while the run works': {
    happenings: [PUSH, { is: 'cut', nth: 0, of: 'whole', after: 0, at: 'pushManifest' }, TICK],
    ends: FOLLOWED,
  },
  'a turn is cut off between two calls of a long step': {
    happenings: [PUSH, { is: 'cut', nth: 0, of: 'whole', after: 0, at: 'attach: store' }, TICK],
    spreads: true,
    ends: FOLLOWED,
  },
  'the first activity fails for good': {
    happenings: [PUSH, { is: 'doom', nth: 0, step: 'observe', after: 0, at: 'observe: store' }, TICK],
    ends: FOLLOWED,
  },
  'the last activity fails for good': {
    happenings: [PUSH, { is: 'doom', nth: 0, step: 'closeRun', after: 0, at: 'closeRun: store' }, TICK],
    ends: FOLLOWED,
  },
  'the engine has lost the run': {
    happenings: [PUSH, { is: 'lose', nth: 0, after: 0, at: 'pushManifest' }, TICK],
    ends: FOLLOWED,
  },
  'the run is pending for more than 15 minutes': {
    happenings: [{ is: 'stick', after: 0 }, PUSH, ...MINUTES],
    ends: FOLLOWED,
  },
  'the run is pending while the schedule does not look for more than 15 minutes': {
    happenings: [{ is: 'stick', after: 0 }, PUSH, { is: 'time', seconds: 1_000, after: 300 }, { is: 'tick', after: 0 }],
    ends: { promoted: 1 },
  },
  'a turn hangs for more than 15 minutes': {
    happenings: [PUSH, { is: 'stall', nth: 0, cut: false, more: 1, after: 0, at: 'pushManifest' }, ...MINUTES],
    ends: FOLLOWED,
  },
  'an activity hangs for more than 15 minutes': {
    happenings: [PUSH, { is: 'hang', nth: 0, lands: false, more: 1, after: 0, at: 'pushManifest' }, ...MINUTES],
    ends: FOLLOWED,
  },
  'three runs in a row are cut off, and the third has failed': {
    happenings: [CUT_NEXT, PUSH, { ...CUT_NEXT, after: 300 }, TICK, { ...CUT_NEXT, after: 300 }, TICK, TICK],
    ends: { interrupted: 2, 'failed RUN_LOST': 1, promoted: 1 },
  },
  'three runs are cut off, with a push in between': {
    happenings: [
      CUT_NEXT,
      PUSH,
      { ...CUT_NEXT, after: 300 },
      TICK,
      { ...CUT_NEXT, after: 300 },
      { ...PUSH, image: 1 },
      TICK,
    ],
    ends: { interrupted: 3, promoted: 1 },
  },
  'the second of two that were cut off had ended as promoted': {
    happenings: [
      CUT_NEXT,
      PUSH,
      TICK,
      { is: 'crash', nth: 0, how: 'fails', lands: false, after: 0, at: 'closeRun: store replacePromotion' },
      { is: 'cut', nth: 0, of: 'whole', after: 0 },
      TICK,
    ],
  },
};

describe('what the cloud does to a run', () => {
  test.each(Object.entries(CASES))('%s', async (name, given) => {
    const played = await playCase(name, given);
    expect(played).toEqual({ problems: [], ends: given.ends ?? played.ends });
  });
});

async function playCase(
  name: string,
  { happenings, spreads = false }: Case,
): Promise<{ problems: string[]; ends: object }> {
  const history = { setting: { ...SIMPLE, spreads }, happenings, copies: [], choices: [] };
  const { problems, ends } = await play(history);
  if (process.env.SHOW === '1') process.stdout.write(`${name}: ${JSON.stringify([problems, [...ends]])}\n`);
  return { problems, ends: Object.fromEntries(ends) };
}
