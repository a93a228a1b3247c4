import { afterEach, expect, test } from '@jest/globals';
import { startEverything, type Everything } from '../support/stack/everything.js';
import { describeWithPeers } from '../support/peers.js';
import { randomOf } from './promotion/moments.js';
import { allSettled, expectWeathered, storm, type StormSize } from './promotion/storm.js';

// Tags that move, events three times and shuffled, hosts that are killed, an engine that does all that it may do: the end state
// is what the last pushes say, with one of each.

const FULL = process.env['FULL'] !== undefined;
const SEED = Number(process.env['STORM_SEED'] ?? Date.now() % 1_000_000);

const ONE_HOST: StormSize = FULL
  ? { pushes: 200, images: 60, repositories: 12, tags: 5, kills: 20 }
  : { pushes: 30, images: 10, repositories: 4, tags: 2, kills: 3 };
const TWO_HOSTS: StormSize = FULL
  ? { pushes: 100, images: 30, repositories: 8, tags: 4, kills: 10 }
  : { pushes: 16, images: 6, repositories: 3, tags: 2, kills: 2 };

describeWithPeers(`a storm of pushes (STORM_SEED=${SEED})`, ['crane', 'oras'], ([crane = '', oras = '']) => {
  let up: Everything | undefined;
  afterEach(async () => {
    await up?.stop();
  }, 60_000);

  async function weather(size: StormSize, hosts: readonly string[], args: readonly string[]): Promise<void> {
    const started = await startEverything({ args: ['--hosts', String(hosts.length), ...args] });
    up = started;
    const begin = Date.now();
    const done = await storm({ up: started, size, random: randomOf(SEED), crane, hosts });
    const rows = await allSettled(started, done.last.size, 20 * 60_000);
    const took = Math.round((Date.now() - begin) / 1000);
    process.stderr.write(
      `${size.pushes} pushes of ${size.images} images, ${size.kills} kills of ${hosts.length} host(s): ${rows.length} promotions at rest after ${took} s\n`,
    );
    expect(rows).toHaveLength(done.last.size);
    await expectWeathered(started, oras, done);
  }

  test(
    'one host, with chaos',
    () => weather(ONE_HOST, ['host'], ['--chaos', String(SEED), '--lies', 'repeat,kill']),
    30 * 60_000,
  );

  test(
    'two hosts on one storage account promote each image once',
    () => weather(TWO_HOSTS, ['host', 'host-2'], []),
    30 * 60_000,
  );
});
