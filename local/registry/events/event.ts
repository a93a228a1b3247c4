import { randomUUID } from 'node:crypto';
import type {
  ContainerRegistryChartDeletedEventData,
  ContainerRegistryChartPushedEventData,
  ContainerRegistryImageDeletedEventData,
  ContainerRegistryImagePushedEventData,
} from '@azure/eventgrid';
import type { Call } from '../call.js';
import type { Context } from '../context.js';
import type { IncomingManifest, ManifestEntry } from '../storage/manifests.js';

const HELM_CONFIG = 'application/vnd.cncf.helm.config.v1+json';
const LOCATION = 'local';

/**
 * The target of each kind of event. Event Grid declares each field as required, but ACR leaves out fields that it does
 * not know.
 */
interface Targets {
  ImagePushed: Partial<ContainerRegistryImagePushedEventData['target']>;
  ImageDeleted: Partial<ContainerRegistryImageDeletedEventData['target']>;
  ChartPushed: Partial<ContainerRegistryChartPushedEventData['target']>;
  ChartDeleted: Partial<ContainerRegistryChartDeletedEventData['target']>;
}

/**
 * An event's data, without the fields that ACR leaves out. Charts have a `request` here, because only `host` in it
 * distinguishes the local registries.
 */
type EventData = Pick<ContainerRegistryImagePushedEventData, 'id' | 'timestamp' | 'action' | 'location'> & {
  target: Targets[keyof Targets];
  request: Omit<ContainerRegistryImagePushedEventData['request'], 'addr'>;
};

const ACTIONS = {
  ImagePushed: 'push',
  ImageDeleted: 'delete',
  ChartPushed: 'chart_push',
  ChartDeleted: 'chart_delete',
} as const satisfies Record<keyof Targets, string>;

/** The content of an Event Grid event about a push or a delete. The envelope is added on delivery. */
export interface RegistryEvent {
  id: string;
  type: `Microsoft.ContainerRegistry.${keyof Targets}`;
  subject: string;
  time: string;
  topic: string;
  data: EventData;
}

/** A Helm chart's name and version, as far as path and tag show them. */
function chartTarget(repository: string, tag: string | undefined): { name: string; version?: string } {
  return { name: repository.split('/').at(-1) ?? repository, ...(tag !== undefined && { version: tag }) };
}

function isChart(configMediaType: string | undefined): boolean {
  return configMediaType === HELM_CONFIG;
}

export function pushEvent(
  context: Context,
  call: Call,
  repository: string,
  { mediaType, digest, bytes, tag, described }: IncomingManifest,
): RegistryEvent {
  const subject = tag === undefined ? repository : `${repository}:${tag}`;
  const target = { mediaType, size: bytes.length, digest, repository, ...(tag !== undefined && { tag }) };
  if (isChart(described?.configMediaType)) {
    return event(context, call, 'ChartPushed', subject, { ...target, ...chartTarget(repository, tag) });
  }
  return event(context, call, 'ImagePushed', subject, { ...target, length: bytes.length });
}

export function deleteEvent(
  context: Context,
  call: Call,
  repository: string,
  { mediaType, digest, described }: ManifestEntry,
): RegistryEvent {
  const target = { mediaType, digest, repository };
  if (isChart(described.configMediaType)) {
    return event(context, call, 'ChartDeleted', repository, { ...target, ...chartTarget(repository, undefined) });
  }
  return event(context, call, 'ImageDeleted', repository, target);
}

function event<Kind extends keyof Targets>(
  { name }: Context,
  call: Call,
  kind: Kind,
  subject: string,
  target: Targets[Kind],
): RegistryEvent {
  const time = new Date().toISOString();
  const resource = name.split('.', 1)[0]?.replaceAll(/[^a-zA-Z0-9]/g, '') ?? '';
  return {
    id: randomUUID(),
    type: `Microsoft.ContainerRegistry.${kind}`,
    subject,
    time,
    topic: `/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/local/providers/Microsoft.ContainerRegistry/registries/${resource}`,
    data: {
      id: randomUUID(),
      timestamp: time,
      action: ACTIONS[kind],
      location: LOCATION,
      target,
      request: {
        id: randomUUID(),
        host: name,
        method: call.method,
        useragent: call.request.headers['user-agent'] ?? '',
      },
    },
  };
}

/** Wraps an event as Event Grid delivers it: an array in its own schema, or a single CloudEvent. */
export function envelope(
  event: RegistryEvent,
  schema: 'eventgrid' | 'cloudevents',
): { contentType: string; body: string } {
  const { id, type, subject, time, topic, data } = event;
  if (schema === 'cloudevents') {
    const cloudEvent = { id, source: topic, subject, type, time, specversion: '1.0', data };
    return { contentType: 'application/cloudevents+json; charset=utf-8', body: JSON.stringify(cloudEvent) };
  }
  const own = { id, topic, subject, eventType: type, eventTime: time, data, dataVersion: '1.0', metadataVersion: '1' };
  return { contentType: 'application/json; charset=utf-8', body: JSON.stringify([own]) };
}
