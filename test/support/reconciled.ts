import { reconcileRuns } from '../../src/schedule/reconcile-runs.js';

type RunsPorts = Parameters<typeof reconcileRuns>[0];

/** What a tick does with open jobs. */
export async function reconcileJobs(
  ports: RunsPorts,
): Promise<{ started: string[]; lost: string[]; problems: string[] }> {
  const { told: _told, ...jobs } = await reconcileRuns(ports);
  return jobs;
}

/** What a tick does with result events that were not sent. */
export async function sendUnsent(ports: RunsPorts): Promise<{ told: string[]; problems: string[] }> {
  const { told, problems } = await reconcileRuns(ports);
  return { told, problems };
}
