import { randomUUID } from 'node:crypto';
import { PromoterError } from '../../../src/oci/index.js';
import type { AppFunction } from '../app.js';
import type { Chaos } from '../chaos.js';
import type { Invoker } from '../invoke.js';
import { log } from '../log.js';
import type { Database } from './database.js';
import { EventType, historyEvent, openTasks } from './history.js';
import type { HistoryEvent } from './history.js';
import { isFinal } from './instances.js';
import type { Instance, Instances, Status } from './instances.js';
import type { Message, Messages, TurnBody } from './messages.js';
import { runOrchestrator } from './orchestrator.js';
import type { Decision } from './orchestrator.js';
import { ActionType, TurnPlan } from './plan.js';
import type { Action } from './plan.js';

/** What turns and activities need. */
export interface Engine {
  db: Database;
  messages: Messages;
  instances: Instances;
  invoker: Invoker;
  chaos: Chaos;
  /** @returns undefined if the app has no such orchestration or activity */
  find(kind: 'orchestrationTrigger' | 'activityTrigger', name: string): AppFunction | undefined;
}

/** Ends an instance and notifies its parent. Call inside a transaction. */
function finish(engine: Engine, instance: Instance, status: Status, output: string, reason?: string): void {
  engine.instances.dropTimers(instance.id);
  engine.instances.update({ ...instance, status, output });
  const { parent } = instance;
  if (parent !== undefined) {
    const answer =
      reason === undefined
        ? { EventType: EventType.subOrchestrationInstanceCompleted, Result: output }
        : { EventType: EventType.subOrchestrationInstanceFailed, Reason: reason, Details: reason };
    engine.messages.send({
      queue: 'instance',
      instance: parent.instance,
      execution: parent.execution,
      body: { kind: 'completion', event: { ...answer, TaskScheduledId: parent.task }, call: parent.call },
    });
  }
  log(
    'information',
    'durable',
    `${instance.name} ${instance.id}: ${status}${reason === undefined ? '' : `: ${reason}`}`,
  );
}

/** Fails an instance whose turn keeps throwing inside the host. */
export function giveUp(engine: Engine, message: Message<TurnBody>, reason: string): void {
  engine.db.transaction(() => {
    const instance = engine.instances.get(message.instance);
    engine.messages.delete(message);
    if (instance !== undefined && !isFinal(instance.status)) {
      finish(engine, instance, 'Failed', JSON.stringify(reason), reason);
    }
  });
}

/** Handles terminate, suspend and resume, without running the orchestrator. */
function control(engine: Engine, instance: Instance, message: Message<TurnBody>, length: number): void {
  const { body } = message;
  engine.db.transaction(() => {
    engine.messages.delete(message);
    const types = {
      terminate: EventType.executionTerminated,
      suspend: EventType.executionSuspended,
      resume: EventType.executionResumed,
    };
    if (body.kind === 'terminate') {
      engine.instances.append(instance.id, length, [historyEvent(types.terminate, Date.now())]);
      finish(engine, instance, 'Terminated', JSON.stringify(body.reason), `terminated: ${body.reason}`);
    } else if (body.kind === 'suspend' || body.kind === 'resume') {
      engine.instances.append(instance.id, length, [historyEvent(types[body.kind], Date.now())]);
      engine.instances.update({ ...instance, status: body.kind === 'suspend' ? 'Suspended' : 'Running' });
    }
  });
}

/**
 * Runs one turn for one message in one transaction. If another holder was faster, nothing is written and the message is
 * delivered again.
 */
export async function runTurn(engine: Engine, message: Message<TurnBody>): Promise<void> {
  const { instances, messages } = engine;
  const { body } = message;
  const instance = instances.get(message.instance);
  const isStale = message.execution !== '' && message.execution !== instance?.execution;
  if (instance === undefined || isFinal(instance.status) || isStale) {
    messages.delete(message);
    return;
  }
  const past = instances.history(instance.id);
  const hasStarted = past.some((event) => event.EventType === EventType.executionStarted);
  if (body.kind === 'terminate' || (hasStarted && (body.kind === 'suspend' || body.kind === 'resume'))) {
    control(engine, instance, message, past.length);
    return;
  }
  if (!hasStarted && body.kind !== 'start') {
    messages.release(message, 20);
    return;
  }
  const now = Math.max(Date.now(), Date.parse(past.at(-1)?.Timestamp ?? '') || 0);
  const plan = new TurnPlan(instance, now);
  if ((hasStarted && body.kind === 'start') || !plan.feed(body, past)) {
    messages.delete(message);
    return;
  }
  const decision = await decide(engine, instance, [...past, ...plan.events]);
  try {
    if (decision.end?.kind !== 'failed') {
      for (const [index, action] of decision.actions.entries()) {
        if (index >= instance.actionsDone) {
          plan.schedule(action, index);
        }
      }
    }
  } catch (error) {
    decision.end = { kind: 'failed', reason: reasonOf(error), isBrokenOff: true };
  }
  plan.events.push(historyEvent(EventType.orchestratorCompleted, now));
  if (engine.chaos.happens('turnLost', instance.name) || !commit(engine, instance, message, past, plan, decision)) {
    messages.release(message, 0);
  }
}

function reasonOf(error: unknown): string {
  return error instanceof PromoterError ? `${error.code}: ${error.message}` : String(error);
}

