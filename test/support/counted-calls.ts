/** Entries of one page of a list, as registries give it; the lists of the newest give pages. */
const PAGE_ENTRIES: Record<string, number> = {
  listTags: 1000,
  listRepositories: 1000,
  listTagDetails: 100,
  listNewestTags: 1,
  listNewestManifests: 1,
};

/**
 * Registries in memory that report each request that real ones would get: a call is one, a list one for each of its pages.
 * @param registry undefined: the object gives repositories and registries by their hosts
 */
export function countedCalls<T extends object>(target: T, onRequest: (registry: string) => void, registry?: string): T {
  return new Proxy(target, {
    get(_target, key) {
      const value: unknown = Reflect.get(target, key);
      if (typeof value !== 'function' || typeof key !== 'string') return value;
      const call = (...args: unknown[]): unknown => value.apply(target, args) as unknown;
      if (registry === undefined) {
        return (host: string, name?: string) => countedCalls(call(host, name) as object, onRequest, host);
      }
      const entries = PAGE_ENTRIES[key];
      if (entries === undefined) {
        return async (...args: unknown[]) => {
          for (let made = 0; made < requestsOf(key, args[1]); made += 1) onRequest(registry);
          return call(...args);
        };
      }
      return async function* (...args: unknown[]) {
        onRequest(registry);
        let read = 0;
        for await (const entry of call(...args) as AsyncIterable<unknown>) {
          if (read > 0 && read % entries === 0) onRequest(registry);
          read += 1;
          yield entry;
        }
      };
    },
  });
}

/** Referrers are asked for by the API and by their tag, unless that is not asked for, or later. */
function requestsOf(method: string, options: unknown): number {
  const { tagSchema = true } = (options as { tagSchema?: boolean | 'later' } | undefined) ?? {};
  return method === 'listReferrers' && tagSchema === true ? 2 : 1;
}
