import { OrchestrationRuntimeStatus, type DurableClient } from 'durable-functions';
import { TransportError } from '../oci/index.js';
import type { Engine, EngineState } from '../ports/engine.js';

const FINAL = [
  OrchestrationRuntimeStatus.Completed,
  OrchestrationRuntimeStatus.Failed,
  OrchestrationRuntimeStatus.Terminated,
];

/**
 * The port Engine on the Durable Functions client, which a function gets by `df.getClient(context)`.
 * @param version of the orchestrations that it starts; a part of their input
 * @throws TransportError `ENGINE_UNAVAILABLE` where the host answers anything else than the client knows.
 */
export function createDurableEngine(client: DurableClient, version: number): Engine {
  return {
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
        throw unavailable('look at run', id, error);
      }
    },
    async notify(id, event) {
      try {
        // 410, an instance that has ended, is no error to the client.
        await client.raiseEvent(id, event, {});
      } catch (error) {
        if (answerOf(error) !== 'missing') {
          throw unavailable(`raise ${event} at run`, id, error);
        }
      }
    },
    async purge(id) {
      // The real engine took running ones too, until its extension 3.9.1 (durabletask#1398).
      if ((await this.state(id)).state !== 'ended') return;
      try {
        // 404, an instance that is gone, is no error to the client.
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
        throw unavailable('purge the instances until', to.toISOString(), error);
      }
    },
  };
}

/** The client throws plain errors: this is the one place that reads their text. */
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
    remedy: 'It is tried again; if it stays, look at the host and at its storage.',
  });
}
