import { InputError, artifactTypeOf } from '../../../src/oci/index.js';
import { destinationOf } from '../../../src/rules/match.js';
import { SBOM_MEDIA_TYPES } from '../../../src/sbom/index.js';
import type { MemoryRepository } from '../../support/memory-repository.js';
import type { App } from './app.js';
import type { Timed } from './history.js';
import { IMAGES, REFERRERS, put } from './images.js';
import { REGISTRY, REPOSITORIES, TAGS, firstRule } from './setting.js';
import type { Task } from './simulation.js';

/** What the model knows of what happened, for what it expects. */
export interface Known {
  /** Source tags that somebody pushed, moved or asked for: `repository:tag`. */
  touched: Set<string>;
  /** Destinations that were locked, `registry/repository:tag`. */
  locked: Set<string>;
  /** The app slept for more than a day: what waited is given up. */
  slept: boolean;
  /** Somebody changed the rules; a registry failed. */
  ruled: boolean;
  troubled: boolean;
}

function nameOf(repository: number): string {
  return REPOSITORIES[repository % REPOSITORIES.length] ?? REPOSITORIES[0];
}

function tagOf(tag: number): string {
  return TAGS[tag % TAGS.length] ?? TAGS[0];
}

/** What happens to the world and the app, and what is known of it. */
export class Happenings {
  readonly known: Known = {
    touched: new Set(),
    locked: new Set(),
    slept: false,
    ruled: false,
    troubled: false,
  };
  readonly #app: App;
  #asked = 0;

  constructor(app: App) {
    this.#app = app;
    if (app.setting.before !== true) return;
    app.needsSchedule = true;
    for (const [index, name] of REPOSITORIES.entries()) {
      const image = IMAGES[index];
      if (image === undefined) continue;
      const repository = app.world.registries.repository(REGISTRY, name);
      put(repository, image.digest);
      for (const tag of TAGS) {
        repository.tags.set(tag, image.digest);
        app.watches.tagged({ registry: REGISTRY, repository: name, tag }, image.digest);
      }
    }
  }

