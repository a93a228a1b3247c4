import { app, type InvocationContext, type Timer } from '@azure/functions';
import { reviveClock, handleTickMessage } from '../../schedule/clock.js';
import type { StaticPorts, EngineOf } from '../activities.js';
import { getClient, input } from 'durable-functions';
import { signingLog } from '../../evidence/signing-warnings.js';
import { tick } from '../../schedule/tick.js';
import { signerOfNow } from '../activities.js';

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

/** How long a tick waits for Key Vault to answer with the signing key, in milliseconds. */
const KEY_MS = 5_000;

/**
 * One tick of the schedule, and the message of the next.
 * @param schedule PROMOTION_SCHEDULE: six fields, UTC
 */
export function registerOnScheduleMessage(ports: StaticPorts, engineOf: EngineOf, schedule: string): void {
  const warnOfSigning = signingLog(ports);
  app.storageQueue('onScheduleMessage', {
    queueName: 'schedule',
    connection: 'AzureWebJobsStorage',
    extraInputs: [input.durableClient()],
    handler: async (raw: unknown, context: InvocationContext): Promise<void> => {
      const engine = engineOf(getClient(context));
      const log = { info: (text: string) => context.info(text), warn: (text: string) => context.warn(text) };
      await handleTickMessage(ports, raw, async (state) => {
        const signer = await signerOfNow(ports.signing, AbortSignal.timeout(KEY_MS));
        return tick({ ...ports, engine, signer }, { schedule, state, log, warnOfSigning });
      });
    },
  });
}
