import { afterEach, expect, test } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually, HostProcess, newHostFolder, readEffects } from '../support/host/host-process.js';

// The real minute of host.json: every other test that ends a host shortens it with --visibility-ms.

const MINUTE_MS = 60_000;
const hosts: HostProcess[] = [];
afterEach(async () => {
  await Promise.all(hosts.splice(0).map(async (host) => await host.end()));
});

/** Ends a host in the middle of a step. */
async function endInTheMiddle(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
  const folder = newHostFolder();
  const start = async () => {
    const host = await HostProcess.start('minute', folder, { args: ['--grace-ms', '100'] });
    hosts.push(host);
    return host;
  };
  const begun = () => readEffects(folder.effectsPath).filter((line) => line.endsWith('begins')).length;
  const first = await start();
  await first.begin('fanOut', 'cut', { count: 1, ms: 5_000 });
  await eventually('the step begins', () => (begun() > 0 ? true : undefined));
  const endedAt = Date.now();
  await first.end(signal);
  const next = await start();
  await sleep(MINUTE_MS - 5_000 - (Date.now() - endedAt));
  expect({ signal, begun: begun() }).toEqual({ signal, begun: 1 });
  expect(await next.ended('cut', MINUTE_MS)).toMatchObject({ runtimeStatus: 'Completed', output: ['cut-0'] });
  expect({ signal, begun: begun() }).toEqual({ signal, begun: 2 });
}

test('a step that a host had taken when SIGKILL or SIGTERM ended it is run again after a minute, and no sooner', async () => {
  await Promise.all([endInTheMiddle('SIGKILL'), endInTheMiddle('SIGTERM')]);
}, 180_000);
