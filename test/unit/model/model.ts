import { InvocationContext } from '@azure/functions';
import type { Descriptor } from '../../../src/oci/index.js';
import { parseReference } from '../../../src/oci/index.js';
import { destinationOf } from '../../../src/promotion/destination.js';
import type { Rule } from '../../../src/promotion/rule.js';
import type { MemoryRepository } from '../oci/memory-repository.js';
import { newWorld, type World } from '../steps/world.js';
import { register } from '../functions/registered.js';
import { SimulatedEngine } from './engine.js';
import { REGISTRY, REPOSITORIES, TAGS, rulesOf, type History, type Timed } from './history.js';
import { IMAGES, REFERRERS, START_MS, put, rememberingSboms, rememberingSigner } from './images.js';
import { Simulation, type Task } from './simulation.js';
import { SimulatedLeases, viewOf } from './views.js';
import { inVirtualTime } from './virtual-time.js';
import { problemsOf } from './oracle.js';

/** What keeps the app right, each to be taken out in turn: the model must notice. */
export type Guard = 'wanted at closing' | 'kept signature' | 'fencing' | 'event name';

const TICK_MS = 5 * 60_000;
const MOST_TICKS = 60;
/** From then on each tick comes after an hour: failures are tried again with growing pauses. */
const SOON_TICKS = 12;
const MOST_DELIVERIES = 5;

interface Mail {
  id: string;
  door: 'onRegistryEvent' | 'onRegistryEventMessage' | 'onJobMessage';
  body: unknown;
  insertedAt: string;
  visibleMs: number;
  tries: number;
  task?: Task;
}

/** Plays a history to its end. @returns what is wrong then; empty: nothing */
export async function play(
  history: History,
  without?: Guard,
): Promise<{ problems: string[]; trace: string[]; steps: number }> {
  const simulation = new Simulation(START_MS, history.choices);
  return inVirtualTime(simulation, async () => {
    const model = new Model(simulation, history, without);
    let problems: string[];
    try {
      problems = await model.play();
    } catch (error) {
      problems = [error instanceof Error ? (error.stack ?? error.message) : String(error)];
    }
    return { problems, trace: simulation.trace, steps: simulation.steps };
  });
}

export class Model {
  readonly world: World;
  readonly engine: SimulatedEngine;
  readonly rules: readonly Rule[];
  readonly problems: string[] = [];
  /** Something happened that nobody is told of: only the schedule can find it. */
  needsSchedule = false;
  readonly #simulation: Simulation;
  readonly #leases: SimulatedLeases;
  readonly #history: History;
  readonly #without: Guard | undefined;
  readonly #mail: Mail[] = [];
  /** What was `wanted` when a row was written as waiting, by promotion. */
  readonly #waitingSince = new Map<string, number>();
  readonly #watchedRepositories = new Set<MemoryRepository>();
  #events = 0;
  #sent = 0;
  #ticks: Task[] = [];

