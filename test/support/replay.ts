import { createRequire } from 'node:module';
import { DummyOrchestrationContext, type OrchestrationHandler } from 'durable-functions';
import { deepStrictEqual } from 'node:assert/strict';
import { ORCHESTRATION_VERSION } from '../../src/promotions/orchestration-version.js';

/** durable-functions' own machinery: what the host calls, without a host. */
const { Orchestrator } = createRequire(import.meta.url)('durable-functions/lib/src/orchestrations/Orchestrator.js') as {
  Orchestrator: new (handler: OrchestrationHandler) => {
    handle(trigger: unknown, context: unknown): Promise<{ isDone: boolean; actions: Action[][]; output: unknown }>;
  };
};

/** An event of a history that was recorded: its turns are played again before anything new is done. */
export type PastEvent = { EventType: number; EventId: number; Timestamp: string } & Record<string, unknown>;

interface Action {
  actionType: number;
  functionName?: string;
  input?: unknown;
  instanceId?: string;
  retryOptions?: { firstRetryIntervalInMilliseconds: number; maxNumberOfAttempts: number };
  fireAt?: string;
  isCanceled?: boolean;
  externalEventName?: string;
  compoundActions?: Action[];
}
const TIMER = 5;
const EVENT = 6;

/** An activity: what it returns is its result, what it throws a failed attempt. `call` counts its calls from 1. */
export type Activity = (input: never, call: number) => unknown;

export interface Script {
  /** Where it says no version, it is of the present one. */
  input: unknown;
  /** Of an instance that is under way; its input is taken as it is. */
  past?: readonly PastEvent[] | undefined;
  activities: Record<string, Activity>;
  /** Asked when only timers and events are left: the event that comes now, or undefined: the next timer fires. */
  event?: (waitedFor: readonly string[]) => string | undefined;
  /** Called with the time before each activity; the clock begins at `startMs`, or at the start of 2026. */
  clock?: (nowMs: number) => void | Promise<void>;
  startMs?: number;
  /** In which order activities that are under way together end. Default: as they began. */
  ends?: 'first begun' | 'last begun';
  /** Every how many turns one is run twice; 1 by default. For plays so long that looking twice takes seconds. */
  twiceEvery?: number;
}

export interface Played {
  output: unknown;
  /** Where the orchestration failed. */
  error: string | undefined;
  /** Each attempt of an activity, in the order in which they ended. */
  calls: { name: string; input: unknown }[];
  /** Timers that fired, those of retries apart: how long each was waited for. */
  timersMs: number[];
  /** Names of the events that were waited for. */
  waits: string[];
  /** What came of it, as the engine keeps it. */
  history: PastEvent[];
  elapsedMs: number;
}

interface Call {
  action: Action;
  attempt: number;
  id: number;
}
interface Timer {
  id: number;
  setAtMs: number;
  fireAtMs: number;
  /** Its place among the actions, where the orchestrator set it: it may cancel it. */
  index?: number;
  /** The attempt that begins when it fires. */
  retry?: Call;
}
interface Decision {
  isDone: boolean;
  actions: Action[];
  output: unknown;
  error: string | undefined;
}

/** As the real engine fails an instance whose orchestrator no longer wants what its history says. */
export const NON_DETERMINISTIC = 'NON_DETERMINISTIC';
const START_MS = Date.parse('2026-01-01T00:00:00Z');
const MOST_TURNS = 2_000;
const STATE_LABEL = '\n\n$OutOfProcData$:';

/**
 * Plays an orchestration to its end: one completion a turn, and each turn is run twice from the start over the recorded
 * history, the second time with other clocks and other dice. Both times it must want the same actions, which begin with those
 * of the turn before.
 */
export async function replay(orchestrator: OrchestrationHandler, script: Script): Promise<Played> {
  return new Player(orchestrator, script).play();
}

