/** A URL that is safe to log and show: without userinfo, query and fragment. */
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

/** The host of Docker Hub's API differs from its name. */
const API_HOSTS: ReadonlyMap<string, string> = new Map([
  ['docker.io', 'registry-1.docker.io'],
  ['index.docker.io', 'registry-1.docker.io'],
]);

/** The origin of a registry's API: `https://host` or `http://host`. */
export function registryOrigin(registry: string, plainHttp: boolean): string {
  const host = registry.toLowerCase();
  return `${plainHttp ? 'http' : 'https'}://${API_HOSTS.get(host) ?? host}`;
}

/**
 * True if two names mean the same registry: host names ignore case, TLS has a default port, and Docker Hub has several
 * names.
 */
export function isSameRegistry(one: string, other: string): boolean {
  const [first, second] = [one, other].map((registry) => {
    const origin = registryOrigin(registry, false);
    return URL.canParse(origin) ? new URL(origin).host : registry;
  });
  return first === second;
}

/**
 * Resolves a `Location` or `Link` header. A registry behind a proxy may write `http` for its own address, so a URL with
 * the same host gets the protocol of the answer.
 */
export function resolveLocation(location: string, base: string): URL {
  const from = new URL(base);
  const to = new URL(location, from);
  if (to.hostname === from.hostname && to.host === from.host && to.protocol !== from.protocol) {
    to.protocol = from.protocol;
  }
  return to;
}
