import type { HttpRequest, HttpResponseInit } from '@azure/functions';
import type { Ports } from '../../ports/ports.js';
import type { RunRow } from '../../rows/run-row.js';
import type { StepProgress } from '../../rows/step-progress.js';
import { answering, errorAnswer } from './answers.js';
import { ignoredFilterOf, runFilterOf } from './filters.js';
import { pageOf } from './page.js';
import { refuseUnknownNames } from './unknown-names.js';
import { registerRoute } from './register-route.js';

type RunPorts = Pick<Ports, 'store' | 'rules' | 'now'>;

/**
 * `GET runs` lists runs, newest first, by state, rule, repository, tag, digest. With `?state=ignored` it lists events
 * that match no rule, of one `reference` or all.
 * `GET runs/{id}` returns a run with its steps and their durations.
 */
export function registerRuns(ports: RunPorts): void {
  const list = answering((request) => listRuns(ports, request));
  registerRoute('listRuns', 'GET', 'runs', list);
  registerRoute('getRun', 'GET', 'runs/{id}', (request) => getRun(ports, request.params.id ?? ''));
}

async function listRuns(ports: RunPorts, request: HttpRequest): Promise<HttpResponseInit> {
  if (request.query.get('state') === 'ignored') {
    const { items, next } = await ports.store.listIgnored({ ...pageOf(request), filter: ignoredFilterOf(request) });
    return { jsonBody: { ignored: items, next } };
  }
  const page = pageOf(request);
  const filter = runFilterOf(request);
  const found = await ports.store.listRuns({ ...page, filter });
  await refuseUnknownNames(ports, filter, found, page.from);
  return { jsonBody: { runs: found.items, next: found.next } };
}

async function getRun(ports: RunPorts, id: string): Promise<HttpResponseInit> {
  const row = await ports.store.getRun(id);
  if (row === undefined) {
    const isJob = (await ports.store.findJob(id)) !== undefined;
    const remedy = isJob
      ? `This is the id of a job: acr-promoter jobs status ${id}, or acr-promoter jobs cancel ${id}`
      : 'List runs: acr-promoter runs. Old runs are removed (RUN_RETENTION_DAYS).';
    return errorAnswer(404, 'RUN_UNKNOWN', `there is no run ${id}`, { remedy });
  }
  return { jsonBody: describeRun(row.value, await ports.store.listProgress(id), ports.now()) };
}

/** A run with its steps and their durations so far, in milliseconds. */
export function describeRun(run: RunRow, steps: readonly StepProgress[], now: Date): Record<string, unknown> {
  const between = (start: string, end: string): number => Math.max(Date.parse(end) - Date.parse(start), 0);
  const until = now.toISOString();
  return {
    ...run,
    durationMs: between(run.openedAt, run.finishedAt ?? until),
    steps: steps.map((step) => ({
      ...step,
      durationMs: between(step.startedAt, step.state === 'working' ? until : step.updatedAt),
    })),
  };
}