class Player {
  readonly #orchestrator: OrchestrationHandler;
  readonly #script: Script;
  readonly #history: Record<string, unknown>[] = [];
  readonly #played: Played = {
    output: undefined,
    error: undefined,
    calls: [],
    timersMs: [],
    waits: [],
    history: [],
    elapsedMs: 0,
  };
  #nowMs: number;
  #nextId = 0;
  #turns = 0;
  #actions: Action[] = [];
  #calls: Call[] = [];
  #timers: Timer[] = [];
  #waits: string[] = [];
  /** What is still to come of the past, oldest first. */
  readonly #past: PastEvent[];
  readonly #input: unknown;

  constructor(orchestrator: OrchestrationHandler, script: Script) {
    this.#orchestrator = orchestrator;
    this.#script = script;
    this.#nowMs = script.startMs ?? START_MS;
    this.#past = (script.past ?? []).filter(({ EventType }) => EventType !== 12 && EventType !== 0);
    this.#input = script.past === undefined ? withVersion(script.input) : script.input;
  }

  async play(): Promise<Played> {
    this.#record({ EventType: 0, Name: 'orchestration', Input: JSON.stringify(this.#input) });
    for (let turn = 0; turn < MOST_TURNS; turn += 1) {
      const { isDone, output, error } = await this.#decide();
      if (isDone || error !== undefined)
        return { ...this.#played, output, error, elapsedMs: this.#nowMs - (this.#script.startMs ?? START_MS) };
      if (this.#past.length === 0) await this.#advance();
      else if (!this.#playPast()) return { ...this.#played, output: undefined, error: NON_DETERMINISTIC, elapsedMs: 0 };
    }
    throw new Error('the orchestration does not end');
  }

  #record(event: Record<string, unknown>): void {
    this.#nowMs += 1;
    const common = { EventId: -1, IsPlayed: false, Timestamp: new Date(this.#nowMs) };
    for (const past of this.#history) past.IsPlayed = true;
    this.#history.push({ ...common, EventType: 12 }, { ...common, ...event });
    this.#note({ EventType: 12 });
    this.#note(event);
  }

  /** Keeps an event for anybody who wants the history; @returns its number, where it asks for something */
  #note(event: Record<string, unknown>, id = -1): number {
    const Timestamp = new Date(this.#nowMs).toISOString();
    this.#played.history.push(wire({ EventId: id, IsPlayed: true, Timestamp, ...event }) as PastEvent);
    return id;
  }

  /** Numbers an activity that is asked for. */
  #askFor(name: string | undefined): number {
    return this.#note({ EventType: 4, Name: name }, this.#nextId++);
  }

  /** Numbers a timer that is set. */
  #setTimer(fireAtMs: number): number {
    return this.#note({ EventType: 10, FireAt: new Date(fireAtMs) }, this.#nextId++);
  }

  async #decide(): Promise<Decision> {
    const first = await this.#run();
    const before = this.#actions;
    if (this.#turns++ % (this.#script.twiceEvery ?? 1) === 0) {
      deepStrictEqual(
        wire(await withOtherClocks(this.#turns, () => this.#run())),
        wire(first),
        'run again over the same history, it wants something else',
      );
      const kept = first.actions.slice(0, before.length);
      deepStrictEqual(withoutCancels(kept), withoutCancels(before), 'it forgot what it wanted before');
    }
    for (let index = before.length; index < first.actions.length; index += 1) this.#schedule(first.actions, index);
    this.#actions = first.actions;
    this.#timers = this.#timers.filter(({ index }) => index === undefined || first.actions[index]?.isCanceled !== true);
    return first;
  }

  async #run(): Promise<Decision> {
    const trigger = {
      history: this.#history.map((event) => ({ ...event })),
      input: this.#input,
      instanceId: 'instance',
      isReplaying: this.#history.length > 2,
      upperSchemaVersion: 1,
      upperSchemaVersionNew: 3,
      maximumShortTimerDuration: '6.00:00:00',
      longRunningTimerIntervalDuration: '3.00:00:00',
      defaultHttpAsyncRequestSleepTimeMillseconds: 30_000,
    };
    const context = new DummyOrchestrationContext('orchestration', 'invocation', () => {});
    try {
      const state = await new Orchestrator(this.#orchestrator).handle(trigger, context);
      return {
        isDone: state.isDone,
        actions: flatten(state.actions.flat()),
        output: wire(state.output),
        error: undefined,
      };
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      const at = text.indexOf(STATE_LABEL);
      if (at < 0) throw error;
      const state = JSON.parse(text.slice(at + STATE_LABEL.length)) as { actions: Action[][]; error: string };
      return { isDone: true, actions: flatten(state.actions.flat()), output: undefined, error: state.error };
    }
  }

  #schedule(actions: readonly Action[], index: number): void {
    const action = wire(actions[index]) as Action;
    switch (action.actionType) {
      case 0:
      case 1:
        this.#calls.push({ action, attempt: 1, id: this.#askFor(action.functionName) });
        return;
      case TIMER:
        {
          const fireAtMs = Date.parse(action.fireAt ?? '');
          this.#timers.push({ id: this.#setTimer(fireAtMs), setAtMs: this.#nowMs, fireAtMs, index });
        }
        return;
      case EVENT:
        this.#waits.push(action.externalEventName ?? '');
        this.#played.waits.push(action.externalEventName ?? '');
        return;
      default:
        throw new Error(`an action of type ${action.actionType} is not played here`);
    }
  }

  async #advance(): Promise<void> {
    const call = this.#script.ends === 'last begun' ? this.#calls.pop() : this.#calls.shift();
    if (call !== undefined) {
      await this.#end(call);
      return;
    }
    const event = this.#waits.length === 0 ? undefined : this.#script.event?.(this.#waits);
    if (event !== undefined) {
      this.#waits = this.#waits.filter((name) => name !== event);
      this.#record({ EventType: 15, Name: event, Input: '{}' });
      return;
    }
    const timer = this.#timers.toSorted((a, b) => a.fireAtMs - b.fireAtMs).at(0);
    if (timer === undefined) throw new Error('it waits for nothing that could come');
    this.#timers = this.#timers.filter((other) => other !== timer);
    this.#nowMs = Math.max(this.#nowMs, timer.fireAtMs);
    if (timer.index !== undefined) this.#played.timersMs.push(timer.fireAtMs - timer.setAtMs);
    this.#record({ EventType: 11, TimerId: timer.id, FireAt: new Date(timer.fireAtMs) });
    if (timer.retry !== undefined)
      this.#calls.push({ ...timer.retry, id: this.#askFor(timer.retry.action.functionName) });
  }

  /** One turn of the past. @returns false where the real engine would break it off: it is not what the orchestrator wants. */
  #playPast(): boolean {
    for (;;) {
      const event = this.#past.shift();
      if (event === undefined) return true;
      const { EventType, EventId, Timestamp, ...fields } = event;
      if (EventType === 4 || EventType === 10) {
        const call = this.#calls.find(({ id }) => id === EventId);
        const timer = this.#timers.find(({ id }) => id === EventId);
        if (EventType === 4 ? call?.action.functionName !== fields['Name'] : timer === undefined) return false;
        continue;
      }
      this.#nowMs = Date.parse(Timestamp) - 1;
      const id = fields['TaskScheduledId'] ?? fields['TimerId'];
      const call = this.#calls.find((each) => each.id === id);
      const timer = this.#timers.find((each) => each.id === id);
      this.#calls = this.#calls.filter((each) => each !== call);
      this.#timers = this.#timers.filter((each) => each !== timer);
      this.#waits = this.#waits.filter((name) => name !== fields['Name']);
      this.#record({ EventType, ...fields });
      if (EventType === 6 && call !== undefined) this.#retry(call);
      if (timer?.retry !== undefined)
        this.#calls.push({ ...timer.retry, id: this.#askFor(timer.retry.action.functionName) });
      return EventType === 15 || call !== undefined || timer !== undefined;
    }
  }

  async #end({ action, attempt, id }: Call): Promise<void> {
    const name = action.functionName ?? '';
    const activity = this.#script.activities[name] as ((input: unknown, call: number) => unknown) | undefined;
    if (activity === undefined) throw new Error(`nobody expected the activity ${name}`);
    this.#played.calls.push({ name, input: action.input });
    const count = this.#played.calls.filter((call) => call.name === name).length;
    let result: unknown;
    await this.#script.clock?.(this.#nowMs);
    try {
      result = wire(await activity(structuredClone(action.input), count)) ?? null;
    } catch (error) {
      // As Microsoft's host words it.
      const text = error instanceof Error ? error.message : String(error);
      const Reason = `Activity function '${name}' failed:  ${text}`;
      this.#record({
        EventType: 6,
        TaskScheduledId: id,
        Reason,
        Details: `Result: Failure\nException: Error: ${text}`,
      });
      this.#retry({ action, attempt, id });
      return;
    }
    this.#record({ EventType: 5, TaskScheduledId: id, Result: JSON.stringify(result) });
  }

  #retry({ action, attempt }: Call): void {
    if (action.retryOptions === undefined) return;
    const { firstRetryIntervalInMilliseconds: pauseMs, maxNumberOfAttempts } = action.retryOptions;
    const again = attempt < maxNumberOfAttempts;
    // The library numbers a timer after the last attempt too.
    const fireAtMs = this.#nowMs + (again ? pauseMs : 0);
    this.#timers.push({
      id: this.#setTimer(fireAtMs),
      setAtMs: this.#nowMs,
      fireAtMs,
      ...(again && { retry: { action, attempt: attempt + 1, id: -1 } }),
    });
  }
}

