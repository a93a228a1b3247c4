import { afterAll, describe, expect, test } from '@jest/globals';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Database } from '../../../../local/host/durable/database.js';
import { eventually, HostProcess, newHostFolder, readEffects } from '../../../support/host/host-process.js';
import { begin, expectAllDone, mixedRuns } from '../../../support/host/mixed-runs.js';

const folder = newHostFolder();
const hosts: HostProcess[] = [];
const VISIBILITY_MS = 3_000;
/** What a dead host had taken is seen again after three seconds; the real host and this one, without the option, take a minute. */
async function start(place = folder, ...args: string[]): Promise<HostProcess> {
  const host = await HostProcess.start('durable', place, { args: ['--visibility-ms', `${VISIBILITY_MS}`, ...args] });
  hosts.push(host);
  return host;
}
afterAll(async () => {
  await Promise.all(hosts.map(async (host) => await host.end()));
});

describe('hosts that start and end on one file', () => {
  let host: HostProcess;

  test('after kill -9 a new host completes all orchestrations with the right results', async () => {
    const runs = mixedRuns('killed', 8);
    const first = await start();
    await begin(first, runs);
    await eventually('activities run', () => (readEffects(folder.effectsPath).length > 6 ? true : undefined));
    await first.end('SIGKILL');
    host = await start();
    await expectAllDone(host, runs, folder.effectsPath);
    expect(host.log).toMatch(/is gone; its messages become visible again later/);
  }, 60_000);

  test('SIGTERM waits for the running activity and leaves nothing locked', async () => {
    const effects = () => readEffects(folder.effectsPath).filter((line) => line.startsWith('slow graceful'));
    await host.begin('fanOut', 'graceful', { count: 1, ms: 400 });
    await eventually('it begins', () => (effects().length > 0 ? true : undefined));
    expect(await host.end('SIGTERM')).toBe(0);
    expect(effects()).toHaveLength(2);
    const db = new Database(join(folder.dataDir, 'host.sqlite'));
    expect(db.all('SELECT id FROM messages WHERE lockedUntil > 0')).toEqual([]);
    expect(db.all('SELECT id FROM hosts')).toEqual([]);
    db.close();
  });

  test('an activity that takes longer than its message is invisible is started once', async () => {
    const host = await start();
    await host.begin('fanOut', 'long', { count: 1, ms: 2 * VISIBILITY_MS });
    await host.ended('long');
    expect(readEffects(folder.effectsPath).filter((line) => line.startsWith('slow long'))).toHaveLength(2);
    await host.end();
  });

  test('of two hosts one is killed, and the other completes the work', async () => {
    const [one, two] = await Promise.all([start(), start()]);
    await two.ended('graceful');
    const runs = mixedRuns('shared', 8);
    await begin(one, runs);
    await sleep(100);
    await one.end('SIGKILL');
    await expectAllDone(two, runs, folder.effectsPath);
  }, 60_000);
});

test('with --lies repeat, work that is repeated, late and out of order has the right results', async () => {
  const place = newHostFolder();
  const host = await start(place, '--chaos', '1', '--lies', 'repeat');
  const runs = mixedRuns('chaos', 8);
  await begin(host, runs);
  expect(await expectAllDone(host, runs, place.effectsPath)).toBeGreaterThan(0);
}, 60_000);
