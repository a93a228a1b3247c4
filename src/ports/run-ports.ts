import type { Engine } from './engine.js';
import type { Progress } from './progress.js';
import type { Promotions } from './promotions.js';
import type { Runs } from './runs.js';

/** What is needed to open a run and to reconcile it with the engine. */
export interface RunPorts {
  store: Promotions & Runs & Progress;
  engine: Engine;
  now(): Date;
  /** True while the app is paused: triggers still increment generations, but no run is opened. */
  paused: boolean;
}
