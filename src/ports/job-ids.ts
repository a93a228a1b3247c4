/** Which run a job id has: an id is accepted once while its row lives. */
export interface JobIds {
  /** Gives a job id its run where it has none; @returns the run that it has now. */
  claimJob(jobId: string, runId: string): Promise<string>;
  /** The run that a job id has; undefined where nobody has claimed it. */
  findJob(jobId: string): Promise<string | undefined>;
}
