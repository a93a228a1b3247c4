import type { OrchestrationHandler } from 'durable-functions';
import { ORCHESTRATION_VERSION } from '../../../src/promotions/orchestration-version.js';
import type { Engine } from '../../../src/ports/engine.js';
import { Execution, type HistoryEvent, type Wanted } from './executor.js';
import { HOST } from './host-limits.js';
import type { Action, Simulation, Task } from './simulation.js';

/** How an activity is done: by the app's own handler. */
export type RunActivity = (task: Task, name: string, input: unknown) => Promise<unknown>;

interface Delivery {
  instance: Instance;
  id: number;
  name: string;
  input: unknown;
  retry: Wanted['retryOptions'];
  attempt: number;
  task?: Task;
  /** Every try fails: one worker after the other dies in it. */
  doomed?: boolean;
  /** Its worker is dead and nobody knows: it keeps its slot. */
  hangs?: boolean;
  /** So many tries after this one hang as well. */
  hangsAgain?: number;
}

/** What has come for an instance. */
interface Message {
  event: HistoryEvent;
  /** Called when it is in the history: the library gives its numbers then. */
  taken?: () => void;
}

interface Instance {
  id: string;
  name: string;
  input: unknown;
  state: 'pending' | 'running' | 'ended';
  createdAt: string;
  execution?: Execution;
  /** What has come and isn't in its history yet. */
  inbox: Message[];
  nextId: number;
  /** Its start message is lost on the way. */
  stuck?: boolean;
  /** Its next turn is cut off. */
  cut?: boolean;
  /** Its turn hangs. */
  stalled?: boolean;
  /** Why it fails is the engine's: it, or a part of it, was cut off. */
  broken?: boolean;
  /** Activities that have failed and are tried again when a timer fires. */
  retrying: number;
  output?: unknown;
  error?: Error | undefined;
}

/** How long a host that died keeps what it had locked, in milliseconds. */
const VISIBLE_AGAIN_MS = 300_000;

/** What fails every try of an activity, and what the engine says of a turn that was cut off. */
/** What an activity fails with whose worker died. */
export const WORKER_DIED = 'node exited with code 137';
const TURN_CUT =
  'Non-Deterministic workflow detected: the current replay execution has not scheduled what the last one did';

/** How late a start may come: longer than a run may be pending. */
const STUCK_MS = 1_200_000;

/**
 * Durable Functions in memory, as far as its promises go: an activity may be done twice, end late, or end twice; messages come
 * in any order; a start may be pending for long; an instance may be lost; one whose turn is cut off has failed, whatever it had
 * begun goes on; an activity fails for good if its workers die; what hangs keeps its slot until it times out.
 */
export class SimulatedEngine implements Engine {
  readonly instances = new Map<string, Instance>();
  readonly deliveries: Delivery[] = [];
  /** The message that starts the next run is late. */
  sticks = false;
  /** The first turn of the next run is cut off. */
  cuts = false;
  readonly #simulation: Simulation;
  readonly #orchestrations: ReadonlyMap<string, unknown>;
  readonly #runActivity: RunActivity;
  /** Event names as the engine has them: a test gives all waits the same. */
  readonly #eventName: (name: string) => string;
  /** Ids of the instances that there ever were, sub-orchestrations apart, each as often as it was started. */
  readonly starts: string[] = [];

