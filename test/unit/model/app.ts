import { InvocationContext } from '@azure/functions';
import type { Descriptor } from '../../../src/oci/index.js';
import type { Rule } from '../../../src/rules/rule.js';
import { removeOld } from '../../../src/schedule/housekeeping.js';
import { register } from '../../support/registered.js';
import type { MemoryRepository } from '../../support/memory-repository.js';
import { newWorld, type World } from '../../support/world.js';
import { SimulatedEngine } from './engine.js';
import { givenWithout, takeOut, viewWithout, type Guard } from './guards.js';
import type { History } from './history.js';
import { rememberingSboms, rememberingSigner } from './images.js';
import { Mail } from './mail.js';
import { ELSEWHERE, REGISTRY, changed, rulesOf, type Change, type Setting } from './setting.js';
import type { Simulation, Task } from './simulation.js';
import { Troubles } from './troubles.js';
import { SimulatedLeases, viewOf } from './views.js';
import { RETENTION_MS, Watches } from './watches.js';

/** PROMOTION_SCHEDULE: each tick scans. */
const EACH_SECOND = '* * * * * *';
const HTTP_REQUEST = { text: async () => '' };

/** The app as it is registered, over ports in memory, and all that can be done to it. */
export class App {
  readonly world: World;
  readonly engine: SimulatedEngine;
  readonly mail: Mail;
  readonly troubles: Troubles;
  readonly watches: Watches;
  readonly simulation: Simulation;
  setting: Setting;
  /** Replicas that are late are no excuse. */
  readonly isStrict: boolean;
  /** Something happened that no event reports: only the schedule can find it. */
  needsSchedule = false;
  readonly #leases: SimulatedLeases;
  readonly #copies: readonly number[];
  readonly #without: Guard | undefined;
  readonly #firstRules: readonly Rule[];
  readonly #watched = new Set<MemoryRepository>();
  #events = 0;
  /** Calls of the app's functions: each is done by the other host. */
  #calls = 0;

