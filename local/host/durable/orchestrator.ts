import type { AppFunction } from '../app.js';
import type { Invoker } from '../invoke.js';
import { unsupported } from '../unsupported.js';
import type { HistoryEvent } from './history.js';
import type { Instance } from './instances.js';
import { ActionType, flatten } from './plan.js';
import type { Action } from './plan.js';

/** Characters of a custom status as JSON, as the real engine has it. */
const CUSTOM_STATUS_CHARS = 16 * 1024;

/** What the orchestrator came to when it was run over its history. */
export interface Decision {
  /** All of its actions since it began, flat. */
  actions: Action[];
  /** JSON. */
  customStatus: string;
  end:
    | { kind: 'completed'; output: string }
    | {
        kind: 'failed';
        reason: string;
        /** The host broke it off: what the orchestrator left open is not waited for. */
        isBrokenOff?: boolean;
      }
    | { kind: 'continued'; input: string }
    | undefined;
}

/** Between the error's own message and the state, in what durable-functions throws. */
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

/** `Task.any` over tasks that are still pending hands in their actions again, and its ids leave the engine's (durable-js#574). */
function refuseRepeated(actions: Action[]): void {
  const seen = new Set<Action>();
  for (const action of actions) {
    if (seen.has(action) && action.actionType !== ActionType.waitForExternalEvent) {
      throw unsupported(
        'Task.any or Task.all over tasks that were yielded before and are pending: their work is repeated',
      );
    }
    seen.add(action);
  }
}

/**
 * Runs an orchestrator over `history`, whose last events are new.
 * @throws ConfigurationError `LOCAL_HOST_UNSUPPORTED`, and what durable-functions throws without a state.
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
    // The real engine cuts a timer of more than six days into pieces, since its queues hold nothing longer; SQLite does.
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
  // What the app keeps of these objects may change later; and dates become strings here, as on the wire.
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
