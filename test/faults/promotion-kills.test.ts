import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ending, startEverything, until, type Everything } from '../support/stack/everything.js';
import { writeHeavyImage } from './promotion/images.js';
import { randomOf, waitForMoment, type Moment } from './promotion/moments.js';
import { expectPromotedOnce, push, settled, tellPush } from './promotion/promoted.js';

// Whatever is killed in the middle of a promotion, and whatever is told twice meanwhile: it completes, with one of each.

const FULL = process.env['FULL'] !== undefined;
const SEED = Number(process.env['KILL_SEED'] ?? Date.now() % 1_000_000);
const random = randomOf(SEED);
/** Seed of the host's own faults, to look for what comes of both. */
const CHAOS = process.env['KILL_CHAOS'];
/** A promotion of the image takes about so long here. */
const PROMOTION_MS = 2_500;

function randomMoments(count: number): Moment[] {
  return Array.from({ length: count }, () => ({ afterMs: Math.floor(random() * PROMOTION_MS) }));
}

interface Kill {
  /** One process, or several at once. The full run kills 208 processes during 163 promotions. */
  names: string[];
  signal: 'SIGKILL' | 'SIGTERM';
  moments: Moment[];
}

/** Azurite loses on SIGKILL what it has not saved yet, which is outside of what is promised. */
const KILLS: Kill[] = [
  {
    names: ['host'],
    signal: 'SIGKILL',
    moments: FULL ? randomMoments(100) : ['observe', 'attachSbom', 'copy', 'tagDestination'].map((step) => ({ step })),
  },
  { names: ['registry-source'], signal: 'SIGKILL', moments: FULL ? randomMoments(15) : [{ step: 'attachSbom' }] },
  { names: ['registry-staging'], signal: 'SIGKILL', moments: FULL ? randomMoments(15) : [{ step: 'copy' }] },
  { names: ['identity'], signal: 'SIGKILL', moments: FULL ? randomMoments(3) : [{ step: 'observe' }] },
  { names: ['azurite'], signal: 'SIGTERM', moments: FULL ? randomMoments(15) : [{ step: 'attachSbom' }] },
  {
    names: ['host', 'registry-source', 'registry-staging', 'identity'],
    signal: 'SIGKILL',
    moments: FULL ? randomMoments(15) : [{ step: 'verifyArrival' }],
  },
];

describe(`processes are ended in the middle of a promotion (KILL_SEED=${SEED})`, () => {
  let up: Everything;
  let folder: string;
  const seen: string[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'acr-promoter-kills-'));
    up = await startEverything({ args: CHAOS === undefined ? [] : ['--chaos', CHAOS, '--lies', 'repeat,kill'] });
  }, 120_000);
  afterAll(async () => {
    if (FULL) process.stderr.write(`${seen.join('\n')}\n`);
    await up?.stop();
    await rm(folder, { recursive: true, force: true });
  }, 60_000);

  for (const { names, signal, moments } of KILLS) {
    const what = names.join(', ');
    test.each(moments.map((moment, index) => [JSON.stringify(moment), index, moment] as const))(
      `${signal} of ${what} at %s (%i)`,
      async (_label, index, moment) => {
        const repository = `samples/${names.join('-')}-${index}`;
        const layout = join(folder, `${names.join('-')}-${index}`);
        const digest = await writeHeavyImage(layout, repository);
        await push(up, layout, repository);
        const { last, underWay } = await waitForMoment(up, repository, moment);
        const pids = await Promise.all(names.map((name) => up.processId(name)));
        for (const pid of pids) process.kill(pid, signal);
        await Promise.all([
          tellPush(up, repository, digest, 3),
          ...names.map((name, at) =>
            until(`${name} to be started again`, async () =>
              (await up.processId(name)) === pids[at] ? undefined : true,
            ),
          ),
        ]);
        seen.push(`${what} at ${last}, ${underWay ? 'under way' : 'ended'}`);
        const row = await settled(up, repository);
        expect(ending(row.last)).toMatchObject({ outcome: expect.stringMatching(/^(promoted|unchanged)$/), digest });
        await expectPromotedOnce(up, repository, digest);
        await rm(layout, { recursive: true, force: true });
      },
      240_000,
    );
  }

  test('most processes were ended during a promotion', () => {
    const underWay = seen.filter((line) => line.endsWith('under way'));
    expect({ isMost: underWay.length > seen.length / 2, seen }).toEqual({ isMost: true, seen });
  });
});
