/** One thing that may happen next. */
export interface Action {
  label: string;
  run: () => Promise<void> | void;
}

/** A call of a port that has been made and not yet been answered. */
interface Pending {
  label: string;
  /** Changes something: it may arrive though its caller is dead. */
  writes: boolean;
  /** Does it, and answers. */
  answer(): Promise<void>;
  /** Does it, and tells nobody. */
  land(): Promise<void>;
}

/** A handler or an activity at work. Whatever it asks of a port waits here until it is chosen. */
export class Task {
  readonly label: string;
  /** `paused`: the process sleeps, and does not know. `dead`: it never goes on. */
  mode: 'live' | 'paused' | 'dead' = 'live';
  readonly pending: Pending[] = [];
  /** Called when it wakes up, after the call that it was in. */
  readonly onWake: (() => void)[] = [];
  /** Called when it falls asleep, or dies. */
  readonly onSleep: (() => void)[] = [];
  /** After how many steps of the simulation it began. */
  readonly beganAt: number;
  /** The run that it works for, and the promotion if it is a step of one. */
  runId: string | undefined;
  promotionId: string | undefined;
  readonly #simulation: Simulation;

  constructor(simulation: Simulation, label: string) {
    this.#simulation = simulation;
    this.label = label;
    this.beganAt = simulation.steps;
  }

  /** Where the others get their turn. */
  call<T>(label: string, writes: boolean, work: () => T | Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.pending.push({
        label: `${this.label}: ${label}`,
        writes,
        answer: () => this.#simulation.watch(Promise.resolve().then(work).then(resolve, reject)),
        land: () =>
          this.#simulation.watch(
            Promise.resolve()
              .then(work)
              .then(
                () => undefined,
                () => undefined,
              ),
          ),
      });
    });
  }

  /** Work that is no place for the others, and is waited for. */
  aside<T>(work: Promise<T>): Promise<T> {
    return this.#simulation.watch(work);
  }

  async answer(pending: Pending): Promise<void> {
    this.pending.splice(this.pending.indexOf(pending), 1);
    await pending.answer();
    if (this.mode !== 'paused') return;
    this.mode = 'live';
    for (const wake of this.onWake.splice(0)) wake();
  }
}

interface Timer {
  atMs: number;
  label: string;
  fire: () => void;
}

const LONGEST_NAP_MS = 60_000;
const MOST_STEPS = 60_000;
const KEPT_STEPS = Number(process.env.KEPT_STEPS ?? 80);

/**
 * Time, and what may happen next. Each step is chosen by a number: 0 is the one that has waited longest, so that a history
 * without choices is one thing after the other.
 */
export class Simulation {
  nowMs: number;
  steps = 0;
  readonly trace: string[] = [];
  /** Things that may happen beside the calls of tasks: turns of orchestrations, deliveries. */
  readonly sources: (() => Action[])[] = [];
  tasks: Task[] = [];
  #timers: Timer[] = [];
  #deadlines: Timer[] = [];
  /** What is done every second or so: once each time that time goes on. */
  readonly #intervals = new Set<() => void>();
  /** Pauses before something is tried again: they end when they are chosen. */
  readonly #naps: (() => void)[] = [];
  readonly #choices: readonly number[];
  #choice = 0;
  #busy = 0;

  constructor(nowMs: number, choices: readonly number[]) {
    this.nowMs = nowMs;
    this.#choices = choices;
  }

  now(): Date {
    return new Date(this.nowMs);
  }

  /** Work outside of the scheduler's reach, on a thread: it is waited for. */
  async watch<T>(work: Promise<T>): Promise<T> {
    this.#busy += 1;
    try {
      return await work;
    } finally {
      this.#busy -= 1;
    }
  }

  at(atMs: number, label: string, fire: () => void): void {
    this.#timers.push({ atMs, label, fire });
  }

  /** Like a timer, but nobody waits for it. */
  deadline(atMs: number, fire: () => void): void {
    this.#deadlines.push({ atMs, label: 'deadline', fire });
  }

  /** @returns what ends it */
  interval(fire: () => void): () => void {
    this.#intervals.add(fire);
    return () => this.#intervals.delete(fire);
  }

  nap(end: () => void): void {
    this.#naps.push(end);
  }

