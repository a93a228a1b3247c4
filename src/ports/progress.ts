import type { StepProgress } from '../rows/step-progress.js';

/** How far the steps of a run are. */
export interface Progress {
  putProgress(progress: StepProgress): Promise<void>;
  /** In the order in which the steps started. */
  listProgress(runId: string): Promise<StepProgress[]>;
}