/** True if the action that an event belongs to is a different one by now, for example after a deployment. */
function isAnother(
  { EventType: type, ActionIndex: index, Name: name }: HistoryEvent,
  actions: readonly Action[],
): boolean {
  if (index === undefined) return false;
  const action = actions[index];
  return type === EventType.timerCreated
    ? action?.actionType !== ActionType.createTimer
    : action?.functionName !== name;
}

/**
 * The message of Microsoft's engine. After a worker died in a turn, the orchestration seems to have asked for less than
 * before.
 */
const CUT_OFF = 'Non-Deterministic workflow detected: the worker died in the middle of a turn, by --chaos';

async function decide(engine: Engine, instance: Instance, history: HistoryEvent[]): Promise<Decision> {
  const failed = (reason: string): Decision => ({
    actions: [],
    customStatus: instance.customStatus,
    end: { kind: 'failed', reason, isBrokenOff: true },
  });
  const fn = engine.find('orchestrationTrigger', instance.name);
  if (fn === undefined) {
    return failed(`there is no orchestrator function '${instance.name}'`);
  }
  if (engine.chaos.happens('failTurn', instance.name)) return failed(CUT_OFF);
  try {
    const decision = await runOrchestrator(engine.invoker, fn, instance, history);
    if (decision.end?.kind !== 'failed' && decision.actions.length < instance.actionsDone) {
      return failed('NON_DETERMINISTIC: the orchestrator asked for less than in its last run over the same history');
    }
    const other = history.find((event) => isAnother(event, decision.actions));
    if (other !== undefined) {
      return failed(
        `NON_DETERMINISTIC: the orchestrator no longer asks for ${other.Name ?? 'a timer'} at the same point`,
      );
    }
    return decision;
  } catch (error) {
    return failed(reasonOf(error));
  }
}

/** @returns false if another holder moved the instance on or took the message; then nothing is written */
function commit(
  engine: Engine,
  instance: Instance,
  message: Message<TurnBody>,
  past: HistoryEvent[],
  plan: TurnPlan,
  decision: Decision,
): boolean {
  const { db, instances, messages } = engine;
  return db.transaction(() => {
    const current = instances.get(instance.id);
    const isOvertaken =
      current?.execution !== instance.execution ||
      isFinal(current.status) ||
      instances.historyLength(instance.id) !== past.length;
    if (isOvertaken || !messages.isMine(message)) {
      return false;
    }
    messages.delete(message);
    instances.append(instance.id, past.length, plan.events);
    for (const next of plan.messages) {
      messages.send(next);
    }
    for (const child of plan.children) {
      startChild(engine, child);
    }
    const isCanceled = (index: number) => {
      const action = decision.actions[index];
      return action?.actionType === ActionType.createTimer && action.isCanceled === true;
    };
    const history = [...past, ...plan.events];
    for (const event of history) {
      if (event.ActionIndex !== undefined && isCanceled(event.ActionIndex)) {
        instances.dropTimers(instance.id, event.EventId);
      }
    }
    const moved: Instance = {
      ...instance,
      status: 'Running',
      customStatus: decision.customStatus,
      nextTask: plan.nextTask,
      actionsDone: Math.max(decision.actions.length, instance.actionsDone),
    };
    const open = openTasks(history, isCanceled);
    const isBrokenOff = decision.end?.kind === 'failed' && decision.end.isBrokenOff === true;
    if (decision.end === undefined || (open.length > 0 && !isBrokenOff)) {
      if (decision.end !== undefined) {
        log('debug', 'durable', `${instance.id} has finished and waits for its open tasks, as in the real engine`);
      }
      instances.update(moved);
    } else {
      end(engine, moved, decision.end, history.length);
    }
    return true;
  });
}

function startChild(engine: Engine, child: TurnPlan['children'][number]): void {
  const active = engine.instances.start(child.id, child.name, child.input, child.parent);
  if (active !== undefined) {
    const reason = `An Orchestration instance with the status ${active} already exists.`;
    engine.messages.send({
      queue: 'instance',
      instance: child.parent.instance,
      execution: child.parent.execution,
      body: {
        kind: 'completion',
        event: {
          EventType: EventType.subOrchestrationInstanceFailed,
          TaskScheduledId: child.parent.task,
          Reason: reason,
          Details: reason,
        },
        call: child.parent.call,
      },
    });
  }
}

function end(engine: Engine, instance: Instance, how: NonNullable<Decision['end']>, length: number): void {
  const { instances, messages } = engine;
  if (how.kind === 'continued') {
    const execution = randomUUID();
    instances.clearHistory(instance.id);
    instances.update({ ...instance, execution, input: how.input, nextTask: 0, actionsDone: 0 });
    messages.send({ queue: 'instance', instance: instance.id, execution, body: { kind: 'start' } });
    return;
  }
  const reason = how.kind === 'failed' ? `Orchestrator function '${instance.name}' failed: ${how.reason}` : undefined;
  const output = how.kind === 'completed' ? how.output : JSON.stringify(reason);
  instances.append(instance.id, length, [historyEvent(EventType.executionCompleted, Date.now(), { Result: output })]);
  finish(engine, instance, how.kind === 'completed' ? 'Completed' : 'Failed', output, reason);
}
