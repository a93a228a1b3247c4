import { afterEach, expect, test } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ending, startEverything, type Everything } from '../interop/promotion/everything.js';
import { writeImage, writeIndexWithProvenance } from '../interop/promotion/images.js';
import { expectPromotedOnce, push, settled, tellPush } from './promotion/promoted.js';

// A host that unlocks early, delivers twice, shuffles and loses workers: what is pushed is promoted, with one of each.

const seeds = Array.from({ length: process.env['FULL'] === undefined ? 2 : 20 }, (_, index) => index + 1);
const IMAGES = 3;

let up: Everything | undefined;
let folder = '';
afterEach(async () => {
  await up?.stop();
  await rm(folder, { recursive: true, force: true });
}, 60_000);

test.each(seeds)(
  'chaos with seed %i',
  async (seed) => {
    folder = await mkdtemp(join(tmpdir(), 'acr-promoter-chaos-'));
    const started = await startEverything({ args: ['--chaos', String(seed), '--lies', 'repeat,kill'] });
    up = started;
    const images = await Promise.all(
      Array.from({ length: IMAGES }, async (_, index) => {
        const layout = join(folder, `image-${index}`);
        const repository = `samples/chaos-${index}`;
        const digest = await writeImage(layout, `${seed} ${index}`);
        await push(started, layout, repository);
        return { repository, digest };
      }),
    );
    const index = await writeIndexWithProvenance(join(folder, 'index'));
    await push(started, join(folder, 'index'), 'samples/chaos-index');
    await Promise.all(images.map(({ repository, digest }) => tellPush(started, repository, digest, 3)));
    for (const { repository, digest } of images) {
      const row = await settled(started, repository);
      expect(ending(row.last)).toMatchObject({ outcome: expect.stringMatching(/^(promoted|unchanged)$/), digest });
      await expectPromotedOnce(started, repository, digest);
    }
    expect((await settled(started, 'samples/chaos-index')).last).toMatchObject({ digest: index });
    await expectPromotedOnce(started, 'samples/chaos-index', index);
  },
  300_000,
);
