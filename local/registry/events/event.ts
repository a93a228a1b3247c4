import { randomUUID } from 'node:crypto';
import type { Manifest } from '../../../src/oci/index.js';
import type { Call } from '../call.js';
import type { Context } from '../context.js';
import type { IncomingManifest, StoredManifest } from '../storage/manifests.js';

const HELM_CONFIG = 'application/vnd.cncf.helm.config.v1+json';
const LOCATION = 'local';

/** What an Event Grid event says about a push or a delete; the envelope is put around it on delivery. */
export interface RegistryEvent {
  id: string;
  type: `Microsoft.ContainerRegistry.${'ImagePushed' | 'ImageDeleted' | 'ChartPushed' | 'ChartDeleted'}`;
  subject: string;
  time: string;
  topic: string;
  data: {
    id: string;
    timestamp: string;
    action: 'push' | 'delete' | 'chart_push' | 'chart_delete';
    location: string;
    target: Record<string, string | number>;
    request: { id: string; host: string; method: string; useragent: string };
  };
}

/** A chart's name and version, as far as the path and the tag tell; undefined for what is no Helm chart. */
export function chartOf(manifest: Manifest): true | undefined {
  return manifest.kind === 'image' && manifest.config.mediaType === HELM_CONFIG ? true : undefined;
}

export function pushEvent(
  context: Context,
  call: Call,
  repository: string,
  manifest: IncomingManifest,
  chart: true | undefined,
): RegistryEvent {
  const { mediaType, digest, bytes, tag } = manifest;
  return event(context, call, {
    type: chart ? 'ChartPushed' : 'ImagePushed',
    action: chart ? 'chart_push' : 'push',
    subject: tag === undefined ? repository : `${repository}:${tag}`,
    target: {
      mediaType,
      size: bytes.length,
      digest,
      length: bytes.length,
      repository,
      ...(tag !== undefined && { tag }),
      ...(chart && { name: repository.split('/').at(-1) ?? repository, ...(tag !== undefined && { version: tag }) }),
    },
  });
}

export function deleteEvent(
  context: Context,
  call: Call,
  repository: string,
  { mediaType, digest }: StoredManifest,
): RegistryEvent {
  return event(context, call, {
    type: 'ImageDeleted',
    action: 'delete',
    subject: repository,
    target: { mediaType, digest, repository },
  });
}

function event(
  { name }: Context,
  call: Call,
  {
    type,
    action,
    subject,
    target,
  }: {
    type: 'ImagePushed' | 'ImageDeleted' | 'ChartPushed' | 'ChartDeleted';
    action: RegistryEvent['data']['action'];
    subject: string;
    target: Record<string, string | number>;
  },
): RegistryEvent {
  const time = new Date().toISOString();
  const resource = name.split('.', 1)[0]?.replaceAll(/[^a-zA-Z0-9]/g, '') ?? '';
  return {
    id: randomUUID(),
    type: `Microsoft.ContainerRegistry.${type}`,
    subject,
    time,
    topic: `/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/local/providers/Microsoft.ContainerRegistry/registries/${resource}`,
    data: {
      id: randomUUID(),
      timestamp: time,
      action,
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

/** As Event Grid delivers it: its own schema in an array, a CloudEvent by itself. */
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
