import { app, type InvocationContext } from '@azure/functions';
import { getClient, input } from 'durable-functions';
import { signingLog } from '../../evidence/signing-warnings.js';
import { handleTickMessage } from '../../schedule/clock.js';
import { tick } from '../../schedule/tick.js';
import type { EngineOf, StaticPorts } from '../activities.js';
import { signerOfNow } from '../signer-of-now.js';

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
