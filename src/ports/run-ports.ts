import type { Engine } from './engine.js';
import type { RunStore } from './store.js';

export interface RunPorts {
  store: RunStore;
  engine: Engine;
  now(): Date;
  /** True: rows are raised, and no run is opened until the schedule finds it lifted. */
  paused: boolean;
}
