import { app, type InvocationContext, type Timer } from '@azure/functions';
import { reviveClock } from '../../schedule/clock.js';
import type { StaticPorts } from '../activities.js';

/** Starts the schedule's loop if it has stopped: once a minute, and when an instance starts. The loop itself is `onScheduleMessage`. */
export function registerOnSchedule(ports: StaticPorts): void {
  app.timer('onSchedule', {
    schedule: '0 * * * * *',
    runOnStartup: true,
    // A time that was missed needs no second chance, and its state costs a blob write a minute.
    useMonitor: false,
    handler: async (_timer: Timer, context: InvocationContext): Promise<void> => {
      if (await reviveClock(ports)) context.info('the loop of the schedule starts');
    },
  });
}
