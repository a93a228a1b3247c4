import type { Engine } from './engine.js';
import type { Progress } from './progress.js';
import type { Promotions } from './promotions.js';
import type { Runs } from './runs.js';

/** What opening a run takes, and reconciling it with the engine. */
export interface RunPorts {
  store: Promotions & Runs & Progress;
  engine: Engine;
  now(): Date;
  /** True: rows are raised, and no run is opened until the schedule finds it lifted. */
  paused: boolean;
}
