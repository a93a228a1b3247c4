import { afterAll, describe, expect, test } from '@jest/globals';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Database } from '../../../../local/host/durable/database.js';
import { eventually, HostProcess, newHostFolder, readEffects } from '../../../unit/local/host/host-process.js';
import { begin, expectAllDone, mixedRuns } from '../../../unit/local/host/mixed-runs.js';

const folder = newHostFolder();
const hosts: HostProcess[] = [];
/** With a lock that outlasts the tests: what a dead host held must be let go of, not waited for. */
async function start(place = folder, ...args: string[]): Promise<HostProcess> {
  const host = await HostProcess.start('durable', place, { args: ['--activity-lock-ms', '600000', ...args] });
  hosts.push(host);
  return host;
}
afterAll(async () => {
  await Promise.all(hosts.map(async (host) => await host.end()));
});

describe('hosts that come and go, on one file', () => {
  let host: HostProcess;

  test('kill -9 in the middle: started again, all goes on at once and ends as it should', async () => {
    const runs = mixedRuns('killed', 8);
    const first = await start();
    await begin(first, runs);
    await eventually('activities run', () => (readEffects(folder.effectsPath).length > 6 ? true : undefined));
    await first.end('SIGKILL');
    host = await start();
    await expectAllDone(host, runs, folder.effectsPath);
    expect(host.log).toMatch(/is gone; \d+ of its messages go on here/);
  }, 60_000);

  test('SIGTERM waits for the activity that runs, and leaves nothing locked', async () => {
    const effects = () => readEffects(folder.effectsPath).filter((line) => line.startsWith('slow graceful'));
    await host.begin('fanOut', 'graceful', { count: 1, ms: 400 });
    await eventually('it begins', () => (effects().length > 0 ? true : undefined));
    expect(await host.end('SIGTERM')).toBe(0);
    expect(effects()).toHaveLength(2);
    const db = new Database(join(folder.dataDir, 'host.sqlite'));
    expect(db.all('SELECT id FROM messages WHERE lockedUntil > 0')).toEqual([]);
    expect(db.all('SELECT id FROM hosts')).toEqual([]);
    db.close();
  }, 30_000);

  test('two at once: one is killed, the other takes over', async () => {
    const [one, two] = await Promise.all([start(), start()]);
    await two.ended('graceful');
    const runs = mixedRuns('shared', 8);
    await begin(one, runs);
    await sleep(100);
    await one.end('SIGKILL');
    await expectAllDone(two, runs, folder.effectsPath);
  }, 60_000);
});

test('--chaos: work is repeated, late and out of order, and ends as it should', async () => {
  const place = newHostFolder();
  const host = await start(place, '--chaos', '1');
  const runs = mixedRuns('chaos', 8);
  await begin(host, runs);
  expect(await expectAllDone(host, runs, place.effectsPath)).toBeGreaterThan(0);
}, 60_000);