  /** Starts a task; `ended` is called when it has, unless it died. */
  async start(
    label: string,
    work: (task: Task) => Promise<unknown>,
    ended: (task: Task, result: unknown, error?: Error) => void,
  ): Promise<Task> {
    const task = new Task(this, label);
    this.tasks.push(task);
    const leave = (): void => {
      if (task.pending.length === 0) this.tasks = this.tasks.filter((other) => other !== task);
    };
    void work(task).then(
      (result) => {
        leave();
        if (task.mode !== 'dead') ended(task, result);
      },
      (error: unknown) => {
        leave();
        if (task.mode !== 'dead')
          ended(task, undefined, error instanceof Error ? error : new Error('no error was thrown'));
      },
    );
    await this.settle();
    return task;
  }

  /** Until nothing moves but what waits for a choice. */
  async settle(): Promise<void> {
    do {
      await new Promise((resolve) => void setImmediate(resolve));
    } while (this.#busy > 0);
  }

  pause(task: Task): void {
    for (const sleep of task.onSleep) sleep();
    task.mode = 'paused';
  }

  /** @param landing whether what it had just asked for arrives all the same, some time */
  kill(task: Task, landing: boolean): void {
    if (task.mode === 'live') for (const sleep of task.onSleep) sleep();
    task.mode = 'dead';
    if (!landing) task.pending.splice(0);
    task.pending.splice(0, task.pending.length, ...task.pending.filter(({ writes }) => writes));
    if (task.pending.length === 0) this.tasks = this.tasks.filter((other) => other !== task);
  }

  /** Things that can happen, and where these leave a choice or `final` is set, things that come late. */
  #actions(final: boolean): Action[] {
    const actions: Action[] = [];
    const late: Action[] = [];
    for (const task of this.tasks) {
      for (const pending of task.pending) {
        if (task.mode === 'dead') {
          late.push({ label: `${pending.label} (lands late)`, run: () => this.#land(task, pending) });
        } else {
          const into = task.mode === 'live' ? actions : late;
          into.push({ label: pending.label, run: () => task.answer(pending) });
        }
      }
    }
    for (const source of this.sources) actions.push(...source());
    for (const nap of this.#naps) {
      actions.push({
        label: 'tries again',
        run: () => {
          this.#naps.splice(this.#naps.indexOf(nap), 1);
          nap();
        },
      });
    }
    return actions.length === 0 && !final ? [] : [...actions, ...late];
  }

  async #land(task: Task, pending: Pending): Promise<void> {
    task.pending.splice(task.pending.indexOf(pending), 1);
    if (task.pending.length === 0) this.tasks = this.tasks.filter((other) => other !== task);
    await pending.land();
  }

  /**
   * @param final what comes late comes now, where nothing else can
   * @returns false where nothing can happen without time going on
   */
  async step(final = true): Promise<boolean> {
    const actions = this.#actions(final);
    if (actions.length === 0) return false;
    const choice = this.#choices[this.#choice] ?? 0;
    this.#choice += 1;
    const action = actions[choice % actions.length];
    if (action === undefined) return false;
    await this.does(action);
    return true;
  }

  async does({ label, run }: Action): Promise<void> {
    this.steps += 1;
    if (this.steps > MOST_STEPS) throw new Error('it does not settle');
    this.trace.push(`${((this.nowMs % 1e9) / 1000).toFixed(0)} s ${label}`);
    if (this.trace.length > KEPT_STEPS) this.trace.shift();
    await run();
    await this.settle();
  }

  /** When the next timer is due; undefined where there is none. */
  get nextTimerMs(): number | undefined {
    return this.#timers.reduce<number | undefined>(
      (least, { atMs }) => (least === undefined || atMs < least ? atMs : least),
      undefined,
    );
  }

  /** True where the next timer is so near that waiting for it is the natural thing. */
  get isNapping(): boolean {
    return (this.nextTimerMs ?? Infinity) - this.nowMs <= LONGEST_NAP_MS;
  }

  async advanceTo(atMs: number): Promise<void> {
    this.nowMs = Math.max(this.nowMs, atMs);
    const due = this.#timers.filter((timer) => timer.atMs <= this.nowMs).sort((a, b) => a.atMs - b.atMs);
    this.#timers = this.#timers.filter((timer) => timer.atMs > this.nowMs);
    const missed = this.#deadlines.filter((deadline) => deadline.atMs <= this.nowMs);
    this.#deadlines = this.#deadlines.filter((deadline) => deadline.atMs > this.nowMs);
    for (const { fire } of [...missed, ...due]) fire();
    for (const fire of this.#intervals) fire();
    await this.settle();
  }
}
