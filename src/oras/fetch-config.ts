import {
  InputError,
  parseManifest,
  readBlob,
  type CallOptions,
  type Descriptor,
  type ReadableRepository,
} from '../oci/index.js';
import { selectPlatform, type WantedPlatform } from './platform.js';

/** The most bytes of a config. `TOO_LARGE` */
const CONFIG_BYTES = 16 * 1024 * 1024;

export interface FetchConfigOptions extends CallOptions {
  /** The child of an index whose config is fetched. */
  platform?: WantedPlatform;
}

/**
 * The descriptor of a manifest's config, as the manifest has it.
 * @throws InputError `CONFIG_NOT_FOUND` if it is not an image manifest, `PLATFORM_NOT_FOUND`
 */
export async function resolveConfig(
  repository: ReadableRepository,
  tagOrDigest: string,
  options: FetchConfigOptions = {},
): Promise<Descriptor> {
  const { platform, signal } = options;
  const call = { signal };
  const target = platform
    ? await selectPlatform(repository, await repository.resolve(tagOrDigest, call), platform, call)
    : tagOrDigest;
  const { bytes, descriptor } = await repository.fetchManifest(target, call);
  const manifest = parseManifest(bytes, descriptor.mediaType, `${repository.name}@${descriptor.digest}`);
  if (manifest.kind === 'image') return manifest.config;
  throw new InputError(
    'CONFIG_NOT_FOUND',
    `${repository.name}@${descriptor.digest} is not an image manifest, and has no config`,
    {
      ...(manifest.kind === 'index' && { remedy: 'Choose one of its manifests (--platform).' }),
    },
  );
}

/** The config's bytes, verified. @throws as {@link resolveConfig}; IntegrityError `TOO_LARGE` */
export function fetchConfig(
  repository: ReadableRepository,
  config: Descriptor,
  options: CallOptions = {},
): Promise<Uint8Array> {
  return readBlob(repository, config, CONFIG_BYTES, options);
}
