import { app, type InvocationContext, type Timer } from '@azure/functions';
import { reviveClock, handleTickMessage } from '../../schedule/clock.js';
import type { StaticPorts, EngineOf } from '../activities.js';
import { getClient, input } from 'durable-functions';
import { signingLog } from '../../evidence/signing-warnings.js';
import { tick } from '../../schedule/tick.js';
import { signerOfNow } from '../activities.js';

/**
 * Starts the loop of the schedule if it has stopped: once a minute, and when an instance starts. The loop is
 * `onScheduleMessage`.
 */
export function registerOnSchedule(ports: StaticPorts): void {
  app.timer('onSchedule', {
    schedule: '0 * * * * *',
    runOnStartup: true,
    // A missed timer need not be repeated, and the monitor's state would cost a blob write a minute.
    useMonitor: false,
    handler: async (_timer: Timer, context: InvocationContext): Promise<void> => {
      if (await reviveClock(ports)) context.info('the loop of the schedule starts');
    },
  });
}

/** How long a tick waits for the signing key from Key Vault, in milliseconds. */
const KEY_MS = 5_000;

/**
 * Runs one tick of the schedule, and sends the message for the next one.
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
