/** The event types of the history that this host writes, as the Durable Task Framework numbers them. */
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
  /** The task's id if the event schedules a task, otherwise -1. */
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
  /**
   * Used only by this host: the index of the orchestrator's action that asked for this event. Shows whether a timer was
   * cancelled or the action is a different one by now.
   */
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

/**
 * The scheduled tasks that are not completed, without cancelled timers. The real engine does not end an orchestration
 * while it has such tasks.
 */
export function openTasks(history: HistoryEvent[], isCanceled: (actionIndex: number) => boolean): HistoryEvent[] {
  const completed = new Set(history.map(completedTask));
  return history.filter(
    (event) =>
      SCHEDULING.has(event.EventType) &&
      !completed.has(event.EventId) &&
      !(event.ActionIndex !== undefined && isCanceled(event.ActionIndex)),
  );
}
