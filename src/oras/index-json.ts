import type { Descriptor, ImageIndex } from '../oci/index.js';
import { formatGoJson } from './go-json.js';

function isEmpty(record: object | undefined): boolean {
  return record === undefined || Object.keys(record).length === 0;
}

/** Keys in byte order, as Go writes maps. */
export function sortedByKey(record: Record<string, string>): Record<string, string> {
  const keys = Object.keys(record).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  return Object.fromEntries(keys.map((key) => [key, record[key] ?? '']));
}

/** A descriptor with the order of fields, and without the empty fields, of the Go clients. */
export function toGoDescriptor(descriptor: Descriptor): Record<string, unknown> {
  const { mediaType, digest, size, urls = [], annotations = {}, data = '', platform, artifactType = '' } = descriptor;
  return {
    mediaType,
    digest,
    size,
    ...(urls.length > 0 && { urls }),
    ...(!isEmpty(annotations) && { annotations: sortedByKey(annotations) }),
    ...(data !== '' && { data }),
    ...(platform && {
      platform: {
        architecture: platform.architecture,
        os: platform.os,
        ...(platform['os.version'] !== undefined && { 'os.version': platform['os.version'] }),
        ...(!isEmpty(platform['os.features']) && { 'os.features': platform['os.features'] }),
        ...(platform.variant !== undefined && { variant: platform.variant }),
      },
    }),
    ...(artifactType !== '' && { artifactType }),
  };
}

/** An index as compact JSON, with the same bytes as the Go clients write. */
export function encodeIndex(index: Omit<ImageIndex, 'kind'>): Uint8Array {
  const { mediaType, artifactType = '', manifests, subject, annotations = {} } = index;
  const json = formatGoJson({
    schemaVersion: 2,
    mediaType,
    ...(artifactType !== '' && { artifactType }),
    manifests: manifests.map(toGoDescriptor),
    ...(subject && { subject: toGoDescriptor(subject) }),
    ...(!isEmpty(annotations) && { annotations: sortedByKey(annotations) }),
  });
  return new TextEncoder().encode(json);
}
