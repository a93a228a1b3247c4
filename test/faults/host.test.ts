import { afterEach, test } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { HostProcess, newHostFolder } from '../support/host/host-process.js';
import { begin, expectAllDone, mixedRuns } from '../support/host/mixed-runs.js';

/** Seeds: HOST_SEEDS of them, 8 by default and 20 in the full run; each gives the same dice, though not the same interleaving. */
const seeds = Array.from(
  { length: Number(process.env['HOST_SEEDS'] ?? (process.env['FULL'] === undefined ? 8 : 20)) },
  (_, index) => index + 1,
);
const hosts: HostProcess[] = [];
afterEach(async () => {
  await Promise.all(hosts.splice(0).map(async (host) => await host.end()));
});

test.each(seeds)(
  'seed %i: two hosts with chaos, killed in turns, end everything as they should',
  async (seed) => {
    const folder = newHostFolder();
    const start = async (index: number) => {
      const host = await HostProcess.start('durable', folder, {
        args: ['--chaos', String(seed * 10 + index), '--lies', 'repeat', '--visibility-ms', '1000'],
      });
      hosts.push(host);
      return host;
    };
    const pair = await Promise.all([start(0), start(1)]);
    const runs = mixedRuns(`seed${seed}`, 12);
    await begin(pair[0], runs);
    for (let kill = 0; kill < 4; kill++) {
      await sleep(100 + ((seed * 37 + kill * 53) % 400));
      const index = kill % 2 === 0 ? 0 : 1;
      await pair[index].end('SIGKILL');
      pair[index] = await start(kill + 2);
    }
    await expectAllDone(pair[0], runs, folder.effectsPath, 120_000);
  },
  180_000,
);
