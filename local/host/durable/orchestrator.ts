import type { AppFunction } from '../app.js';
import type { Invoker } from '../invoke.js';
import { unsupported } from '../unsupported.js';
import type { HistoryEvent } from './history.js';
import type { Instance } from './instances.js';
import { ActionType, flatten } from './plan.js';
import type { Action } from './plan.js';

/** The most characters of a custom status as JSON, as in the real engine. */
const CUSTOM_STATUS_CHARS = 16 * 1024;

/** The result of running an orchestrator over its history. */
export interface Decision {
  /** All actions since it started, flat. */
  actions: Action[];
  /** JSON. */
  customStatus: string;
  end:
    | { kind: 'completed'; output: string }
    | {
        kind: 'failed';
        reason: string;
        /** The host ended it, so open tasks are not waited for. */
        isBrokenOff?: boolean;
      }
    | { kind: 'continued'; input: string }
    | undefined;
}

/** Separates the error's own message from the state in the errors of durable-functions. */
const STATE_LABEL = '\n\n$OutOfProcData$:';

interface OrchestratorState {
  isDone?: boolean;
  actions?: Action[][];
  output?: unknown;
  error?: string;
  customStatus?: unknown;
}

function failureState(error: unknown): OrchestratorState {
  const message = error instanceof Error ? error.message : String(error);
  const at = message.lastIndexOf(STATE_LABEL);
  if (at < 0) {
    throw error;
  }
  const state = JSON.parse(message.slice(at + STATE_LABEL.length)) as OrchestratorState;
  return { ...state, error: state.error ?? 'an error without a message' };
}

/**
 * If `Task.any` gets tasks that are still pending, it submits their actions again, and its ids differ from the engine's
 * (durable-js#574).
 */
function refuseRepeated(actions: Action[]): void {
  const seen = new Set<Action>();
  for (const action of actions) {
    if (seen.has(action) && action.actionType !== ActionType.waitForExternalEvent) {
      throw unsupported(
        'Task.any or Task.all with pending tasks that were yielded before (it would repeat their work)',
      );
    }
    seen.add(action);
  }
}

/**
 * Runs an orchestrator over `history`, whose last events are new.
 * @throws ConfigurationError `LOCAL_HOST_UNSUPPORTED`, and errors of durable-functions without a state
 */
export async function runOrchestrator(
  invoker: Invoker,
  fn: AppFunction,
  instance: Instance,
  history: HistoryEvent[],
): Promise<Decision> {
  const trigger = {
    history,
    input: JSON.parse(instance.input) as unknown,
    instanceId: instance.id,
    isReplaying: history.some((event) => event.IsPlayed),
    parentInstanceId: instance.parent?.instance ?? null,
    upperSchemaVersion: 1,
    upperSchemaVersionNew: 3,
    // The real engine splits timers of more than six days, because its queues hold nothing longer. SQLite does.
    maximumShortTimerDuration: '3650.00:00:00',
    longRunningTimerIntervalDuration: '3.00:00:00',
    defaultHttpAsyncRequestSleepTimeMillseconds: 30_000,
  };
  let state: OrchestratorState;
  try {
    const { raw } = await invoker.invoke(fn, { string: JSON.stringify(trigger) });
    state = raw as OrchestratorState;
  } catch (error) {
    state = failureState(error);
  }
  const given = flatten(state.actions?.flat() ?? []);
  refuseRepeated(given);
  // The app may change these objects later, so copy them. Dates become strings, as on the wire.
  const actions = JSON.parse(JSON.stringify(given)) as Action[];
  const customStatus = JSON.stringify(state.customStatus ?? null);
  const decision = { actions, customStatus };
  if (customStatus.length > CUSTOM_STATUS_CHARS) {
    const reason = `the custom status has more than ${CUSTOM_STATUS_CHARS} characters`;
    return { ...decision, customStatus: 'null', end: { kind: 'failed', reason } };
  }
  if (state.error !== undefined) {
    return { ...decision, end: { kind: 'failed', reason: state.error } };
  }
  const again = actions.find((action) => action.actionType === ActionType.continueAsNew);
  if (again !== undefined) {
    return { ...decision, end: { kind: 'continued', input: JSON.stringify(again.input ?? null) } };
  }
  return {
    ...decision,
    end: state.isDone === true ? { kind: 'completed', output: JSON.stringify(state.output ?? null) } : undefined,
  };
}
