import { app, type InvocationContext, type Timer } from '@azure/functions';
import { getClient, input } from 'durable-functions';
import { describeError } from '../../oci/index.js';
import { newRunId } from '../../rows/run-id.js';
import { keepHouse } from '../../schedule/housekeeping.js';
import type { Ports } from '../../ports/ports.js';
import { tellForgotten } from '../../schedule/unsent-results.js';
import { reconcileJobs } from '../../schedule/reconcile-jobs.js';
import { signingLog } from '../../evidence/signing-warnings.js';
import { runIdText } from '../step-log.js';
import type { EngineOf, StaticPorts } from '../activities.js';
import type { StorePort } from '../../ports/store.js';
import type { Notes } from '../../ports/notes.js';

const NOTE = 'schedule';
/** A scan that has not begun after so long, or not ended, is taken to be lost: its longest is sixty calls of 25 minutes. */
const PENDING_MS = 15 * 60_000;
const RUNNING_MS = 25 * 3_600_000;

/**
 * Starts the scan of the schedule, unless the last one is still under way: ticks don't overlap.
 * @param schedule six fields, UTC
 */
export function registerOnSchedule(ports: StaticPorts, engineOf: EngineOf, schedule: string): void {
  const tellOfSigning = signingLog(ports);
  app.timer('onSchedule', {
    schedule,
    extraInputs: [input.durableClient()],
    handler: async (_timer: Timer, context: InvocationContext): Promise<void> => {
      const all = { ...ports, engine: engineOf(getClient(context)) };
      await apart(context, 'jobs could not be looked at', async () => {
        const { started, lost, problems } = await reconcileJobs(all);
        if (started.length > 0) context.info(`jobs started: ${runIdText(...started)}`);
        if (lost.length > 0) context.warn(`jobs lost: ${runIdText(...lost)}`);
        for (const problem of problems) context.warn(`a job could not be looked at: ${problem}`);
      });
      await apart(context, 'what is to be told could not be looked at', async () => {
        const { told, problems } = await tellForgotten(all);
        if (told.length > 0) context.info(`told of runs that had ended: ${runIdText(...told)}`);
        for (const problem of problems) context.warn(`not told of a run: ${problem}`);
      });
      await startScan(all, context);
      await apart(context, 'the signing key could not be looked at', () => tellOfSigning((text) => context.warn(text)));
      await apart(context, 'what is old could not be removed', async () => {
        const removed = await keepHouse(all);
        if (Object.values(removed).some((count) => count > 0)) context.info(`removed: ${JSON.stringify(removed)}`);
      });
    },
  });
}

async function startScan(
  ports: Pick<Ports, 'engine' | 'now'> & StorePort<Notes>,
  context: InvocationContext,
): Promise<void> {
  const note = await ports.store.getNote(NOTE);
  if (note !== undefined) {
    const { state, createdAt } = await ports.engine.state(note.value);
    const sinceMs = createdAt === undefined ? 0 : ports.now().getTime() - Date.parse(createdAt);
    if ((state === 'running' && sinceMs < RUNNING_MS) || (state === 'pending' && sinceMs < PENDING_MS)) {
      context.info(`the scan ${runIdText(note.value)} is still under way`);
      return;
    }
  }
  const id = newRunId(ports.now().getTime());
  if (!(await ports.store.putNote(NOTE, id, note?.version))) return;
  await ports.engine.start('promoteScheduled', id, {});
}

/** What doesn't keep the scan from starting: that it went wrong is said, and the next tick looks again. */
async function apart(context: InvocationContext, problem: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    const { code, message } = describeError(error);
    context.warn(`${problem}: ${code}: ${message}`);
  }
}