  constructor(simulation: Simulation, history: History, without?: Guard) {
    this.#simulation = simulation;
    this.#history = history;
    this.#without = without;
    this.rules = rulesOf(history.setting);
    const { second, sign, tellsUntagged } = history.setting;
    // What a run attaches for one rule tells the other rules' promotions nothing.
    if (second === 'mirror' && !sign) this.needsSchedule = true;
    if (second === 'onward' && !tellsUntagged) this.needsSchedule = true;
    const world = newWorld(...this.rules);
    this.world = world;
    world.now = () => simulation.now();
    world.sbom = rememberingSboms((work) => simulation.watch(work));
    world.signer = world.signer && rememberingSigner(world.signer);
    world.jobPolicy = {
      allowedRegistries: [REGISTRY, 's.azurecr.io'],
      operations: ['promote', 'copy'],
      scopes: {},
      credentials: {},
    };
    const { registry } = world.listing;
    // So much that one tick looks at everything.
    const requestsPerMinute = (): number => 10_000;
    world.listing = { ...world.listing, registry: (name) => ({ ...registry(name), requestsPerMinute }) };
    if (history.setting.spreads === true) {
      world.copyParts = { bytes: world.copyParts.bytes, nodes: 2 };
      world.stretch = { ...world.stretch, requests: 5 };
    }
    this.#leases = new SimulatedLeases(simulation);
    const { orchestrations } = register(world);
    simulation.sources.push(() => this.#deliveries());
    this.engine = new SimulatedEngine(
      simulation,
      orchestrations,
      (task, name, input) => this.#runActivity(task, name, input),
      without === 'event name' ? () => 'wanted' : undefined,
    );
    world.engine = this.engine as unknown as World['engine'];
    this.#watchRepositories();
    this.#watchStore();
    if (without === 'kept signature') {
      world.documents.putIfAbsent = async (container, name, bytes) => {
        await world.documents.put(container, name, bytes);
        return bytes;
      };
    }
  }

  async play(): Promise<string[]> {
    const left = [...this.#history.happenings];
    let wait = left[0]?.after ?? 0;
    let isIdle = false;
    for (;;) {
      const next = left[0];
      if (
        next !== undefined &&
        wait <= 0 &&
        (isIdle || next.at === undefined || this.#askingFor(next.at) !== undefined)
      ) {
        isIdle = false;
        left.shift();
        wait = left[0]?.after ?? 0;
        await this.#simulation.does({ label: `** ${JSON.stringify(next)}`, run: () => this.#happens(next) });
        continue;
      }
      wait -= 1;
      if (await this.#simulation.step(next === undefined)) continue;
      if ((next === undefined || this.#simulation.isNapping) && (await this.#letTimePass())) continue;
      if (next === undefined) break;
      wait = 0;
      isIdle = true;
    }
    await this.#hold(false);
    const failed = (await this.world.store.listPromotions({ size: 100 })).items.some(({ state }) => state === 'failed');
    if (!this.needsSchedule && !failed) this.#note('before any tick', await problemsOf(this));
    if (this.problems.length > 0) return this.problems;
    await this.#tickUntilQuiet();
    this.#note('in the end', await problemsOf(this));
    return this.problems;
  }

  #note(when: string, problems: readonly string[]): void {
    this.problems.push(...problems.map((problem) => `${when}: ${problem}`));
  }

  /** To the next timer. @returns false where there is none */
  async #letTimePass(): Promise<boolean> {
    const { nextTimerMs } = this.#simulation;
    if (nextTimerMs === undefined) return false;
    await this.#nobodySleepsOverNews();
    await this.#simulation.advanceTo(nextTimerMs);
    return true;
  }

  async #settle(): Promise<void> {
    while ((await this.#simulation.step()) || (await this.#letTimePass()));
  }

  async #tickUntilQuiet(): Promise<void> {
    let quiet = 0;
    for (let tick = 0; quiet < 2; tick += 1) {
      if (tick > MOST_TICKS) {
        this.problems.push('the schedule finds something to do at each tick');
        return;
      }
      await this.#simulation.advanceTo(this.#simulation.nowMs + (tick < SOON_TICKS ? TICK_MS : 12 * TICK_MS));
      const before = this.engine.started;
      await this.#tick();
      await this.#settle();
      // The walk itself is one.
      const walks = this.engine.started - before === 1;
      const { items } = await this.world.store.listPromotions({ size: 100 });
      // Whose tag is gone is left as it failed.
      const isWorse = items.some(({ state, source }) => state === 'failed' && this.#isThere(source));
      quiet = walks && !isWorse ? quiet + 1 : 0;
    }
  }

  #isThere({ registry, repository, tag }: { registry: string; repository: string; tag: string }): boolean {
    return this.world.registries.repository(registry, repository).tags.has(tag);
  }

  /** A row that waits and was raised since is woken: nobody leaves that to the timer. */
  async #nobodySleepsOverNews(): Promise<void> {
    if (this.#mail.length > 0 || this.#ticks.length > 0 || this.#simulation.tasks.length > 0) return;
    for (const row of (await this.world.store.listPromotions({ size: 100 })).items) {
      const since = this.#waitingSince.get(row.id);
      if (row.waitingFor === undefined || since === undefined || row.wanted <= since) continue;
      const instance = row.runId === undefined ? undefined : this.engine.instances.get(row.runId);
      if (instance?.state === 'running' && instance.retrying === 0 && this.engine.deliveries.length === 0) {
        throw new Error(
          `promotion ${row.id} waits for ${row.waitingFor} though ${row.wanted} is wanted, more than ${since}`,
        );
      }
    }
  }

  #watchStore(): void {
    const { store } = this.world;
    const replace = store.replacePromotion.bind(store);
    store.replacePromotion = async (row, version) => {
      const before = await store.getPromotion(row.id);
      const written = await replace(row, version);
      const isNews = before?.value.waitingFor !== row.waitingFor || before?.value.runId !== row.runId;
      if (written && row.waitingFor !== undefined && isNews) this.#waitingSince.set(row.id, row.wanted);
      return written;
    };
  }

  /** The registries tell of what is pushed, whoever pushes it. */
  #watchRepositories(): void {
    const { registries } = this.world;
    const find = registries.repository.bind(registries);
    registries.repository = (registry, name) => {
      const repository = find(registry, name);
      if (this.#watchedRepositories.has(repository)) return repository;
      this.#watchedRepositories.add(repository);
      const push = repository.pushManifest.bind(repository);
      repository.pushManifest = async (bytes, mediaType, options) => {
        const descriptor = await push(bytes, mediaType, options);
        this.#tell('ImagePushed', registry, name, descriptor, options?.tag);
        return descriptor;
      };
      return repository;
    };
  }

  /** A registry raises an event: so many copies of it are under way. */
  #tell(
    type: string,
    registry: string,
    repository: string,
    { digest, mediaType }: Partial<Descriptor>,
    tag?: string,
  ): void {
    if (tag === undefined && type === 'ImagePushed' && !this.#history.setting.tellsUntagged) return;
    const { copies } = this.#history;
    const count = copies.length === 0 ? 1 : (copies[this.#events % copies.length] ?? 1);
    this.#events += 1;
    if (count === 0) this.needsSchedule = true;
    const body = {
      id: `event-${this.#events}`,
      eventType: `Microsoft.ContainerRegistry.${type}`,
      eventTime: this.#simulation.now().toISOString(),
      data: { target: { repository, digest, mediaType, tag }, request: { host: registry } },
    };
    for (let copy = 0; copy < count; copy += 1) {
      this.#post(copy === 1 ? 'onRegistryEvent' : 'onRegistryEventMessage', body);
    }
  }

  #post(door: Mail['door'], body: unknown, delayMs = 0): void {
    const insertedAt = this.#simulation.now().toISOString();
    const visibleMs = this.#simulation.nowMs + delayMs;
    this.#mail.push({ id: `mail-${this.#mail.length}-${this.#events}`, door, body, insertedAt, visibleMs, tries: 0 });
    if (delayMs > 0) this.#simulation.at(visibleMs, 'visible', () => undefined);
  }

  #deliveries(): { label: string; run(): Promise<void> }[] {
    this.#collect();
    return this.#mail
      .filter(({ task, visibleMs }) => task === undefined && visibleMs <= this.#simulation.nowMs)
      .map((mail) => {
        const label = `${mail.door} ${JSON.stringify((mail.body as { data?: unknown }).data ?? mail.body).slice(0, 150)}`;
        return { label, run: () => this.#deliver(mail, label) };
      });
  }

  /** What the app itself has put into queues that it reads. */
  #collect(): void {
    const { sent } = this.world.queues;
    for (; this.#sent < sent.length; this.#sent += 1) {
      const message = sent[this.#sent];
      if (message?.queue === 'registry-events') {
        this.#post('onRegistryEventMessage', JSON.parse(message.text), message.delaySeconds * 1000);
      } else if (message?.queue === 'jobs')
        this.#post('onJobMessage', JSON.parse(message.text), message.delaySeconds * 1000);
    }
  }

  async #deliver(mail: Mail, label: string): Promise<void> {
    await this.#simulation.start(
      label,
      (task) => {
        mail.task = task;
        mail.tries += 1;
        return this.#handle(task, mail.door, mail.body, { id: mail.id, insertionTime: mail.insertedAt });
      },
      (task, _result, error) => {
        if (error === undefined) {
          if (this.#mail.includes(mail)) this.#mail.splice(this.#mail.indexOf(mail), 1);
          return;
        }
        if (mail.tries > MOST_DELIVERIES * 4) throw new Error(`${label} is never handled: ${error?.message}`);
        if (mail.task === task) this.#again(mail, 10_000);
      },
    );
  }

  #again(mail: Mail, pauseMs: number): void {
    delete mail.task;
    mail.visibleMs = this.#simulation.nowMs + pauseMs;
    this.#simulation.at(mail.visibleMs, 'visible again', () => undefined);
  }

  async #handle(task: Task, name: string, body: unknown, triggerMetadata: Record<string, string>): Promise<unknown> {
    const context = new InvocationContext({ functionName: name, logHandler: () => {}, triggerMetadata });
    return register(this.#viewOf(task)).functions.get(name)?.handler(structuredClone(body), context);
  }

  async #runActivity(task: Task, name: string, input: unknown): Promise<unknown> {
    const context = new InvocationContext({ functionName: name, logHandler: () => {} });
    let given = input;
    if (this.#without === 'wanted at closing' && name === 'closeRun') {
      const closing = input as { promotionId: string };
      const row = await this.world.store.getPromotion(closing.promotionId);
      given = { ...closing, wanted: row?.value.wanted ?? 0 };
    }
    const handler = register(this.#viewOf(task, (input as { runId?: string }).runId)).activities.get(name)?.handler;
    if (handler === undefined) throw new Error(`no activity ${name}`);
    return handler(given, context);
  }

  #viewOf(task: Task, runId?: string): World {
    const view = viewOf(this.world, task, this.#leases);
    if (this.#without !== 'fencing' || runId === undefined) return view;
    // Every run takes the row to be its own.
    const { store } = view;
    const unfenced: World['store'] = Object.create(store) as World['store'];
    unfenced.getPromotion = async (id) => {
      const row = await store.getPromotion(id);
      return row && { ...row, value: { ...row.value, runId, runOpen: true } };
    };
    return { ...view, store: unfenced };
  }

  async #tick(): Promise<void> {
    await this.#simulation.start(
      'onSchedule',
      (task) => {
        this.#ticks.push(task);
        return this.#handle(task, 'onSchedule', {}, {});
      },
      (task) => {
        this.#ticks = this.#ticks.filter((other) => other !== task);
      },
    );
  }

  async #hold(on: boolean): Promise<void> {
    this.world.paused = on;
  }

  #repository(index: number): { name: string; repository: MemoryRepository } {
    const name = REPOSITORIES[index % REPOSITORIES.length] ?? REPOSITORIES[0];
    return { name, repository: this.world.registries.repository(REGISTRY, name) };
  }