/** An input of the present version, as the engine's adapter makes it. */
function withVersion(input: unknown): unknown {
  return typeof input === 'object' && input !== null ? { version: ORCHESTRATION_VERSION, ...input } : input;
}

/** What an orchestrator must not look at is something else while `work` goes on: the clocks, by years, and chance. */
async function withOtherClocks<T>(turn: number, work: () => Promise<T>): Promise<T> {
  const { Date: RealDate } = globalThis;
  const { random } = Math;
  const now = performance.now.bind(performance);
  const shiftMs = (turn + 1) * 400 * 24 * 3_600_000;
  const later = (): number => RealDate.now() + shiftMs;
  globalThis.Date = new Proxy(RealDate, {
    construct: (target, args: [] | [number]) => new target(args[0] ?? later()),
    apply: () => new RealDate(later()).toString(),
    get: (target, key) => (key === 'now' ? later : (Reflect.get(target, key) as unknown)),
  });
  Math.random = () => (turn % 997) / 997;
  performance.now = () => now() + shiftMs;
  try {
    return await work();
  } finally {
    globalThis.Date = RealDate;
    Math.random = random;
    performance.now = now;
  }
}

function wire(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value ?? null)) as unknown;
}

/** Actions as the host gets them, in the order in which the library numbers them. */
function flatten(actions: readonly Action[]): Action[] {
  return actions.flatMap((action) =>
    action.compoundActions === undefined ? [action] : flatten(action.compoundActions),
  );
}

function withoutCancels(actions: readonly Action[]): unknown {
  return wire(actions.map(({ isCanceled: _may, ...action }) => action));
}
