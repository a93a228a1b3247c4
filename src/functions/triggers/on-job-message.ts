import { app, type InvocationContext } from '@azure/functions';
import { getClient, input } from 'durable-functions';
import { parseJobMessage } from '../../inbox/job.js';
import type { Engine } from '../../runs/ports.js';
import { newRunId } from '../../runs/run-id.js';
import type { JobInput } from '../../runs/rows.js';
import type { EngineOf, StaticPorts } from '../activities.js';
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
          const runId = await startJob(ports, engineOf(getClient(context)), job);
          context.info(`job ${job.id}: run ${runId}`);
        },
      ),
  });
}

/** Gives the job its run, and sees that the run begins; a job that was seen keeps the run that it has. */
async function startJob(ports: StaticPorts, engine: Engine, job: JobInput): Promise<string> {
  const runId = await ports.store.claimJob(job.id, newRunId(ports.now().getTime()));
  await ports.store.insertRun({
    id: runId,
    input: { kind: 'job', runId, job },
    state: 'pending',
    openedAt: ports.now().toISOString(),
  });
  const run = await ports.store.getRun(runId);
  if (run?.value.state === 'pending') await engine.start('runJob', runId, { runId });
  return runId;
}