  constructor(simulation: Simulation, { setting, copies, strict = false }: History, without?: Guard) {
    this.simulation = simulation;
    this.isStrict = strict;
    this.setting = setting;
    this.#copies = copies;
    this.#without = without;
    this.#firstRules = rulesOf(setting);
    const { second, tellsUntagged, spreads = false } = setting;
    // What one rule attaches at the source is not reported to the other.
    if (second !== 'none' && !tellsUntagged) this.needsSchedule = true;
    const world = newWorld(...this.#firstRules);
    this.world = world;
    world.now = () => simulation.now();
    world.retentionDays = RETENTION_MS / 86_400_000;
    world.sbom = rememberingSboms((work) => simulation.watch(work));
    world.signer = world.signer && rememberingSigner(world.signer);
    world.jobPolicy = {
      allowedRegistries: [REGISTRY, ELSEWHERE],
      operations: ['promote', 'copy'],
      scopes: {},
      credentials: {},
    };
    // So much that one tick looks at everything.
    world.scheduleRequests = { scan: 10_000, resync: 10_000 };
    if (spreads) {
      world.callBounds = { ...world.callBounds, requests: 5 };
    }
    this.#leases = new SimulatedLeases(simulation);
    this.troubles = new Troubles(simulation);
    this.watches = new Watches(simulation, world.store, ({ registry: host, repository, tag }) =>
      world.registries.repository(host, repository).tags.get(tag),
    );
    this.watches.ruled(this.#firstRules);
    this.mail = new Mail(simulation, world.queues, (...letter) => this.#handle(...letter));
    this.engine = new SimulatedEngine(
      simulation,
      register(world).orchestrations,
      (task, name, input) => this.#runActivity(task, name, input),
      without === 'event name' ? () => 'wanted' : undefined,
    );
    world.engine = this.engine as unknown as World['engine'];
    takeOut(without, world);
    this.#watchRepositories();
  }

  get rules(): readonly Rule[] {
    return this.world.ruleList;
  }

  /** Somebody changes the rules. */
  rule(change: Change): void {
    this.setting = changed(this.setting, change);
    this.world.ruleList = rulesOf(this.setting);
    this.watches.ruled(this.world.ruleList);
    this.needsSchedule = true;
  }

  /** A registry raises an event: so many copies of it are under way. */
  tell(
    type: 'ImagePushed' | 'ImageDeleted',
    registry: string,
    repository: string,
    { digest, mediaType }: Partial<Descriptor>,
    tag?: string,
  ): void {
    this.watches.moved(registry, repository);
    if (tag !== undefined && digest !== undefined && type === 'ImagePushed')
      this.watches.tagged({ registry, repository, tag }, digest);
    if (tag === undefined && type === 'ImagePushed' && !this.setting.tellsUntagged) return;
    const count = this.#copies.length === 0 ? 1 : (this.#copies[this.#events % this.#copies.length] ?? 1);
    this.#events += 1;
    if (count === 0) this.needsSchedule = true;
    const body = {
      id: `event-${this.#events}`,
      eventType: `Microsoft.ContainerRegistry.${type}`,
      eventTime: this.simulation.now().toISOString(),
      data: { target: { repository, digest, mediaType, tag }, request: { host: registry } },
    };
    for (let copy = 0; copy < count; copy += 1)
      this.mail.post(copy === 1 ? 'onRegistryEvent' : 'onRegistryEventMessage', body);
  }

  /** Time for a tick: the message of the loop comes, or the timer, if there is none. */
  async tick(): Promise<void> {
    if (this.mail.releaseTicks()) return;
    const release = (): void => void this.mail.releaseTicks();
    await this.simulation.start('onSchedule', (task) => this.#handle(task, 'onSchedule', {}, {}), release);
  }

  async removeOld(): Promise<void> {
    await this.#work('removeOld', (task) => removeOld(this.#viewOf(task, 'removeOld')));
  }

  /** Somebody asks over HTTP. */
  async ask(name: 'cancelRun' | 'runPromotion', id: string): Promise<void> {
    await this.#work(`${name} ${id.slice(-4)}`, (task) =>
      this.#call(task, name, { ...HTTP_REQUEST, params: { id } }, {}),
    );
  }

  /** Work of which nobody waits for the end. */
  async #work(label: string, work: (task: Task) => Promise<unknown>): Promise<void> {
    await this.simulation.start(label, work, (_task, _result, error) => {
      if (error !== undefined) this.watches.problems.add(`${label}: ${error.stack ?? error.message}`);
    });
  }

  #handle(task: Task, name: string, body: unknown, triggerMetadata: Record<string, string>): Promise<unknown> {
    return this.#call(task, name, structuredClone(body), triggerMetadata);
  }

  async #call(task: Task, name: string, given: unknown, triggerMetadata: Record<string, string>): Promise<unknown> {
    const context = new InvocationContext({ functionName: name, logHandler: () => {}, triggerMetadata });
    return register(this.#viewOf(task, name), undefined, EACH_SECOND).functions.get(name)?.handler(given, context);
  }

  async #runActivity(task: Task, name: string, input: unknown): Promise<unknown> {
    const { runId, promotionId } = input as { runId?: string; promotionId?: string };
    Object.assign(task, { runId, promotionId });
    const context = new InvocationContext({ functionName: name, logHandler: () => {} });
    const given = await givenWithout(this.#without, name, input, this.world);
    const handler = register(this.#viewOf(task, name)).activities.get(name)?.handler;
    if (handler === undefined) throw new Error(`no activity ${name}`);
    return handler(given, context);
  }

  #viewOf(task: Task, name: string): World {
    const { troubles, watches } = this;
    const view = viewOf(this.world, task, { leases: this.#leases, troubles, watches, pageRows: this.setting.pageRows });
    const { apartSeconds = 0 } = this.setting;
    this.#calls += 1;
    const offMs = this.#calls % 2 === 0 ? apartSeconds * 1000 : 0;
    if (offMs !== 0) view.now = () => new Date(this.simulation.nowMs + offMs);
    return viewWithout(this.#without, name, task, view, this.#firstRules);
  }

  /** The registries report every push. */
  #watchRepositories(): void {
    const { registries } = this.world;
    const find = registries.repository.bind(registries);
    registries.repository = (registry, name) => {
      const repository = find(registry, name);
      if (this.#watched.has(repository)) return repository;
      this.#watched.add(repository);
      this.troubles.watch(registry, name, repository);
      const push = repository.pushManifest.bind(repository);
      repository.pushManifest = async (bytes, mediaType, options) => {
        const { writer } = this.watches;
        const before = repository.tags.get(options?.tag ?? '');
        const descriptor = await push(bytes, mediaType, options);
        if (options?.tag !== undefined && writer !== undefined && before !== undefined)
          await this.watches.retagged(writer, `${registry}/${name}:${options.tag}`, before, descriptor.digest);
        this.tell('ImagePushed', registry, name, descriptor, options?.tag);
        return descriptor;
      };
      return repository;
    };
  }
}
