import { reconcileRuns } from '../../src/schedule/reconcile-runs.js';

type RunsPorts = Parameters<typeof reconcileRuns>[0];

/** Reconciles open jobs as a tick does. */
export async function reconcileJobs(
  ports: RunsPorts,
): Promise<{ started: string[]; orphaned: string[]; problems: string[] }> {
  const { sent: _sent, ...jobs } = await reconcileRuns(ports);
  return jobs;
}

/** Sends the unsent result events as a tick does. */
export async function sendUnsent(ports: RunsPorts): Promise<{ sent: string[]; problems: string[] }> {
  const { sent, problems } = await reconcileRuns(ports);
  return { sent, problems };
}
