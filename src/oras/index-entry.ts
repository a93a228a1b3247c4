import {
  isRecord,
  OCI_EMPTY,
  parseManifest,
  readBlob,
  type CallOptions,
  type Descriptor,
  type ImageIndex,
  type Manifest,
  type Platform,
  type ReadableRepository,
  InputError,
  MANIFEST_BYTES,
} from '../oci/index.js';

/** The platform in an image config. Undefined if a field is not a string: then it is no image config. */
function platformIn(json: unknown): Platform | undefined {
  if (!isRecord(json)) return undefined;
  const { os = '', architecture = '', variant = '', 'os.version': version = '', 'os.features': features = [] } = json;
  if (typeof os !== 'string' || typeof architecture !== 'string') return undefined;
  if (typeof variant !== 'string' || typeof version !== 'string' || !Array.isArray(features)) return undefined;
  if (os === '' && architecture === '') return undefined;
  return {
    architecture,
    os,
    ...(version !== '' && { 'os.version': version }),
    ...(features.length > 0 && { 'os.features': features.filter((feature) => typeof feature === 'string') }),
    ...(variant !== '' && { variant }),
  };
}

async function platformOf(
  repository: ReadableRepository,
  manifest: Manifest,
  options: CallOptions,
): Promise<Platform | undefined> {
  if (manifest.kind !== 'image') return undefined;
  const { config } = manifest;
  if (config.mediaType === OCI_EMPTY || config.size > MANIFEST_BYTES) return undefined;
  const bytes = await readBlob(repository, config, MANIFEST_BYTES, options);
  try {
    return platformIn(JSON.parse(new TextDecoder().decode(bytes)));
  } catch {
    // The config of an artifact may be anything.
    return undefined;
  }
}

/** Describes a manifest for an index: with its artifact type and the platform of its config. */
export async function describeEntry(
  repository: ReadableRepository,
  tagOrDigest: string,
  options: CallOptions = {},
): Promise<Descriptor> {
  const { bytes, descriptor } = await repository.fetchManifest(tagOrDigest, options);
  const { mediaType, digest, size } = descriptor;
  const manifest = parseManifest(bytes, mediaType, `${repository.name}@${digest}`);
  const platform = await platformOf(repository, manifest, options);
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
