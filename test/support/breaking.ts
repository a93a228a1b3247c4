import { TransportError } from '../../src/oci/index.js';
import type { World } from './world.js';

/** How a call breaks: before anything is done, or when it is done and its answer is lost. */
export type When = 'before' | 'after';

/**
 * The ports of a world, of which the nth call breaks: of a store, a registry, a lease, whatever comes nth. As in a crash, every
 * later call breaks too.
 */
export function breaking(world: World, nth: number, when: When): { ports: World; calls: () => number } {
  let calls = 0;
  const killed = (): TransportError => new TransportError('CONNECT_FAILED', `killed at call ${calls}`);
  const watch = <T extends object>(target: T): T =>
    new Proxy(target, {
      get(_target, key) {
        const value: unknown = Reflect.get(target, key);
        if (typeof value !== 'function') return value;
        return (...args: unknown[]): unknown => {
          // Names a repository, and asks nobody anything.
          if (key === 'repository') return watch(value.apply(target, args) as object);
          calls += 1;
          const mine = calls;
          // The one call whose answer is no promise; it breaks at its first page.
          if (key === 'listTags') {
            if (mine < nth) return value.apply(target, args) as unknown;
            return (async function* () {
              yield* await Promise.reject<string[]>(killed());
            })();
          }
          if (mine > nth || (mine === nth && when === 'before')) return Promise.reject(killed());
          const answer = value.apply(target, args) as Promise<unknown>;
          return mine === nth ? answer.then(() => Promise.reject(killed())) : answer;
        };
      },
    });
  const { registries, lease, store, documents, queues, engine, sbom, signer, rules } = world;
  const ports: World = {
    ...world,
    registries: watch(registries),
    lease: watch(lease),
    store: watch(store),
    documents: watch(documents),
    queues: watch(queues),
    engine: watch(engine),
    sbom: watch(sbom),
    signer: signer && watch(signer),
    rules: watch(rules),
  };
  return { ports, calls: () => calls };
}

/** What ends by itself after a crash: leases run out. */
export function runOut(world: World): void {
  for (const name of world.lease.held) world.lease.lose(name);
}

/**
 * Breaks `work` at each of its calls in turn, before and after, in a world of its own; then does it again, unbroken, and looks.
 * @returns how many calls there are
 */
export async function breakEverywhere<T>(
  prepare: () => Promise<{ world: World; given: T }>,
  work: (ports: World, given: T) => Promise<unknown>,
  look: (world: World, given: T, where: string) => Promise<void>,
): Promise<number> {
  const whole = await prepare();
  const counted = breaking(whole.world, Number.POSITIVE_INFINITY, 'before');
  await work(counted.ports, whole.given);
  for (const when of ['before', 'after'] as const) {
    for (let nth = 1; nth <= counted.calls(); nth += 1) {
      const { world, given } = await prepare();
      const broken = await work(breaking(world, nth, when).ports, given).then(
        () => false,
        () => true,
      );
      if (!broken) throw new Error(`broken ${when} call ${nth}, and nobody noticed`);
      runOut(world);
      await work(world, given);
      await look(world, given, `broken ${when} call ${nth}`);
    }
  }
  return counted.calls();
}
