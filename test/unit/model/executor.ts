import { createRequire } from 'node:module';
import { DummyOrchestrationContext, type OrchestrationContext, type OrchestrationHandler } from 'durable-functions';

/** An event of an instance's history, as a host feeds it. */
export interface HistoryEvent {
  EventType: number;
  [field: string]: unknown;
}

/** What an orchestrator wants, in the library's own words. */
export interface Wanted {
  actionType: number;
  functionName?: string;
  instanceId?: string;
  input?: unknown;
  retryOptions?: { firstRetryIntervalInMilliseconds: number; maxNumberOfAttempts: number };
  fireAt?: string;
  isCanceled?: boolean;
  externalEventName?: string;
  compoundActions?: Wanted[];
}

interface LibraryExecutor {
  actions: Wanted[];
  output: unknown;
  exception: Error | undefined;
  orchestratorReturned: boolean;
  execute(context: unknown, history: HistoryEvent[], schema: number, handler: OrchestrationHandler): Promise<unknown>;
  processEvent(event: HistoryEvent): void;
}

const library = createRequire(import.meta.url);
const { TaskOrchestrationExecutor } = library(
  'durable-functions/lib/src/orchestrations/TaskOrchestrationExecutor.js',
) as { TaskOrchestrationExecutor: new () => LibraryExecutor };
const { DurableOrchestrationContext } = library(
  'durable-functions/lib/src/orchestrations/DurableOrchestrationContext.js',
) as { DurableOrchestrationContext: new (...args: unknown[]) => OrchestrationContext['df'] };

const SCHEMA = 3;

/**
 * One orchestration in durable-functions' own executor, fed one event at a time. It isn't replayed from the start at each event:
 * that it might be is test/support/replay.ts' to look after, and takes a hundred times as long.
 */
export class Execution {
  readonly #executor = new TaskOrchestrationExecutor();
  #seen = 0;

  private constructor() {}

  static async begin(
    handler: OrchestrationHandler,
    instance: { id: string; input: unknown; at: Date },
  ): Promise<Execution> {
    const execution = new Execution();
    const executor = execution.#executor;
    const context = new DummyOrchestrationContext('orchestration', instance.id, () => {});
    const { id, input, at } = instance;
    Object.assign(context, {
      df: new DurableOrchestrationContext(
        [],
        id,
        at,
        false,
        undefined,
        '3.00:00:00',
        '6.00:00:00',
        30_000,
        SCHEMA,
        input,
        executor,
      ),
    });
    const started = { IsPlayed: false, Timestamp: at, EventId: -1 };
    try {
      await executor.execute(
        context,
        [
          { ...started, EventType: 12 },
          { ...started, EventType: 0 },
        ],
        SCHEMA,
        handler,
      );
    } catch (error) {
      if (executor.exception === undefined) throw error;
    }
    return execution;
  }

  feed(event: HistoryEvent, at: Date): void {
    const common = { IsPlayed: false, Timestamp: at, EventId: -1 };
    this.#executor.processEvent({ ...common, EventType: 12 });
    this.#executor.processEvent({ ...common, ...event });
  }

  /** What it wants since it was last asked, in the order in which the library numbers it. */
  wants(): Wanted[] {
    const all = flatten(this.#executor.actions);
    const fresh = all.slice(this.#seen);
    this.#seen = all.length;
    return fresh;
  }

  get ended(): { output: unknown; error?: Error } | undefined {
    const { exception, orchestratorReturned, output } = this.#executor;
    if (exception !== undefined) return { output: undefined, error: exception };
    return orchestratorReturned ? { output } : undefined;
  }
}

function flatten(actions: readonly Wanted[]): Wanted[] {
  return actions.flatMap((action) =>
    action.compoundActions === undefined ? [action] : flatten(action.compoundActions),
  );
}
