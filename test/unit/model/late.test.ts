import { expect, test } from '@jest/globals';
import type { History, Timed } from './history.js';
import { SIMPLE, type Setting } from './setting.js';
import { ENDLESS_SECONDS, type Late } from './troubles.js';
import { play } from './model.js';

// Replicas that are late for ten minutes, in histories that are `strict`: events alone must suffice, before the schedule looks, and no
// destination may go back.

const PLACE = { image: 0, repository: 0, tag: 0 };
/** So many steps later all that was begun has ended. */
const LATER = 2_000;

function push(image: number, after = LATER): Timed {
  return { is: 'push', ...PLACE, image, after };
}

function report(image = 0): Timed {
  return { is: 'attach', what: 'report', ...PLACE, image, after: LATER };
}

const EVIDENCE: Timed = { is: 'attach', what: 'evidence', ...PLACE, after: 0 };

/** @param turn so many reads in turn go to the replica that is late, and to the one that isn't; all go to the late one by default */
function late(what: Late, where: 'source' | 'destination', turn?: number): Timed {
  const how = turn === undefined ? 'stale' : 'torn';
  const bounds = { calls: ENDLESS_SECONDS, seconds: 600, after: LATER };
  return { is: 'late', late: what, where, how, ...bounds, ...(turn !== undefined && { turn }) };
}

async function problemsOf(history: Row[1]): Promise<string[]> {
  return (await play({ ...history, copies: [], choices: [] })).problems;
}

type Case = [name: string, happenings: Timed[], setting?: Partial<Setting>];
type Row = [name: string, wanted: Omit<History, 'copies' | 'choices'>];

function rowOf([name, happenings, setting]: Case): Row {
  return [name, { setting: { ...SIMPLE, ...setting }, happenings, strict: true }];
}

const CASES: Case[] = [
  [
    'a tag that a late replica still answers with its old digest is promoted when it has the new digest',
    [push(0), late('tags', 'source'), push(1)],
  ],
  [
    'so is a tag that was moved back to a digest that was there before',
    [push(0), push(1), late('tags', 'source'), push(0)],
  ],
  [
    'so is a tag that one of two replicas reads as it was, with all that it has',
    [push(0), late('all', 'source', 1), push(1)],
  ],
  [
    'a destination whose tag reads as it was gets what the source went back to',
    [push(0), late('tags', 'destination'), push(1), push(0)],
  ],
  [
    'a referrer that cannot be read yet when its push is reported is copied when it can be read',
    [push(0), late('manifests', 'source'), report()],
  ],
  ['so is one that one of two replicas cannot read yet', [push(0), late('manifests', 'source', 1), report()]],
  [
    'a referrer that is not listed yet when its push is reported is copied when it is listed',
    [push(0), late('referrers', 'source'), report()],
  ],
  ['so is one whose list is empty for a while', [push(0), late('unlisted', 'source'), report()]],
  [
    'so is one where the SBOM is attached at the destination',
    [late('referrers', 'source'), push(0, 0), report()],
    { sbom: true, attachesThere: true },
  ],
  [
    'a replica that is late moves no destination back to the digest that was replaced',
    [push(0), late('tags', 'source', 3), push(1), report(0), report(1)],
  ],
];

const KINDS: Late[] = ['tags', 'manifests', 'referrers', 'unlisted', 'lists', 'all'];
const SIDES = ['source', 'destination'] as const;
const OF_KIND: Case[] = KINDS.flatMap((what) =>
  SIDES.flatMap((where): Case[] => [
    [`an image is promoted while ${what} are late at the ${where}`, [late(what, where), push(0, 0)]],
    [
      `evidence opens the gate while ${what} are late at the ${where}`,
      [push(0), { ...late(what, where), after: 300 }, EVIDENCE],
      { gate: true },
    ],
  ]),
);
for (const what of ['manifests', 'referrers', 'lists'] as const)
  OF_KIND.push([
    `a moved tag is promoted while ${what} are late at the source`,
    [push(0), late(what, 'source'), push(1)],
  ]);

const HOUR_S = 3_600;
/** Two hosts whose clocks are an hour apart: the second one ahead in every other case, and behind in the others; in the full run both. */
const APART: Case[] = [HOUR_S, -HOUR_S].flatMap((apartSeconds, which) =>
  CASES.filter((_, index) => process.env.FULL === '1' || index % 2 === which).map(
    ([name, happenings, setting]): Case => [
      `${name}, by two hosts whose clocks are ${apartSeconds} s apart`,
      happenings,
      { ...setting, apartSeconds },
    ],
  ),
);

test.each([...CASES, ...OF_KIND, ...APART].map(rowOf))('%s', async (_name, history) => {
  expect(await problemsOf(history)).toEqual([]);
});
