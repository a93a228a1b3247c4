import {
  OCI_EMPTY,
  parseManifest,
  type CallOptions,
  type Descriptor,
  type ImageIndex,
  type ReadableRepository,
  InputError,
} from '../oci/index.js';
import { platformOfConfig } from './platform.js';

/** Describes a manifest for an index: with its artifact type and the platform of its config. */
export async function describeEntry(
  repository: ReadableRepository,
  tagOrDigest: string,
  options: CallOptions = {},
): Promise<Descriptor> {
  const { bytes, descriptor } = await repository.fetchManifest(tagOrDigest, options);
  const { mediaType, digest, size } = descriptor;
  const manifest = parseManifest(bytes, mediaType, `${repository.name}@${digest}`);
  const config = manifest.kind === 'image' && manifest.config.mediaType !== OCI_EMPTY ? manifest.config : undefined;
  const platform = config && (await platformOfConfig(repository, config, options));
  const { artifactType } = manifest;
  return {
    mediaType,
    digest,
    size,
    ...(platform && { platform }),
    ...(artifactType !== undefined && { artifactType }),
  };
}

/** Fetches an index that is changed or merged. @throws InputError `NOT_AN_INDEX` */
export async function fetchIndex(
  repository: ReadableRepository,
  tagOrDigest: string,
  options: CallOptions = {},
): Promise<{ descriptor: Descriptor; index: ImageIndex }> {
  const { bytes, descriptor } = await repository.fetchManifest(tagOrDigest, options);
  const where = `${repository.name}@${descriptor.digest}`;
  const manifest = parseManifest(bytes, descriptor.mediaType, where);
  if (manifest.kind === 'index') return { descriptor, index: manifest };
  throw new InputError('NOT_AN_INDEX', `${tagOrDigest} is not an index: ${where} is ${descriptor.mediaType}`, {
    remedy: 'Name an image index, or create one from manifests (manifest index create).',
  });
}
