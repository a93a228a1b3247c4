import { isRegistryHost, quoted, InputError, isDigest, isRepository, isTag, type Digest } from '../oci/index.js';
import { z } from 'zod';
import { listProblems, problemsOf, type Problem } from './problems.js';
import { ID_CHARS } from './id-forms.js';
import { openMessage, type Retry } from './retry.js';

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

/**
 * A push or a deletion that a registry reports. It only triggers a check of the registry, because the event may be late
 * or forged.
 */
export interface RegistryEvent {
  id: string;
  kind: 'pushed' | 'deleted';
  /** The login server, in lower case: `demo.azurecr.io`, `localhost:5100`. */
  registry: string;
  repository: string;
  tag?: string | undefined;
  digest?: Digest | undefined;
  mediaType?: string | undefined;
  artifactType?: string | undefined;
  /** In the format of the sender. */
  time: string;
}

const KINDS: ReadonlyMap<string, RegistryEvent['kind']> = new Map([
  ['ImagePushed', 'pushed'],
  ['ChartPushed', 'pushed'],
  ['ImageDeleted', 'deleted'],
  ['ChartDeleted', 'deleted'],
]);
const NAMESPACE = 'Microsoft.ContainerRegistry.';

/** Treats null and an empty text like a missing field, because senders use all three. */
function absent<T extends z.ZodType>(schema: T) {
  return z.preprocess((value) => (value === null || value === '' ? undefined : value), schema.optional());
}
const text = z.string().max(ID_CHARS);
const id = text.min(1);
const time = text.refine((value) => !Number.isNaN(Date.parse(value)), 'not a time');

const dataSchema = z.object({
  timestamp: absent(time),
  target: z.object({
    repository: z.string().refine(isRepository, 'not a repository name'),
    tag: absent(z.string().refine(isTag, 'not a tag')),
    digest: absent(z.string().refine(isDigest, 'neither a sha256 nor a sha512 digest')),
    mediaType: absent(text),
    artifactType: absent(text),
  }),
  request: absent(z.object({ host: absent(z.string().refine(isRegistryHost, 'not a registry host')) })),
});

/** @see https://learn.microsoft.com/azure/event-grid/event-schema-container-registry */
const eventGridSchema = z
  .object({ id, topic: absent(text), eventTime: absent(time), data: dataSchema })
  .transform(({ topic: resource, eventTime, ...event }) => ({ ...event, resource, time: eventTime }));
/** @see https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md#required-attributes */
const cloudEventSchema = z
  .object({ id, source: absent(text), time: absent(time), specversion: z.literal('1.0'), data: dataSchema })
  .transform(({ source: resource, ...event }) => ({ ...event, resource }));
const typeSchema = z.union([z.object({ specversion: z.string(), type: id }), z.object({ eventType: id })]);

/**
 * Parses a registry event in the Event Grid schema or as a CloudEvent 1.0, alone or in a list of one.
 * @param servers from REGISTRY_IDS
 * @throws InputError `UNKNOWN_EVENT_TYPE` for an event of another kind; `EVENT_INVALID`, with `details.problems`
 */
export function parseRegistryEvent(value: unknown, servers: LoginServers): RegistryEvent {
  const event: unknown = Array.isArray(value) && value.length === 1 ? value[0] : value;
  const typed = typeSchema.safeParse(event);
  if (!typed.success) throw invalidEvent([{ path: 'eventType', message: 'neither eventType nor type is present' }]);
  const isCloudEvent = 'specversion' in typed.data;
  const type = 'specversion' in typed.data ? typed.data.type : typed.data.eventType;
  const kind = KINDS.get(type.startsWith(NAMESPACE) ? type.slice(NAMESPACE.length) : type);
  if (kind === undefined) {
    throw new InputError('UNKNOWN_EVENT_TYPE', `${quoted(type)} is not an event of a container registry`, {
      remedy: 'Subscribe to ImagePushed and ImageDeleted only.',
      details: { type: type.slice(0, 200) },
    });
  }
  const parsed = (isCloudEvent ? cloudEventSchema : eventGridSchema).safeParse(event);
  if (!parsed.success) throw invalidEvent(problemsOf(parsed.error));
  const { data, resource } = parsed.data;
  const registry = registryHost(resource, data.request?.host, servers);
  const problems: Problem[] = [];
  if (registry === undefined) {
    problems.push({ path: 'data.request.host', message: 'missing, and the topic or source names no registry' });
  }
  const at = parsed.data.time ?? data.timestamp;
  if (at === undefined) problems.push({ path: isCloudEvent ? 'time' : 'eventTime', message: 'missing' });
  if (registry === undefined || at === undefined) throw invalidEvent(problems);
  return { id: parsed.data.id, kind, registry, ...data.target, time: at };
}

/**
 * Parses the registry event in a message of the queue `registry-events`. The message may be text or parsed, new or
 * wrapped for a retry.
 * @throws InputError `MESSAGE_INVALID`, `UNKNOWN_EVENT_TYPE`, `EVENT_INVALID`
 */
export function parseRegistryEventMessage(
  value: unknown,
  servers: LoginServers,
): { event: RegistryEvent; retry: Retry | undefined } {
  const { message, retry } = openMessage(value);
  return { event: parseRegistryEvent(message, servers), retry };
}

/**
 * Formats an event as a CloudEvent that {@link parseRegistryEvent} parses. Used to put an event back into its queue.
 */
export function formatRegistryEvent({ id, kind, registry, time, ...target }: RegistryEvent): object {
  const type = `${NAMESPACE}${kind === 'pushed' ? 'ImagePushed' : 'ImageDeleted'}`;
  return { specversion: '1.0', id, type, time, data: { target, request: { host: registry } } };
}

function invalidEvent(problems: readonly Problem[]): InputError {
  return new InputError('EVENT_INVALID', `The event is malformed: ${listProblems(problems)}`, {
    details: { problems },
    remedy: 'Send events of a container registry unchanged, in the Event Grid schema or as CloudEvents 1.0.',
  });
}