  async happen(what: Timed): Promise<void> {
    const app = this.#app;
    switch (what.is) {
      case 'push':
        this.#push(what);
        return;
      case 'attach': {
        const name = nameOf(what.repository);
        const referrer = REFERRERS[what.what][what.image % IMAGES.length];
        if (referrer !== undefined && put(this.#source(what.repository), referrer.digest).length > 0) {
          if (!app.setting.tellsUntagged) app.needsSchedule = true;
          app.tell('ImagePushed', REGISTRY, name, referrer);
        }
        return;
      }
      case 'untag': {
        const tag = tagOf(what.tag);
        if (!this.#source(what.repository).tags.delete(tag)) return;
        this.#touch(what);
        app.tell('ImageDeleted', REGISTRY, nameOf(what.repository), {}, tag);
        return;
      }
      case 'delete': {
        const repository = this.#source(what.repository);
        const digest = IMAGES[what.image % IMAGES.length]?.digest;
        if (digest === undefined || !repository.manifests.delete(digest)) return;
        for (const [tag, target] of repository.tags) if (target === digest) repository.tags.delete(tag);
        app.tell('ImageDeleted', REGISTRY, nameOf(what.repository), { digest });
        return;
      }
      case 'tamper':
        this.#tamper(what);
        return;
      case 'tick':
        // Ticks are a minute apart; scans are due each second.
        await app.simulation.advanceTo(app.simulation.nowMs + 1_000);
        await app.tick();
        return;
      case 'time':
        await app.simulation.advanceTo(app.simulation.nowMs + what.seconds * 1000);
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
        app.needsSchedule = true;
        app.simulation.pause(task);
        this.#redeliver(task, 'again');
        return;
      }
      case 'lose': {
        const open = app.engine.open.filter(({ name }) => name !== 'runJob');
        const instance = open[what.nth % Math.max(open.length, 1)];
        if (instance === undefined) return;
        app.needsSchedule = true;
        for (const task of app.engine.lose(instance)) if (task.mode === 'live') app.simulation.pause(task);
        return;
      }
      case 'stick':
        app.needsSchedule = true;
        app.engine.sticks = true;
        return;
      case 'cut': {
        app.needsSchedule = true;
        if (what.of === 'next') {
          app.engine.cuts = true;
          return;
        }
        const { open } = app.engine;
        const instance = open[what.nth % Math.max(open.length, 1)];
        if (instance !== undefined) app.engine.cut(instance);
        return;
      }
      case 'doom': {
        const { step } = what;
        const given = app.engine.deliveries.filter(({ name, hangs }) => hangs !== true && name === (step ?? name));
        const delivery = given[what.nth % Math.max(given.length, 1)];
        if (delivery === undefined) return;
        app.needsSchedule = true;
        if (delivery.task?.mode === 'live') app.simulation.kill(delivery.task, true);
        app.engine.doom(delivery);
        return;
      }
      case 'hang': {
        const task = this.#chosen(what);
        if (task === undefined) return;
        app.needsSchedule = true;
        if (app.engine.hang(task, what.more) || app.mail.hang(task)) app.simulation.kill(task, what.lands);
        else this.#crash(task, 'again', what.lands);
        return;
      }
      case 'stall': {
        const instance = app.engine.open[what.nth % Math.max(app.engine.open.length, 1)];
        if (instance === undefined || instance.stalled === true) return;
        app.needsSchedule = true;
        app.engine.stall(instance, what.cut, what.more);
        return;
      }
      case 'restart': {
        const ended = [...app.engine.instances.values()].filter(({ state }) => state === 'ended');
        const instance = ended[what.nth % Math.max(ended.length, 1)];
        if (instance !== undefined) app.engine.restart(instance);
        return;
      }
      case 'ask': {
        this.#touch(what);
        this.#asked += 1;
        const source = `${REGISTRY}/${nameOf(what.repository)}:${tagOf(what.tag)}`;
        app.mail.post('onJobMessage', { operation: 'promote', id: `job-${this.#asked}`, source });
        return;
      }
      case 'hold':
        if (what.on) app.needsSchedule = true;
        app.world.paused = what.on;
        return;
      case 'forget':
        this.#destination(what.repository, 0).repository.loseReferrers += 1;
        return;
      case 'cancel': {
        const open: string[] = [];
        for (const id of app.watches.opened)
          if (((await app.world.store.getRun(id))?.value.state ?? 'ended') !== 'ended') open.push(id);
        const id = open[what.nth % Math.max(open.length, 1)];
        if (id !== undefined) await app.ask('cancelRun', id);
        return;
      }
      case 'again': {
        const { items } = await app.world.store.listPromotions({ size: 100, filter: {} });
        const row = items.toSorted((a, b) => (a.id < b.id ? -1 : 1))[what.nth % Math.max(items.length, 1)];
        if (row !== undefined) await app.ask('runPromotion', row.id);
        return;
      }
      case 'rules':
        this.known.ruled = true;
        app.rule(what.change);
        return;
      case 'invalid':
        this.#invalidate(what.seconds);
        return;
      case 'house':
        if (what.hours > 0) await app.simulation.advanceTo(app.simulation.nowMs + what.hours * 3_600_000);
        if (what.hours >= 24) {
          this.known.slept = true;
          app.needsSchedule = true;
        }
        await app.removeOld();
        return;
      case 'trouble':
        this.known.troubled = true;
        // A registry that does not know what it reported: the event has no effect.
        if (what.how === 'gone') app.needsSchedule = true;
        if (what.how === 'stale' || what.how === 'torn') this.#excuse();
        app.troubles.begin(what);
        return;
      case 'late':
        this.#excuse();
        app.troubles.begin(what);
        return;
      case 'deaf':
        app.troubles.lostAnswers += what.calls;
        return;
      case 'lock': {
        const { registry, name, tag, repository } = this.#destination(what.repository, what.tag);
        if (what.on) {
          repository.locked.add(tag);
          this.known.locked.add(`${registry}/${name}:${tag}`);
        } else repository.locked.delete(tag);
      }
    }
  }

  /** Whatever somebody has to end is ended. */
  end(): void {
    const app = this.#app;
    app.world.paused = false;
    // Nothing finds what the schedule does not scan and no event reports.
    for (const change of ['unscheduled', 'unpushed'] as const) if (app.setting[change] === true) app.rule(change);
    app.troubles.end();
    for (const reference of this.known.locked) {
      const [registry = '', ...path] = reference.split('/');
      const [name = '', tag = ''] = path.join('/').split(':');
      app.world.registries.repository(registry, name).locked.delete(tag);
    }
  }

  /** A task that is about to do this. */
  askingFor(call: string): Task | undefined {
    return this.#live().find(({ pending }) => pending.some(({ label }) => label.includes(call)));
  }

  /** What was read was old, and nobody is told when it is no longer. */
  #excuse(): void {
    if (this.#app.isStrict) return;
    this.#app.needsSchedule = true;
    this.#app.watches.readsOld = true;
  }

  #invalidate(seconds: number): void {
    const app = this.#app;
    app.needsSchedule = true;
    this.known.ruled = true;
    const slip = new InputError('RULES_INVALID', 'rules.0.name: somebody made a slip', { remedy: 'Correct it.' });
    app.world.rulesFault = slip;
    app.simulation.at(app.simulation.nowMs + seconds * 1000, 'rules are corrected', () => {
      if (app.world.rulesFault === slip) app.world.rulesFault = undefined;
    });
  }

