import { unsupported } from '../unsupported.js';
import { completedTask, EventType, historyEvent } from './history.js';
import type { HistoryEvent } from './history.js';
import type { Instance, Parent } from './instances.js';
import type { Call, NewMessage, RetryOptions, TurnBody } from './messages.js';

/** An action of an orchestrator, as durable-functions 3.5 writes it. */
export interface Action {
  actionType: number;
  functionName?: string;
  input?: unknown;
  instanceId?: string;
  retryOptions?: RetryOptions & { retryTimeoutInMilliseconds?: number };
  fireAt?: string;
  isCanceled?: boolean;
  compoundActions?: Action[];
}

export const ActionType = {
  callActivity: 0,
  callActivityWithRetry: 1,
  callSubOrchestrator: 2,
  callSubOrchestratorWithRetry: 3,
  continueAsNew: 4,
  createTimer: 5,
  waitForExternalEvent: 6,
  whenAny: 11,
  whenAll: 12,
} as const;

/** The actions inside `any` and `all`, in the order in which the library numbers them. */
export function flatten(actions: Action[]): Action[] {
  return actions.flatMap((action) =>
    action.actionType === ActionType.whenAny || action.actionType === ActionType.whenAll
      ? flatten(action.compoundActions ?? [])
      : [action],
  );
}

function retryDelayMs(options: RetryOptions, attempt: number): number {
  const delay = options.firstRetryIntervalInMilliseconds * (options.backoffCoefficient ?? 1) ** (attempt - 1);
  return Math.min(delay, options.maxRetryIntervalInMilliseconds ?? Number.MAX_SAFE_INTEGER);
}

/** JSON of an action's input. The library has already serialised strings for activities. */
function activityInput(input: unknown): string {
  return typeof input === 'string' ? input : JSON.stringify(input ?? null);
}

/** Collects what a turn adds: history events, messages, sub-orchestrations. Writes nothing. */
export class TurnPlan {
  readonly events: HistoryEvent[] = [];
  readonly messages: NewMessage[] = [];
  readonly children: { id: string; name: string; input: string; parent: Parent }[] = [];
  nextTask: number;
  readonly #instance: Instance;
  readonly #now: number;

  constructor(instance: Instance, now: number) {
    this.#instance = instance;
    this.#now = now;
    this.nextTask = instance.nextTask;
    this.events.push(historyEvent(EventType.orchestratorStarted, now));
  }

  /**
   * Handles the message of this turn and what the library numbers before the orchestrator continues: the timer after a
   * failed attempt (also after the last one), and the attempt after that timer.
   * @returns false if the message was handled before, because deliveries repeat
   */
  feed(body: TurnBody, past: HistoryEvent[]): boolean {
    const isRepeated = (task: number | undefined) => past.some((event) => completedTask(event) === task);
    switch (body.kind) {
      case 'start': {
        const { name, input } = this.#instance;
        this.#add(EventType.executionStarted, { Name: name, Input: input });
        return true;
      }
      case 'event':
        this.#add(EventType.eventRaised, { Name: body.name, Input: body.input });
        return true;
      case 'completion': {
        const { event, call } = body;
        if (isRepeated(event.TaskScheduledId)) {
          return false;
        }
        this.#add(event.EventType, event);
        if (event.Reason !== undefined && call.retry !== undefined) {
          const { options, attempt } = call.retry;
          const delayMs = attempt < options.maxNumberOfAttempts ? retryDelayMs(options, attempt) : 0;
          this.#timer(this.#now + delayMs, { call: { ...call, retry: { options, attempt: attempt + 1 } } });
        }
        return true;
      }
      case 'timer': {
        if (isRepeated(body.task)) {
          return false;
        }
        this.#add(EventType.timerFired, { TimerId: body.task, FireAt: body.fireAt });
        const retry = body.call?.retry;
        if (body.call !== undefined && retry !== undefined && retry.attempt <= retry.options.maxNumberOfAttempts) {
          this.#call(body.call);
        }
        return true;
      }
      case 'terminate':
      case 'suspend':
      case 'resume':
        throw new Error(`${body.kind} is not a call that an orchestrator makes`);
    }
  }

  /** @throws ConfigurationError `LOCAL_HOST_UNSUPPORTED` @param index position among all actions of the orchestrator */
  schedule(action: Action, index: number): void {
    switch (action.actionType) {
      case ActionType.callActivity:
      case ActionType.callActivityWithRetry:
        this.#call(
          {
            kind: 'activity',
            name: action.functionName ?? '',
            input: activityInput(action.input),
            ...retryOf(action),
          },
          index,
        );
        return;
      case ActionType.callSubOrchestrator:
      case ActionType.callSubOrchestratorWithRetry:
        this.#call(
          {
            kind: 'orchestration',
            name: action.functionName ?? '',
            input: JSON.stringify(action.input ?? null),
            ...(action.instanceId && { instanceId: action.instanceId }),
            ...retryOf(action),
          },
          index,
        );
        return;
      case ActionType.createTimer:
        this.#timer(Date.parse(action.fireAt ?? ''), { index, canceled: action.isCanceled === true });
        return;
      case ActionType.waitForExternalEvent:
      case ActionType.continueAsNew:
        return;
      default:
        throw unsupported(`the orchestrator's action of type ${action.actionType} (entities, callHttp, lock)`);
    }
  }

  #add(type: number, fields: Partial<HistoryEvent>): void {
    this.events.push({ ...historyEvent(type, this.#now), ...fields });
  }

  /** @param index of the action that asks for it; undefined for a further attempt */
  #call(call: Call, index?: number): void {
    const task = this.nextTask++;
    const { id, execution } = this.#instance;
    if (call.kind === 'activity') {
      this.#add(EventType.taskScheduled, {
        EventId: task,
        Name: call.name,
        ...(index !== undefined && { ActionIndex: index }),
      });
      this.messages.push({ queue: 'activity', instance: id, execution, body: { kind: 'activity', task, call } });
      return;
    }
    const childId = call.instanceId ?? `${execution}:${task}`;
    this.#add(EventType.subOrchestrationInstanceCreated, {
      EventId: task,
      Name: call.name,
      InstanceId: childId,
      ...(index !== undefined && { ActionIndex: index }),
    });
    this.children.push({
      id: childId,
      name: call.name,
      input: call.input,
      parent: { instance: id, execution, task, call },
    });
  }

  #timer(at: number, { index, canceled, call }: { index?: number; canceled?: boolean; call?: Call }): void {
    const task = this.nextTask++;
    const { id, execution } = this.#instance;
    const fireAt = new Date(at).toISOString();
    this.#add(EventType.timerCreated, {
      EventId: task,
      FireAt: fireAt,
      ...(index !== undefined && { ActionIndex: index }),
    });
    if (canceled !== true) {
      const body = { kind: 'timer', task, fireAt, ...(call !== undefined && { call }) } as const;
      this.messages.push({ queue: 'instance', instance: id, execution, body, visibleAt: at });
    }
  }
}

function retryOf(action: Action): Pick<Call, 'retry'> {
  const options = action.retryOptions;
  if (options === undefined) {
    return {};
  }
  if (options.retryTimeoutInMilliseconds !== undefined) {
    throw unsupported('retryTimeoutInMilliseconds, which can make an orchestration hang');
  }
  return { retry: { options, attempt: 1 } };
}
