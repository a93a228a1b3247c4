import { afterEach, expect, test } from '@jest/globals';
import { HostProcess, newHostFolder, readEffects } from '../../../support/host/host-process.js';

// What Microsoft's host was seen to do when its worker dies or it stops, one at a time: facts that the app must stand.

const hosts: HostProcess[] = [];
afterEach(async () => {
  await Promise.all(hosts.splice(0).map(async (host) => await host.end('SIGKILL')));
});

async function start(lies: string, ...args: string[]) {
  const folder = newHostFolder();
  const host = await HostProcess.start('durable', folder, { args: ['--chaos', '1', '--lies', lies, ...args] });
  hosts.push(host);
  return { host, effects: () => readEffects(folder.effectsPath) };
}

test('with fail-turn, an orchestration whose first turn is cut off fails for good, and others continue', async () => {
  const { host, effects } = await start('fail-turn:sequence@1');
  await host.begin('sequence', 'first', ['a']);
  await host.begin('sequence', 'second', ['b']);
  expect(await host.ended('first')).toMatchObject({
    runtimeStatus: 'Failed',
    output: expect.stringContaining('Non-Deterministic workflow detected'),
  });
  expect(await host.ended('second')).toMatchObject({ runtimeStatus: 'Completed', output: ['b'] });
  expect(effects()).toEqual(['echo "b"']);
}, 60_000);

test('with fail-turn, a later turn that is cut off starts no further activity', async () => {
  const { host, effects } = await start('fail-turn:sequence@3');
  await host.begin('sequence', 'third', ['a', 'b', 'c']);
  expect(await host.ended('third')).toMatchObject({ runtimeStatus: 'Failed' });
  expect(effects()).toEqual(['echo "a"', 'echo "b"']);
}, 60_000);

test('with fail-turn, a sub-orchestration that is cut off fails, and so does a caller without a retry', async () => {
  const { host } = await start('fail-turn:sequence@1');
  await host.begin('parent', 'parent', { children: [['a'], ['b']] });
  expect(await host.ended('parent')).toMatchObject({
    runtimeStatus: 'Failed',
    output: expect.stringContaining('Non-Deterministic workflow detected'),
  });
}, 60_000);

test('with fail-activity, an activity fails in all attempts without being run, and the next one runs', async () => {
  const { host, effects } = await start('fail-activity:failing@1');
  await host.begin('caught', 'caught');
  const { runtimeStatus, output } = await host.ended('caught');
  expect({ runtimeStatus, output }).toEqual({
    runtimeStatus: 'Completed',
    output: [expect.stringContaining('node exited with code 137'), 1],
  });
  expect(effects()).toEqual(['echo 1']);
}, 60_000);

test('with hang, an activity keeps its slot and its message until functionTimeout and is then retried', async () => {
  const TIMEOUT_MS = 3_000;
  const args = ['--visibility-ms', '500', '--function-timeout-ms', `${TIMEOUT_MS}`];
  const { host, effects } = await start('hang:slow@1', ...args);
  const startedMs = Date.now();
  await host.begin('fanOut', 'hung', { count: 1, ms: 10 });
  await host.begin('fanOut', 'other', { count: 1, ms: 10 });
  expect((await host.ended('other')).runtimeStatus).toBe('Completed');
  expect(await host.ended('hung')).toMatchObject({ runtimeStatus: 'Completed', output: ['hung-0'] });
  expect(Date.now() - startedMs).toBeGreaterThan(TIMEOUT_MS);
  // The other's only activity passes it by: seven slots are left.
  expect(effects().indexOf('slow other-0 ends')).toBeLessThan(effects().lastIndexOf('slow hung-0 begins'));
  // Its message was nobody else's meanwhile, though it was held for six times its visibility.
  const begun = effects().filter((line) => line === 'slow hung-0 begins').length;
  expect([1, 2]).toContain(begun);
}, 60_000);

test('with hang, a turn that hangs fails its orchestration at functionTimeout', async () => {
  const { host } = await start('hang:sequence@1', '--function-timeout-ms', '1000');
  await host.begin('sequence', 'hung', ['a']);
  expect((await host.status('hung'))?.runtimeStatus).toBe('Pending');
  expect(await host.ended('hung')).toMatchObject({
    runtimeStatus: 'Failed',
    output: expect.stringContaining('FUNCTION_TIMEOUT'),
  });
}, 60_000);
