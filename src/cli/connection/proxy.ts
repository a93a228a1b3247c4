import { BlockList, isIPv4 } from 'node:net';
import type { Io } from '../io.js';

/** True if an entry of `NO_PROXY` matches the host: a name and its subdomains, with or without a port, or a range of addresses. */
function isMeantBy(entry: string, host: string, port: string): boolean {
  const range = /^([\d.]+)\/(\d+)$/.exec(entry);
  if (range !== null) {
    const [, network = '', prefix] = range;
    if (!isIPv4(network) || !isIPv4(host) || Number(prefix) > 32) return false;
    const list = new BlockList();
    list.addSubnet(network, Number(prefix), 'ipv4');
    return list.check(host, 'ipv4');
  }
  const [, name = '', only] = /^(.*?)(?::(\d+))?$/.exec(entry.replace(/^\*?\./, '')) ?? [];
  if (name === '' || (only !== undefined && only !== port)) return false;
  return host === name || host.endsWith(`.${name}`);
}

/** The proxy that the environment names for a host, if any: `HTTPS_PROXY`, unless `NO_PROXY` lists it. */
export function proxyFor(registry: string, env: Io['env']): string | undefined {
  const [, host = '', port = '443'] = /^(.*?)(?::(\d+))?$/.exec(registry.toLowerCase()) ?? [];
  const excepted = (env.NO_PROXY ?? env.no_proxy ?? '').split(',').map((entry) => entry.trim().toLowerCase());
  const isExcepted = excepted.some((entry) => entry === '*' || isMeantBy(entry, host, port));
  const proxy = env.HTTPS_PROXY ?? env.https_proxy;
  if (isExcepted || proxy === undefined || proxy === '') return undefined;
  // As for curl and Go: `proxy:8080`.
  return proxy.includes('://') ? proxy : `http://${proxy}`;
}
