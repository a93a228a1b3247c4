import { app, type InvocationContext } from '@azure/functions';
import { getClient, input } from 'durable-functions';
import { parseJobMessage } from '../../inbox/job.js';
import type { EngineOf, StaticPorts } from '../activities.js';
import { startJob } from '../start-job.js';
import { runIdText } from '../step-log.js';
import { handleMessage, messageOf } from './message.js';

/** Jobs: an id that was seen is never started again while its row lives. */
export function registerOnJobMessage(ports: StaticPorts, engineOf: EngineOf): void {
  app.storageQueue('onJobMessage', {
    queueName: 'jobs',
    connection: 'AzureWebJobsStorage',
    extraInputs: [input.durableClient()],
    handler: (raw: unknown, context: InvocationContext): Promise<void> =>
      handleMessage(
        ports,
        'jobs',
        raw,
        context,
        (value) => parseJobMessage(value, messageOf(context)),
        async ({ job }) => {
          const cause = { kind: 'queue', id: messageOf(context).messageId } as const;
          const runId = await startJob({ ...ports, engine: engineOf(getClient(context)) }, job, cause);
          context.info(`job ${job.id}: ${runIdText(runId)}`);
        },
      ),
  });
}