  constructor(
    simulation: Simulation,
    orchestrations: ReadonlyMap<string, unknown>,
    runActivity: RunActivity,
    eventName: (name: string) => string = (name) => name,
  ) {
    this.#simulation = simulation;
    this.#orchestrations = orchestrations;
    this.#runActivity = runActivity;
    this.#eventName = eventName;
    simulation.sources.push(() => this.#actions());
  }

  async start(orchestration: string, id: string, input: unknown): Promise<void> {
    // As in Durable Functions: an id that has ended is started over, and its history is gone.
    if ((this.instances.get(id)?.state ?? 'ended') !== 'ended') return;
    this.starts.push(id);
    const instance = this.#create(orchestration, id, { ...(input as object), version: ORCHESTRATION_VERSION });
    if (orchestration !== 'promote') return;
    if (this.cuts) this.cut(instance);
    this.cuts = false;
    if (!this.sticks) return;
    this.sticks = false;
    instance.stuck = true;
    this.#simulation.at(this.#simulation.nowMs + STUCK_MS, 'starts at last', () => delete instance.stuck);
  }

  /** One that has ended begins anew: the caller that started it once more read its row before it began. */
  restart({ name, id, input }: Instance): void {
    this.#create(name, id, input);
  }

  /** Its next turn is cut off, by a worker that dies or a host that stops: it has failed, without closing anything. */
  cut(instance: Instance): void {
    instance.cut = true;
  }

  /**
   * The next turn hangs until it times out, and is cut off then, or done again.
   * @param more how many tries more hang before that
   */
  stall(instance: Instance, isCut: boolean, more: number): void {
    instance.stalled = true;
    this.#simulation.at(this.#simulation.nowMs + HOST.functionTimeoutMs, 'the turn times out', () => {
      delete instance.stalled;
      if (more > 0) this.stall(instance, isCut, more - 1);
      else if (isCut) instance.cut = true;
    });
  }

  /** Every worker dies that tries an activity. */
  doom(delivery: Delivery): void {
    delivery.doomed = true;
    delivery.instance.broken = true;
    if (delivery.task !== undefined) this.#end(delivery, { failure: WORKER_DIED });
  }

  /**
   * The process died in which an activity was, and the host does not see it until it times out.
   * @param more how many tries more come to that @returns whether it was one
   */
  hang(task: Task, more: number): boolean {
    const delivery = this.deliveries.find((other) => other.task === task);
    if (delivery === undefined) return false;
    delivery.hangsAgain = more;
    this.#hang(delivery);
    return true;
  }

  #hang(delivery: Delivery): void {
    delivery.hangs = true;
    this.#simulation.at(this.#simulation.nowMs + HOST.functionTimeoutMs, 'the activity times out', () =>
      this.#end(delivery, { failure: 'the timeout was exceeded by the function' }),
    );
  }

  #create(name: string, id: string, input: unknown): Instance {
    const createdAt = this.#simulation.now().toISOString();
    const kept = structuredClone(input);
    const instance: Instance = {
      id,
      name,
      input: kept,
      state: 'pending',
      createdAt,
      inbox: [],
      nextId: 0,
      retrying: 0,
    };
    this.instances.set(id, instance);
    return instance;
  }

  async state(id: string): ReturnType<Engine['state']> {
    const instance = this.instances.get(id);
    return instance === undefined ? { state: 'missing' } : { state: instance.state, createdAt: instance.createdAt };
  }

  async notify(id: string, event: string): Promise<void> {
    const instance = this.instances.get(id);
    if (instance === undefined || instance.state === 'ended') return;
    instance.inbox.push({ event: { EventType: 15, Name: this.#eventName(event), Input: '{}' } });
  }

  async purge(id: string): Promise<void> {
    if (this.instances.get(id)?.state === 'ended') this.instances.delete(id);
  }

  async purgeEnded(from: Date, to: Date): Promise<number> {
    const isOld = ({ state, createdAt }: Instance): boolean =>
      state === 'ended' && Date.parse(createdAt) >= from.getTime() && Date.parse(createdAt) <= to.getTime();
    const old = [...this.instances.values()].filter(isOld);
    for (const { id } of old) this.instances.delete(id);
    return old.length;
  }

  /** Instances that have not ended. */
  get open(): Instance[] {
    return [...this.instances.values()].filter(({ state }) => state !== 'ended');
  }

  /** It is gone, as if its storage had been wiped. @returns what it had begun: that goes on */
  lose(instance: Instance): Task[] {
    this.instances.delete(instance.id);
    const begun = this.deliveries.filter((delivery) => delivery.instance === instance);
    for (const delivery of begun) this.deliveries.splice(this.deliveries.indexOf(delivery), 1);
    return begun.flatMap(({ task }) => (task === undefined ? [] : [task]));
  }

  /**
   * The process died in which an activity was: it fails at once, is done again soon, or when its lock is over.
   * @returns whether it was one
   */
  abandon(task: Task, how: 'fails' | 'again' | 'later'): boolean {
    const delivery = this.deliveries.find((other) => other.task === task);
    if (delivery === undefined) return false;
    const again = (): void => void delete delivery.task;
    if (how === 'fails') this.#end(delivery, { failure: WORKER_DIED });
    else if (how === 'again') again();
    else this.#simulation.at(this.#simulation.nowMs + VISIBLE_AGAIN_MS, 'visible again', again);
    return true;
  }

  #actions(): Action[] {
    const actions: Action[] = [];
    const stalled = this.open.filter((instance) => instance.stalled === true).length;
    for (const instance of this.instances.values()) {
      if (instance.stalled === true || stalled >= HOST.turns) continue;
      if (instance.state === 'pending' && instance.stuck !== true) {
        actions.push({ label: `${short(instance)} begins`, run: () => this.#begin(instance) });
      } else if (instance.state === 'running') {
        for (const message of instance.inbox) {
          const { EventType, Name } = message.event;
          actions.push({
            label: `${short(instance)} turns on event ${EventType} ${typeof Name === 'string' ? Name : ''}`,
            run: () => this.#turn(instance, message),
          });
        }
      }
    }
    const hanging = this.deliveries.filter(({ hangs }) => hangs === true).length;
    const working = this.deliveries.filter(({ task, hangs }) => task !== undefined || hangs === true).length;
    for (const delivery of this.deliveries) {
      // Without any that hangs there are other hosts.
      if (delivery.task !== undefined || delivery.hangs === true || (hanging > 0 && working >= HOST.activities))
        continue;
      const label = `${short(delivery.instance)} ${delivery.name}`;
      actions.push({ label: `${label} starts`, run: () => this.#run(delivery, label) });
    }
    return actions;
  }

  async #begin(instance: Instance): Promise<void> {
    const handler = this.#orchestrations.get(instance.name) as OrchestrationHandler | undefined;
    if (handler === undefined) throw new Error(`no orchestration ${instance.name}`);
    if (this.#isCut(instance)) return;
    instance.state = 'running';
    const { id, input } = instance;
    instance.execution = await Execution.begin(this.#renamed(handler), { id, input, at: this.#simulation.now() });
    this.#schedule(instance);
  }

  /** Waits under the names that {@link raise} uses. */
  #renamed(handler: OrchestrationHandler): OrchestrationHandler {
    const name = this.#eventName;
    return function* (context) {
      const wait = context.df.waitForExternalEvent.bind(context.df);
      context.df.waitForExternalEvent = (event) => wait(name(event));
      return yield* handler(context);
    };
  }

  #turn(instance: Instance, message: Message): void {
    if (this.#isCut(instance)) return;
    instance.inbox.splice(instance.inbox.indexOf(message), 1);
    instance.execution?.feed(message.event, this.#simulation.now());
    message.taken?.();
    this.#schedule(instance);
  }

  #isCut(instance: Instance): boolean {
    if (instance.cut !== true) return false;
    instance.broken = true;
    this.#ended(instance, { output: undefined, error: new Error(TURN_CUT) });
    return true;
  }

  #schedule(instance: Instance): void {
    for (const wanted of instance.execution?.wants() ?? []) {
      switch (wanted.actionType) {
        case 0:
        case 1:
          this.#deliver(instance, wanted);
          break;
        case 5:
          this.#setTimer(instance, wanted);
          break;
        case 6:
          break;
        default:
          throw new Error(`an action of type ${wanted.actionType} is not simulated`);
      }
    }
    const ended = instance.execution?.ended;
    if (ended !== undefined) this.#ended(instance, ended);
  }

  #ended(instance: Instance, ended: { output: unknown; error?: Error }): void {
    instance.state = 'ended';
    instance.output = wire(ended.output);
    instance.error = ended.error;
    instance.inbox = [];
  }

  #setTimer(instance: Instance, wanted: Wanted): void {
    const id = instance.nextId++;
    const FireAt = new Date(String(wire(wanted.fireAt)));
    this.#simulation.at(FireAt.getTime(), `timer of ${short(instance)}`, () => {
      if (wanted.isCanceled === true || instance.state === 'ended') return;
      instance.inbox.push({ event: { EventType: 11, TimerId: id, FireAt } });
    });
  }

  #deliver(instance: Instance, { functionName: name = '', input, retryOptions: retry }: Wanted): void {
    const id = instance.nextId++;
    this.deliveries.push({ instance, id, name, input: wire(input), retry, attempt: 1 });
  }

  /** Once more, as bad as before. */
  #deliverAgain({ instance, name, input, retry, attempt, doomed = false, hangsAgain = 0 }: Delivery): void {
    const id = instance.nextId++;
    const again: Delivery = { instance, id, name, input, retry, attempt: attempt + 1, doomed };
    this.deliveries.push(again);
    if (hangsAgain === 0) return;
    again.hangsAgain = hangsAgain - 1;
    this.#hang(again);
  }

  async #run(delivery: Delivery, label: string): Promise<void> {
    if (delivery.doomed === true) {
      this.#end(delivery, { failure: WORKER_DIED });
      return;
    }
    const work = (task: Task): Promise<unknown> => {
      delivery.task = task;
      return this.#runActivity(task, delivery.name, structuredClone(delivery.input));
    };
    await this.#simulation.start(label, work, (_task, result, error) => {
      this.#end(delivery, error === undefined ? { result } : { failure: error.message });
    });
  }

  /** The first end counts; one that comes later tells nothing new. */
  #end(delivery: Delivery, { result, failure }: { result?: unknown; failure?: string }): void {
    const place = this.deliveries.indexOf(delivery);
    if (place < 0) return;
    this.deliveries.splice(place, 1);
    const { instance, id: TaskScheduledId, name } = delivery;
    if (failure === undefined) {
      instance.inbox.push({ event: { EventType: 5, TaskScheduledId, Result: JSON.stringify(wire(result)) } });
      return;
    }
    const Reason = `Activity function '${name}' failed:  ${failure}`;
    instance.inbox.push({
      event: { EventType: 6, TaskScheduledId, Reason, Details: `Result: Failure\nException: ${failure}` },
      taken: () => this.#retry(delivery),
    });
  }

  #retry(delivery: Delivery): void {
    const { instance, name, retry, attempt } = delivery;
    if (retry === undefined) return;
    // The library numbers a timer after the last attempt too.
    const TimerId = instance.nextId++;
    const again = attempt < retry.maxNumberOfAttempts;
    const FireAt = new Date(this.#simulation.nowMs + (again ? retry.firstRetryIntervalInMilliseconds : 0));
    instance.retrying += 1;
    const taken = (): void => {
      instance.retrying -= 1;
      if (again) this.#deliverAgain(delivery);
    };
    this.#simulation.at(FireAt.getTime(), `retry of ${name}`, () => {
      if (instance.state !== 'ended') instance.inbox.push({ event: { EventType: 11, TimerId, FireAt }, taken });
    });
  }
}

function short({ id, name }: Instance): string {
  return `${name} ${id.slice(-4)}`;
}

function wire(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value ?? null)) as unknown;
}
