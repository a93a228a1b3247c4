import type { StepProgress } from '../rows/step-progress.js';

/** The progress of each step of a run. */
export interface Progress {
  putProgress(progress: StepProgress): Promise<void>;
  /** In the order in which the steps started. */
  listProgress(runId: string): Promise<StepProgress[]>;
}
