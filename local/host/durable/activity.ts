import type { TypedData } from '../core.js';
import { describe, log } from '../log.js';
import { EventType } from './history.js';
import type { HistoryEvent } from './history.js';
import type { ActivityBody, Call, Message } from './messages.js';
import type { Engine } from './turn.js';

/** What an activity returned, as JSON. */
function toJson(value: TypedData | null | undefined): string {
  if (value?.json !== undefined) {
    return value.json;
  }
  if (value?.bytes !== undefined) {
    return JSON.stringify(Buffer.from(value.bytes).toString('base64'));
  }
  return JSON.stringify(value?.string ?? value?.int ?? value?.double ?? null);
}

const WORKER_GONE = 'node exited with code 137 (0x89): worker gone, by --chaos';

async function run(
  engine: Engine,
  message: Message<ActivityBody>,
): Promise<Partial<HistoryEvent> & { EventType: number }> {
  const { task, call } = message.body;
  const failed = (reason: string, details: string) => ({
    EventType: EventType.taskFailed,
    TaskScheduledId: task,
    Reason: `Activity function '${call.name}' failed: ${reason}`,
    Details: details,
  });
  const fn = engine.find('activityTrigger', call.name);
  if (fn === undefined) {
    return failed(`there is no activity function '${call.name}'`, '');
  }
  if (call.isGivenUp === true || engine.chaos.happens('workerGoneBefore', call.name)) {
    return failed(WORKER_GONE, '');
  }
  try {
    const data = { string: call.input };
    const { returnValue } = await engine.invoker.invoke(fn, data, { instanceId: { string: message.instance }, data });
    return engine.chaos.happens('workerGoneAfter', call.name)
      ? failed(WORKER_GONE, '')
      : { EventType: EventType.taskCompleted, TaskScheduledId: task, Result: toJson(returnValue) };
  } catch (error) {
    log('error', call.name, describe(error));
    return failed(error instanceof Error ? error.message : String(error), describe(error));
  }
}

/**
 * Runs one activity and reports its result to the orchestration, even if another holder has run it too: the first
 * report counts.
 */
export async function runActivity(engine: Engine, message: Message<ActivityBody>): Promise<void> {
  const given = message.body.call;
  const isGivenUp = given.isGivenUp === true || engine.chaos.happens('failActivity', given.name);
  const call: Call = isGivenUp ? { ...given, isGivenUp } : given;
  const event = await run(engine, { ...message, body: { ...message.body, call } });
  engine.db.transaction(() => {
    engine.messages.delete(message);
    engine.messages.send({
      queue: 'instance',
      instance: message.instance,
      execution: message.execution,
      body: { kind: 'completion', event, call },
    });
  });
}
