import { isRegistryHost, quoted } from '../oci/index.js';

/** The most entries of REGISTRY_IDS. `SETTINGS_INVALID` */
const MOST_LOGIN_SERVERS = 100;

/**
 * Login servers by registry resource id, both in lower case. The resource name alone does not determine the login
 * server.
 */
export type LoginServers = ReadonlyMap<string, string>;

const RESOURCE_ID =
  /^\/subscriptions\/[^/]+\/resourcegroups\/[^/]+\/providers\/microsoft\.containerregistry\/registries\/([a-z0-9]{5,50})(?=\/|$)/;
/**
 * The endpoint of one replica of a registry.
 * https://learn.microsoft.com/azure/container-registry/container-registry-geo-replication
 */
const REGIONAL_ENDPOINT = /^([a-z0-9-]+)\.[a-z0-9-]+\.geo\.(azurecr\.(?:io|cn|us))$/;

/**
 * Parses the entries of REGISTRY_IDS, `HOST=RESOURCE_ID`.
 * @param refuse called with the problem of each bad entry
 */
export function readLoginServers(entries: readonly string[], refuse: (problem: string) => void): LoginServers {
  const servers = new Map<string, string>();
  if (entries.length > MOST_LOGIN_SERVERS) refuse(`has more than ${MOST_LOGIN_SERVERS} entries`);
  for (const entry of entries.slice(0, MOST_LOGIN_SERVERS)) {
    const [, host = '', id = ''] = /^([^=]+)=(.+)$/.exec(entry.toLowerCase()) ?? [];
    const resource = registryResource(id);
    if (!isRegistryHost(host) || resource?.length !== id.length) refuse(`${quoted(entry)} is not HOST=RESOURCE_ID`);
    else if (servers.has(id)) refuse(`${quoted(id)} occurs twice`);
    else servers.set(id, host);
  }
  return servers;
}

/**
 * Finds the host by which rules name a registry. REGISTRY_IDS comes first, because with a domain name label the host is
 * not derived from the name. Then the host of the request, without the region of a replica. Then the resource name.
 * @param resource `source` of a CloudEvent, `topic` of the Event Grid schema
 * @param host as the pushing client sent it
 * @returns undefined if none of them gives a host
 */
export function registryHost(
  resource: string | undefined,
  host: string | undefined,
  servers: LoginServers,
): string | undefined {
  const id = registryResource(resource);
  const known = id === undefined ? undefined : servers.get(id);
  if (known !== undefined) return known;
  if (host !== undefined) return host.toLowerCase().replace(REGIONAL_ENDPOINT, '$1.$2');
  const name = RESOURCE_ID.exec(id ?? '')?.[1];
  return name === undefined ? undefined : `${name}.azurecr.io`;
}

/** Returns the registry resource id at the start of a text, in lower case. */
function registryResource(text: string | undefined): string | undefined {
  return RESOURCE_ID.exec(text?.toLowerCase() ?? '')?.[0];
}
