/** A URL as it may be logged and shown: without userinfo, query and fragment. */
export function redactUrl(text: string): string {
  try {
    const url = new URL(text);
    return `${url.protocol}//${url.host}${url.pathname}`;
  } catch {
    return '(not a URL)';
  }
}

/** True for `localhost`, its subdomains and loopback addresses, with or without port. */
export function isLoopback(host: string): boolean {
  const name = hostnameOf(host);
  return (
    name === 'localhost' ||
    name.endsWith('.localhost') ||
    name === '[::1]' ||
    /^127(?:\.\d{1,3}){3}$/.test(name) ||
    /^\[::ffff:127(?:\.\d{1,3}){3}\]$/.test(name)
  );
}

/** A host without its port, in lower case. */
function hostnameOf(host: string): string {
  return host.replace(/:\d+$/, '').toLowerCase();
}

/** Docker Hub's API does not live where its name says. */
const API_HOSTS: ReadonlyMap<string, string> = new Map([
  ['docker.io', 'registry-1.docker.io'],
  ['index.docker.io', 'registry-1.docker.io'],
]);

/** `https://host` or `http://host` of a registry's API. */
export function registryOrigin(registry: string, plainHttp: boolean): string {
  const host = registry.toLowerCase();
  return `${plainHttp ? 'http' : 'https'}://${API_HOSTS.get(host) ?? host}`;
}

/** Whether two names mean one registry: hosts have no case, TLS has a port of its own, and Docker Hub has several names. */
export function isSameRegistry(one: string, other: string): boolean {
  const [first, second] = [one, other].map((registry) => {
    const origin = registryOrigin(registry, false);
    return URL.canParse(origin) ? new URL(origin).host : registry;
  });
  return first === second;
}

/**
 * Where a `Location` or `Link` leads. Registries behind a proxy may write `http` for their own address: the
 * same host is taken to be meant for the origin that answered.
 */
export function resolveLocation(location: string, base: string): URL {
  const from = new URL(base);
  const to = new URL(location, from);
  if (to.hostname === from.hostname && to.host === from.host && to.protocol !== from.protocol) {
    to.protocol = from.protocol;
  }
  return to;
}
