import { app, type InvocationContext, type Timer } from '@azure/functions';
import { getClient, input } from 'durable-functions';
import { newRunId } from '../../runs/run-id.js';
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
      const note = await ports.store.getNote(NOTE);
      if (note !== undefined) {
        const { state, createdAt } = await engine.state(note.value);
        const pendingMs = createdAt === undefined ? 0 : ports.now().getTime() - Date.parse(createdAt);
        if (state === 'running' || (state === 'pending' && pendingMs < PENDING_MS)) {
          context.info(`the walk ${note.value} is still under way`);
          return;
        }
      }
      const id = newRunId(ports.now().getTime());
      if (!(await ports.store.putNote(NOTE, id, note?.version))) return;
      await engine.start('promoteScheduled', id, {});
    },
  });
}
