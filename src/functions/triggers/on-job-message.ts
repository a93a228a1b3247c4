import { app, type InvocationContext } from '@azure/functions';
import { getClient, input } from 'durable-functions';
import { parseJobMessage } from '../../operations/parse-job.js';
import type { JobInput } from '../../operations/job-schema.js';
import { InputError } from '../../oci/index.js';
import type { EngineOf, StaticPorts } from '../activities.js';
import { startJob } from '../../operations/start-job.js';
import { runIdText } from '../step-reporting.js';
import { handleMessage, messageOf } from './message.js';

const DAY_MS = 24 * 3_600_000;

/**
 * A job's id is known until its run's row is removed, `retentionDays` after the run's end. An older message may belong
 * to a job that was finished and removed.
 * @throws InputError `JOB_EXPIRED`
 */
function checkAge(
  job: JobInput,
  firstMs: number,
  { retentionDays, now }: Pick<StaticPorts, 'retentionDays' | 'now'>,
): void {
  if (now().getTime() - firstMs < retentionDays * DAY_MS) return;
  const since = new Date(firstMs).toISOString();
  throw new InputError(
    'JOB_EXPIRED',
    `job ${job.id} has been in the queue since ${since}, longer than RUN_RETENTION_DAYS`,
    {
      remedy:
        'Check whether the job was done before. If it is still wanted, put "original" into the queue "jobs" again.',
    },
  );
}

/** Handles jobs. A second job with the same id is refused as long as the row of the id exists. */
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
        async ({ job, retry }) => {
          const { insertedAt } = messageOf(context);
          // A message that was put back has the time of its first arrival in its wrapper.
          checkAge(
            job,
            Math.min(insertedAt.getTime(), retry === undefined ? Infinity : Date.parse(retry.firstAt)),
            ports,
          );
          const cause = { kind: 'queue', id: messageOf(context).messageId } as const;
          const runId = await startJob({ ...ports, engine: engineOf(getClient(context)) }, job, cause);
          context.info(`job ${job.id}: ${runIdText(runId)}`);
        },
      ),
  });
}
