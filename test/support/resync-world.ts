import { resync, type Resync } from '../../src/schedule/resync.js';
import { Shares } from '../../src/schedule/request-shares.js';
import type { World } from './world.js';

/** After a comparison or a run, a promotion is not compared again for this long. */
export const RESYNC_PAUSE_MS = 15 * 60_000;

/** Runs resync as one tick does. @returns its state afterwards */
export async function resyncTick(world: World, changes: Partial<Resync> = {}): Promise<Resync> {
  const shares = await Shares.open(world);
  const scan: Resync = {
    ports: world,
    share: shares.of('resync'),
    signal: new AbortController().signal,
    until: world.nowMs + 60_000,
    started: 0,
    maxStarted: 200,
    checked: 0,
    problems: [],
    ...changes,
  };
  try {
    await resync(scan);
  } finally {
    await shares.close();
  }
  return scan;
}
