import { OrchestrationRuntimeStatus, type DurableClient } from 'durable-functions';
import { TransportError } from '../oci/index.js';
import type { Engine, EngineState } from '../ports/engine.js';

const FINAL = [
  OrchestrationRuntimeStatus.Completed,
  OrchestrationRuntimeStatus.Failed,
  OrchestrationRuntimeStatus.Terminated,
];

/**
 * Makes engines of clients: the port Engine, implemented with the Durable Functions client that a function gets from
 * `df.getClient(context)`.
 * @param version of the orchestrations that they start; part of their input
 * @throws TransportError `ENGINE_UNAVAILABLE` if the host gives no answer or one that the client does not expect
 */
export const durableEngines =
  (version: number) =>
  (client: DurableClient): Engine => ({
    async start(orchestration, id, input) {
      const options = { instanceId: id, input: { ...input, version } };
      await ask(`start ${orchestration} for run`, id, () => client.startNew(orchestration, options), 'exists');
    },
    async state(id) {
      const read = async (): ReturnType<Engine['state']> => {
        const status = await client.getStatus(id, { showInput: false });
        return { state: stateOf(status.runtimeStatus), createdAt: status.createdTime.toISOString() };
      };
      return (await ask('read the state of run', id, read, 'missing')) ?? { state: 'missing' };
    },
    async notify(id, event) {
      // The client ignores 410, which means that the instance has ended.
      await ask(`send ${event} to run`, id, () => client.raiseEvent(id, event, {}), 'missing');
    },
    async purge(id) {
      // Before its extension 3.9.1, the real engine purged running instances too (durabletask#1398).
      if ((await this.state(id)).state !== 'ended') return;
      // The client ignores 404, which means that the instance is gone.
      await ask('purge run', id, () => client.purgeInstanceHistory(id));
    },
    async purgeEnded(from, to) {
      const filter = { createdTimeFrom: from, createdTimeTo: to, runtimeStatus: FINAL };
      const purge = () => client.purgeInstanceHistoryBy(filter);
      return (await ask('purge the instances created before', to.toISOString(), purge))?.instancesDeleted ?? 0;
    },
  });

/** Asks the host. @param fine the answer that counts as success; the result is undefined then */
async function ask<T>(
  what: string,
  id: string,
  call: () => Promise<T>,
  fine?: 'exists' | 'missing',
): Promise<T | undefined> {
  try {
    return await call();
  } catch (error) {
    if (fine !== undefined && answerOf(error) === fine) return undefined;
    throw unavailable(what, id, error);
  }
}

/** The client throws plain errors. Only this function reads their text. */
function answerOf(error: unknown): 'exists' | 'missing' | 'other' {
  const text = error instanceof Error ? error.message : '';
  if (/status code: 409\b/.test(text) || /Orchestration instance .* already exists/i.test(text)) {
    return 'exists';
  }
  if (/HTTP 404 response/.test(text) || /^No instance with ID '.*' found\.$/.test(text)) {
    return 'missing';
  }
  return 'other';
}

function stateOf(runtimeStatus: string): EngineState {
  switch (runtimeStatus) {
    case 'Pending':
      return 'pending';
    case 'Running':
    case 'ContinuedAsNew':
    case 'Suspended':
      return 'running';
    default:
      return 'ended';
  }
}

function unavailable(what: string, id: string, error: unknown): TransportError {
  const text = error instanceof Error ? error.message : String(error);
  const status = /status code: (\d{3})/.exec(text)?.[1];
  const answer = status === undefined ? 'gave no answer' : `answered ${status}`;
  return new TransportError('ENGINE_UNAVAILABLE', `could not ${what} ${id}: the Durable Functions host ${answer}`, {
    details: { runId: id, ...(status !== undefined && { status: Number(status) }) },
    remedy: 'The app retries. If the error persists, check the Functions host and its storage account.',
  });
}
