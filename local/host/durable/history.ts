/** Event types of the history as the Durable Task Framework numbers them; those that this host writes. */
export const EventType = {
  executionStarted: 0,
  executionCompleted: 1,
  executionTerminated: 3,
  taskScheduled: 4,
  taskCompleted: 5,
  taskFailed: 6,
  subOrchestrationInstanceCreated: 7,
  subOrchestrationInstanceCompleted: 8,
  subOrchestrationInstanceFailed: 9,
  timerCreated: 10,
  timerFired: 11,
  orchestratorStarted: 12,
  orchestratorCompleted: 13,
  eventRaised: 15,
  executionSuspended: 19,
  executionResumed: 20,
} as const;

export interface HistoryEvent {
  EventType: number;
  /** The task's id where it schedules one, -1 elsewhere. */
  EventId: number;
  IsPlayed: boolean;
  Timestamp: string;
  Name?: string;
  /** JSON. */
  Input?: string | null;
  /** JSON. */
  Result?: string | null;
  Reason?: string;
  Details?: string;
  TaskScheduledId?: number;
  TimerId?: number;
  FireAt?: string;
  InstanceId?: string;
  /** Ours: which of the orchestrator's actions asked for this: whether a timer was cancelled, or the action is another now. */
  ActionIndex?: number;
}

export function historyEvent(type: number, at: number, fields: Partial<HistoryEvent> = {}): HistoryEvent {
  return { EventType: type, EventId: -1, IsPlayed: false, Timestamp: new Date(at).toISOString(), ...fields };
}

/** The id of the task that an event completes; undefined for other events. */
export function completedTask(event: HistoryEvent): number | undefined {
  return event.TaskScheduledId ?? event.TimerId;
}

const SCHEDULING = new Set<number>([
  EventType.taskScheduled,
  EventType.subOrchestrationInstanceCreated,
  EventType.timerCreated,
]);

/** What was scheduled and has not come back, cancelled timers apart: the real engine ends no orchestration before. */
export function openTasks(history: HistoryEvent[], isCanceled: (actionIndex: number) => boolean): HistoryEvent[] {
  const completed = new Set(history.map(completedTask));
  return history.filter(
    (event) =>
      SCHEDULING.has(event.EventType) &&
      !completed.has(event.EventId) &&
      !(event.ActionIndex !== undefined && isCanceled(event.ActionIndex)),
  );
}
