import { expect } from '@jest/globals';
import { readEffects } from './host-process.js';
import type { HostProcess, InstanceStatus } from './host-process.js';

/** Orchestrations of the durable fixture, with their results whatever happens to the host. */
export function mixedRuns(
  prefix: string,
  count: number,
): { id: string; name: string; input: unknown; output: unknown }[] {
  return Array.from({ length: count }, (_, index) => {
    const id = `${prefix}-${index}`;
    switch (index % 4) {
      case 0:
        return {
          id,
          name: 'mixed',
          input: null,
          output: [`${id} first`, [0, 1, 2, 3].map((n) => `${id} ${n}`), 'after 3', 'gone', `${id} last`],
        };
      case 1:
        return { id, name: 'fanOut', input: { count: 6, ms: 30 }, output: [0, 1, 2, 3, 4, 5].map((n) => `${id}-${n}`) };
      case 2:
        return { id, name: 'again', input: { round: 1, rounds: 3 }, output: 'after 3' };
      default:
        return { id, name: 'nested', input: { count: 2 }, output: [0, 1].map((n) => [`${id}-${n} a`, `${id}-${n} b`]) };
    }
  });
}

export type MixedRun = ReturnType<typeof mixedRuns>[number];

export async function begin(host: HostProcess, runs: MixedRun[]): Promise<void> {
  for (const run of runs) {
    expect(await host.begin(run.name, run.id, run.input)).toBe(202);
    if (run.name === 'mixed') {
      expect(await host.post(`instances/${run.id}/raiseEvent/go`, 'gone')).toBe(202);
    }
  }
}

/**
 * Checks that every run ended as expected and every activity ran at least once.
 * @returns the number of repeated activities
 */
export async function expectAllDone(
  host: HostProcess,
  runs: MixedRun[],
  effectsPath: string,
  timeoutMs = 60_000,
): Promise<number> {
  const statuses: InstanceStatus[] = [];
  for (const run of runs) {
    statuses.push(await host.ended(run.id, timeoutMs));
  }
  expect(statuses.map(({ instanceId, runtimeStatus, output }) => ({ instanceId, runtimeStatus, output }))).toEqual(
    runs.map(({ id, output }) => ({ instanceId: id, runtimeStatus: 'Completed', output })),
  );
  const effects = readEffects(effectsPath);
  const wanted = runs.flatMap(({ id, name }) =>
    name === 'mixed'
      ? [`echo "${id} first"`, ...[0, 1, 2, 3].map((n) => `slow ${id} ${n} ends`), `echo "${id} last"`]
      : name === 'fanOut'
        ? [0, 1, 2, 3, 4, 5].map((n) => `slow ${id}-${n} ends`)
        : name === 'nested'
          ? [0, 1].flatMap((n) => [`echo "${id}-${n} a"`, `echo "${id}-${n} b"`])
          : [],
  );
  expect(effects).toEqual(expect.arrayContaining(wanted));
  return effects.length - new Set(effects).size;
}
