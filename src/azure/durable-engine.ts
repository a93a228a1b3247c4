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
      try {
        await client.startNew(orchestration, { instanceId: id, input: { ...input, version } });
      } catch (error) {
        if (answerOf(error) !== 'exists') {
          throw unavailable(`start ${orchestration} for run`, id, error);
        }
      }
    },
    async state(id) {
      try {
        const status = await client.getStatus(id, { showInput: false });
        return { state: stateOf(status.runtimeStatus), createdAt: status.createdTime.toISOString() };
      } catch (error) {
        if (answerOf(error) === 'missing') {
          return { state: 'missing' };
        }
        throw unavailable('read the state of run', id, error);
      }
    },
    async notify(id, event) {
      try {
        // The client ignores 410, which means that the instance has ended.
        await client.raiseEvent(id, event, {});
      } catch (error) {
        if (answerOf(error) !== 'missing') {
          throw unavailable(`send ${event} to run`, id, error);
        }
      }
    },
    async purge(id) {
      // Before its extension 3.9.1, the real engine purged running instances too (durabletask#1398).
      if ((await this.state(id)).state !== 'ended') return;
      try {
        // The client ignores 404, which means that the instance is gone.
        await client.purgeInstanceHistory(id);
      } catch (error) {
        throw unavailable('purge run', id, error);
      }
    },
    async purgeEnded(from, to) {
      try {
        const filter = { createdTimeFrom: from, createdTimeTo: to, runtimeStatus: FINAL };
        return (await client.purgeInstanceHistoryBy(filter)).instancesDeleted;
      } catch (error) {
        throw unavailable('purge the instances created before', to.toISOString(), error);
      }
    },
  });

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
