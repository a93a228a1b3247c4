import type { World } from './world.js';

/** Records the calls of the world's store from here on. @returns their names, in order; set its length to 0 to begin anew */
export function countStoreCalls(world: World): string[] {
  const calls: string[] = [];
  const { store } = world;
  world.store = new Proxy(store, {
    get: (target, key) => {
      const value: unknown = Reflect.get(target, key);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]): unknown => {
        calls.push(String(key));
        return value.apply(target, args) as unknown;
      };
    },
  });
  return calls;
}