  #destination(
    repository: number,
    tag: number,
  ): { registry: string; name: string; tag: string; repository: MemoryRepository } {
    const [rule] = this.rules;
    if (rule === undefined) throw new Error('no rule');
    const name = { repository: this.#repository(repository).name, tag: TAGS[tag % TAGS.length] ?? 'v1' };
    const to = destinationOf(rule, name);
    return {
      registry: to.registry,
      name: to.repository,
      tag: to.tag,
      repository: this.world.registries.repository(to.registry, to.repository),
    };
  }

  async #happens(what: Timed): Promise<void> {
    switch (what.is) {
      case 'push': {
        const { name, repository } = this.#repository(what.repository);
        const image = IMAGES[what.image % IMAGES.length];
        const tag = TAGS[what.tag % TAGS.length];
        if (image === undefined || tag === undefined) return;
        for (const fresh of put(repository, image.digest)) {
          if (fresh.digest !== image.digest) this.#tell('ImagePushed', REGISTRY, name, fresh);
        }
        repository.tags.set(tag, image.digest);
        this.#tell('ImagePushed', REGISTRY, name, image, tag);
        return;
      }
      case 'attach': {
        const { name, repository } = this.#repository(what.repository);
        const referrer = REFERRERS[what.what][what.image % IMAGES.length];
        if (referrer !== undefined && put(repository, referrer.digest).length > 0) {
          if (!this.#history.setting.tellsUntagged) this.needsSchedule = true;
          this.#tell('ImagePushed', REGISTRY, name, referrer);
        }
        return;
      }
      case 'untag': {
        const { name, repository } = this.#repository(what.repository);
        const tag = TAGS[what.tag % TAGS.length] ?? 'v1';
        if (repository.tags.delete(tag)) this.#tell('ImageDeleted', REGISTRY, name, {}, tag);
        return;
      }
      case 'delete': {
        const { name, repository } = this.#repository(what.repository);
        const digest = IMAGES[what.image % IMAGES.length]?.digest;
        if (digest === undefined || !repository.manifests.delete(digest)) return;
        for (const [tag, target] of repository.tags) if (target === digest) repository.tags.delete(tag);
        this.#tell('ImageDeleted', REGISTRY, name, { digest });
        return;
      }
      case 'tamper': {
        this.needsSchedule = true;
        const { repository, tag } = this.#destination(what.repository, what.tag);
        const image = IMAGES[what.image % IMAGES.length];
        if (what.how === 'untag') repository.tags.delete(tag);
        else if (what.how === 'move' && image !== undefined) {
          // What comes to staging by hand gets an SBOM there, and another with its promotion: both are right.
          if (this.#history.setting.second === 'onward' && !repository.manifests.has(image.digest)) return;
          put(repository, image.digest);
          repository.tags.set(tag, image.digest);
        } else {
          const digest = repository.tags.get(tag);
          const referrer = [...repository.manifests.values()].find(
            ({ manifest }) => manifest.subject?.digest === digest,
          );
          if (digest !== undefined && referrer !== undefined) repository.manifests.delete(referrer.descriptor.digest);
        }
        return;
      }
      case 'tick':
        await this.#tick();
        return;
      case 'time':
        await this.#simulation.advanceTo(this.#simulation.nowMs + what.seconds * 1000);
        return;
      case 'crash': {
        const task = this.#chosen(what);
        if (task !== undefined) this.#crash(task, what.how, what.lands);
        return;
      }
      case 'kill':
        for (const task of this.#live()) this.#crash(task, what.how, what.lands);
        return;
      case 'pause': {
        const task = this.#chosen(what);
        if (task === undefined) return;
        this.needsSchedule = true;
        this.#simulation.pause(task);
        this.#redeliver(task, 'again');
        return;
      }
      case 'lose': {
        const open = this.engine.open.filter(({ name }) => name !== 'runJob');
        const instance = open[what.nth % Math.max(open.length, 1)];
        if (instance === undefined) return;
        this.needsSchedule = true;
        for (const task of this.engine.lose(instance)) if (task.mode === 'live') this.#simulation.pause(task);
        return;
      }
      case 'stick':
        this.needsSchedule = true;
        this.engine.sticks = true;
        return;
      case 'ask': {
        const { name } = this.#repository(what.repository);
        const source = `${REGISTRY}/${name}:${TAGS[what.tag % TAGS.length] ?? 'v1'}`;
        this.#post('onJobMessage', {
          operation: 'promote',
          id: `job-${this.#events}-${what.repository}-${what.tag}`,
          source,
        });
        return;
      }
      case 'hold':
        if (what.on) this.needsSchedule = true;
        await this.#hold(what.on);
        return;
      case 'forget':
        this.#destination(what.repository, 0).repository.loseReferrers += 1;
    }
  }

  /** A task that is about to do this. */
  #askingFor(call: string): Task | undefined {
    return this.#live().find(({ pending }) => pending.some(({ label }) => label.includes(call)));
  }

  #chosen({ nth, at }: { nth: number; at?: string }): Task | undefined {
    const live = this.#live();
    return (at === undefined ? undefined : this.#askingFor(at)) ?? live[nth % Math.max(live.length, 1)];
  }

  #live(): Task[] {
    return this.#simulation.tasks.filter(({ mode }) => mode === 'live');
  }

  #crash(task: Task, how: 'fails' | 'again' | 'later', lands: boolean): void {
    if (lands) this.needsSchedule = true;
    this.#simulation.kill(task, lands);
    this.#redeliver(task, how);
    this.#ticks = this.#ticks.filter((other) => other !== task);
  }

  #redeliver(task: Task, how: 'fails' | 'again' | 'later'): void {
    this.engine.abandon(task, how);
    const mail = this.#mail.find((other) => other.task === task);
    if (mail !== undefined) this.#again(mail, how === 'later' ? 600_000 : 1);
  }

  /** What stands under a destination tag. */
  tagAt(reference: string): string | undefined {
    const { registry, repository, tag = '' } = parseReference(reference);
    return this.world.registries.repository(registry, repository).tags.get(tag);
  }
}
