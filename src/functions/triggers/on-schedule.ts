import { app, type InvocationContext, type Timer } from '@azure/functions';
import { getClient, input } from 'durable-functions';
import { describeError } from '../../oci/index.js';
import { newRunId } from '../../runs/run-id.js';
import { tellForgotten } from '../../steps/tell-run.js';
import { tendJobs } from '../../steps/tend-jobs.js';
import { runIdText } from '../step-log.js';
import type { EngineOf, StaticPorts } from '../activities.js';

const NOTE = 'schedule';
/** A walk that has not begun after so long is taken to be lost. */
const PENDING_MS = 15 * 60_000;

/**
 * Starts the walk of the schedule, unless the last one is still under way: ticks don't overlap.
 * @param schedule six fields, UTC
 */
export function registerOnSchedule(ports: StaticPorts, engineOf: EngineOf, schedule: string): void {
  app.timer('onSchedule', {
    schedule,
    extraInputs: [input.durableClient()],
    handler: async (_timer: Timer, context: InvocationContext): Promise<void> => {
      const engine = engineOf(getClient(context));
      await seeToJobs({ ...ports, engine }, context);
      await seeToEvents(ports, context);
      const note = await ports.store.getNote(NOTE);
      if (note !== undefined) {
        const { state, createdAt } = await engine.state(note.value);
        const pendingMs = createdAt === undefined ? 0 : ports.now().getTime() - Date.parse(createdAt);
        if (state === 'running' || (state === 'pending' && pendingMs < PENDING_MS)) {
          context.info(`the walk ${runIdText(note.value)} is still under way`);
          return;
        }
      }
      const id = newRunId(ports.now().getTime());
      if (!(await ports.store.putNote(NOTE, id, note?.version))) return;
      await engine.start('promoteScheduled', id, {});
    },
  });
}

/** Jobs don't keep the walk from starting: what goes wrong is said, and the next tick looks again. */
async function seeToJobs(ports: Parameters<typeof tendJobs>[0], context: InvocationContext): Promise<void> {
  try {
    const { sentAgain, lost } = await tendJobs(ports);
    if (sentAgain.length > 0) context.info(`jobs sent again: ${runIdText(...sentAgain)}`);
    if (lost.length > 0) context.warn(`jobs lost: ${runIdText(...lost)}`);
  } catch (error) {
    const { code, message } = describeError(error);
    context.warn(`jobs could not be looked at: ${code}: ${message}`);
  }
}

/** Runs that ended without anybody being told: the next tick tries again. */
async function seeToEvents(ports: Parameters<typeof tellForgotten>[0], context: InvocationContext): Promise<void> {
  try {
    const { told, problems } = await tellForgotten(ports);
    if (told.length > 0) context.info(`told of runs that had ended: ${runIdText(...told)}`);
    for (const problem of problems) context.warn(`not told of a run: ${problem}`);
  } catch (error) {
    const { code, message } = describeError(error);
    context.warn(`what is to be told could not be looked at: ${code}: ${message}`);
  }
}
