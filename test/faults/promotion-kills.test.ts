import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEverything, until, type Everything } from '../interop/promotion/everything.js';
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
  name: string;
  signal: 'SIGKILL' | 'SIGTERM';
  moments: Moment[];
}

/** Azurite loses on SIGKILL what it has not saved yet, which is outside of what is promised. */
const KILLS: Kill[] = [
  {
    name: 'host',
    signal: 'SIGKILL',
    moments: FULL
      ? randomMoments(40)
      : ['observe', 'attachSbom', 'copyGraph', 'tagDestination'].map((step) => ({ step })),
  },
  { name: 'registry-source', signal: 'SIGKILL', moments: FULL ? randomMoments(15) : [{ step: 'attachSbom' }] },
  { name: 'registry-staging', signal: 'SIGKILL', moments: FULL ? randomMoments(15) : [{ step: 'copyGraph' }] },
  { name: 'identity', signal: 'SIGKILL', moments: FULL ? randomMoments(3) : [{ step: 'observe' }] },
  { name: 'azurite', signal: 'SIGTERM', moments: FULL ? randomMoments(15) : [{ step: 'attachSbom' }] },
];

describe(`one process is ended in the middle of a promotion (KILL_SEED=${SEED})`, () => {
  let up: Everything;
  let folder: string;
  const seen: string[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'acr-promoter-kills-'));
    up = await startEverything({ args: CHAOS === undefined ? [] : ['--chaos', CHAOS] });
  }, 120_000);
  afterAll(async () => {
    if (FULL) process.stderr.write(`${seen.join('\n')}\n`);
    await up?.stop();
    await rm(folder, { recursive: true, force: true });
  }, 60_000);

  for (const { name, signal, moments } of KILLS) {
    test.each(moments.map((moment, index) => [JSON.stringify(moment), index, moment] as const))(
      `${signal} of ${name} at %s (%i)`,
      async (_label, index, moment) => {
        const repository = `samples/${name}-${index}`;
        const layout = join(folder, `${name}-${index}`);
        const digest = await writeHeavyImage(layout, repository);
        await push(up, layout, repository);
        const { last, underWay } = await waitForMoment(up, repository, moment);
        const pid = await up.processId(name);
        process.kill(pid, signal);
        await Promise.all([
          tellPush(up, repository, digest, 3),
          until(`${name} to be started again`, async () => ((await up.processId(name)) === pid ? undefined : true)),
        ]);
        seen.push(`${name} at ${last}, ${underWay ? 'under way' : 'ended'}`);
        const row = await settled(up, repository);
        expect(row.last).toMatchObject({ outcome: expect.stringMatching(/^(promoted|unchanged)$/), digest });
        await expectPromotedOnce(up, repository, digest);
        await rm(layout, { recursive: true, force: true });
      },
      240_000,
    );
  }

  test('most of them were in the middle', () => {
    const underWay = seen.filter((line) => line.endsWith('under way'));
    expect(underWay.length).toBeGreaterThan(seen.length / 2);
  });
});
