/** The run of each job id. A second job with the same id is refused as long as the row of the id exists. */
export interface JobIds {
  /**
   * Assigns a run to a job id that has none.
   * @returns the run of the job id
   */
  claimJob(jobId: string, runId: string): Promise<string>;
  /** The run of a job id; undefined if the id is unused. */
  findJob(jobId: string): Promise<string | undefined>;
}