  #touch({ repository, tag }: { repository: number; tag: number }): void {
    this.known.touched.add(`${nameOf(repository)}:${tagOf(tag)}`);
  }

  #push(what: Timed & { is: 'push' }): void {
    const app = this.#app;
    const name = nameOf(what.repository);
    const repository = this.#source(what.repository);
    const image = IMAGES[what.image % IMAGES.length];
    if (image === undefined) return;
    this.#touch(what);
    for (const fresh of put(repository, image.digest)) {
      if (fresh.digest !== image.digest) app.tell('ImagePushed', REGISTRY, name, fresh);
    }
    const tag = tagOf(what.tag);
    repository.tags.set(tag, image.digest);
    if (what.untold === true) app.needsSchedule = true;
    else app.tell('ImagePushed', REGISTRY, name, image, tag);
  }

  #tamper(what: Timed & { is: 'tamper' }): void {
    const app = this.#app;
    app.needsSchedule = true;
    const { registry, name, repository, tag } = this.#destination(what.repository, what.tag);
    app.watches.moved(registry, name);
    const image = IMAGES[what.image % IMAGES.length];
    if (what.how === 'untag') repository.tags.delete(tag);
    else if (what.how === 'move' && image !== undefined) {
      // What comes to staging by hand gets an SBOM there, and another with its promotion: both are right.
      if (app.setting.second === 'onward' && !repository.manifests.has(image.digest)) return;
      put(repository, image.digest);
      repository.tags.set(tag, image.digest);
      app.watches.tagged({ registry, repository: name, tag }, image.digest);
    } else {
      const digest = repository.tags.get(tag);
      // An SBOM that is taken from staging is made there anew for the next rule, and brought again by the first: both are right.
      const isKept = (type = ''): boolean => app.setting.second === 'onward' && type === SBOM_MEDIA_TYPES.cyclonedx;
      const referrer = [...repository.manifests.values()].find(
        ({ manifest }) => manifest.subject?.digest === digest && !isKept(artifactTypeOf(manifest)),
      );
      if (digest !== undefined && referrer !== undefined) repository.manifests.delete(referrer.descriptor.digest);
    }
  }

  #source(repository: number): MemoryRepository {
    return this.#app.world.registries.repository(REGISTRY, nameOf(repository));
  }

  #destination(
    repository: number,
    tag: number,
  ): { registry: string; name: string; tag: string; repository: MemoryRepository } {
    const to = destinationOf(firstRule(this.#app.setting), { repository: nameOf(repository), tag: tagOf(tag) });
    return {
      registry: to.registry,
      name: to.repository,
      tag: to.tag,
      repository: this.#app.world.registries.repository(to.registry, to.repository),
    };
  }

  #chosen({ nth, at }: { nth: number; at?: string }): Task | undefined {
    const live = this.#live();
    return (at === undefined ? undefined : this.askingFor(at)) ?? live[nth % Math.max(live.length, 1)];
  }

  #live(): Task[] {
    return this.#app.simulation.tasks.filter(({ mode }) => mode === 'live');
  }

  #crash(task: Task, how: 'fails' | 'again' | 'later', lands: boolean): void {
    if (lands) this.#app.needsSchedule = true;
    this.#app.simulation.kill(task, lands);
    this.#redeliver(task, how);
  }

  #redeliver(task: Task, how: 'fails' | 'again' | 'later'): void {
    const isDelivered =
      this.#app.engine.abandon(task, how) || this.#app.mail.again(task, how === 'later' ? 600_000 : 1);
    // Who asked over HTTP is not answered, and perhaps never asks again.
    if (!isDelivered) this.#app.needsSchedule = true;
  }
}
