import { resync, type Resync } from '../../src/schedule/resync.js';
import { Shares } from '../../src/schedule/request-shares.js';
import type { World } from './world.js';

/** A look, or a run, is not looked at again before. */
export const RESYNC_PAUSE_MS = 15 * 60_000;

/** Resync's part of one tick. @returns how it went */
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
