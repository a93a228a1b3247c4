import { InvocationContext } from '@azure/functions';
import type { OrchestrationHandler } from 'durable-functions';
import type { Rule } from '../../src/rules/rule.js';
import { reconcilePromotions, retryFailed } from '../../src/schedule/reconcile-promotions.js';
import { askForFullScans, scanAll } from './scan-world.js';
import type { MemoryRepository } from './memory-repository.js';
import { DESTINATION, REGISTRY, SOURCE, newWorld, tagAt, type World } from './world.js';
import { RESYNC_PAUSE_MS, resyncTick } from './resync-world.js';
import { register, type Registered } from './registered.js';
import { replay, type Activity, type Played, type Script } from './replay.js';

/** Called around each activity: it may do something before or after, or instead. */
export type Around = (work: () => Promise<unknown>, call: number, name: string) => Promise<unknown>;

/** Orchestrations and the real steps together over ports in memory, with one clock for both. */
export interface PlayedWorld {
  world: World;
  source: MemoryRepository;
  destination: MemoryRepository;
  /** Plays every run that was started since, and those that they start. */
  playAll: (around?: Around, more?: Partial<Script>) => Promise<Played[]>;
  /** The schedule reconciles and scans, all of it; @returns how many runs it started. */
  tick: () => Promise<number>;
  /** Resync, when all is due again. @returns how many runs it started */
  resync: () => Promise<number>;
  /** What stands under the destination's tag. */
  standing: () => string | undefined;
}

export function newPlayedWorld(...rules: Rule[]): PlayedWorld {
  const world = newWorld(...rules);
  const app: Registered = register(world);
  const context = new InvocationContext({ functionName: 'activity', logHandler: () => {} });
  const activities = (around: Around): Record<string, Activity> =>
    Object.fromEntries(
      [...app.activities].map(([name, { handler }]) => [
        name,
        (input: unknown, call: number) => around(() => handler(input, context), call, name),
      ]),
    );
  let played = 0;
  const playAll: PlayedWorld['playAll'] = async (around = (work) => work(), more = {}) => {
    const ended: Played[] = [];
    while (played < world.engine.starts.length) {
      const { orchestration, id, input } = world.engine.starts[played++] ?? {};
      if (id === undefined || orchestration === undefined) break;
      world.engine.setState(id, 'running');
      ended.push(
        await replay(app.orchestrations.get(orchestration) as OrchestrationHandler, {
          input,
          activities: activities(around),
          startMs: world.nowMs,
          clock: (nowMs) => {
            world.nowMs = nowMs;
          },
          ...more,
        }),
      );
      world.engine.setState(id, 'ended');
    }
    return ended;
  };
  return {
    world,
    source: world.registries.repository(REGISTRY, SOURCE.repository),
    destination: world.registries.repository(REGISTRY, 'staging/samples/app'),
    playAll,
    tick: async () => {
      const { started, failed } = await reconcilePromotions(world, 0);
      await askForFullScans(world);
      const scanned = await scanAll(world);
      const retried = await retryFailed(world, failed, started + scanned.started);
      return started + retried.started + scanned.started;
    },
    resync: async () => {
      world.nowMs += RESYNC_PAUSE_MS;
      return (await resyncTick(world)).started;
    },
    standing: () => tagAt(world, DESTINATION),
  };
}

export function outcomes(runs: readonly Played[]): unknown[] {
  return runs.map(({ output }) => (output as { outcome?: string } | null)?.outcome);
}
