import {
  formatPlatform,
  isRecord,
  readBlob,
  InputError,
  DOCKER_IMAGE_CONFIG,
  OCI_IMAGE_CONFIG,
  parseManifest,
  type CallOptions,
  type Descriptor,
  type ManifestOptions,
  type Platform,
  type ReadableRepository,
  quoted,
  MANIFEST_BYTES,
} from '../oci/index.js';

/** A requested platform. Omitted parts match anything. */
export interface WantedPlatform {
  os: string;
  architecture: string;
  variant?: string;
  osVersion?: string;
}

/** Configs of other types may have fields with these names and another meaning. */
const IMAGE_CONFIGS = new Set<string>([OCI_IMAGE_CONFIG, DOCKER_IMAGE_CONFIG]);

const GO_ARCHITECTURES: Record<string, string> = { x64: 'amd64', ia32: '386' };

/**
 * Parses `os[/arch][/variant][:os_version]`. The default architecture is that of this machine.
 * @throws InputError `PLATFORM_INVALID`
 */
export function parsePlatform(text: string, thisArchitecture: string): WantedPlatform {
  const match = /^([a-z0-9]+)(?:\/([a-z0-9_]+)(?:\/([a-z0-9.]+))?)?(?::([\w.-]+))?$/i.exec(text);
  if (!match?.[1]) {
    throw new InputError('PLATFORM_INVALID', `${quoted(text)} is not a platform`, {
      remedy: 'Write it as os[/arch][/variant][:os_version], such as linux/arm64/v8.',
    });
  }
  const [, os, architecture, variant, osVersion] = match;
  return {
    os,
    architecture: architecture ?? GO_ARCHITECTURES[thisArchitecture] ?? thisArchitecture,
    ...(variant !== undefined && { variant }),
    ...(osVersion !== undefined && { osVersion }),
  };
}

function matches(platform: Platform | undefined, wanted: WantedPlatform): boolean {
  if (platform?.os !== wanted.os || platform.architecture !== wanted.architecture) return false;
  if (wanted.variant !== undefined && platform.variant !== wanted.variant) return false;
  return wanted.osVersion === undefined || platform['os.version'] === wanted.osVersion;
}

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

/** The platform that a config names, if it is an image's. */
export async function platformOfConfig(
  repository: ReadableRepository,
  config: Descriptor,
  options: CallOptions,
): Promise<Platform | undefined> {
  if (config.size > MANIFEST_BYTES) return undefined;
  const bytes = await readBlob(repository, config, MANIFEST_BYTES, options);
  try {
    return platformIn(JSON.parse(new TextDecoder().decode(bytes)));
  } catch {
    // The config of an artifact may be anything.
    return undefined;
  }
}

/**
 * The manifest for a platform: the child of an index, or the manifest itself if its config names the platform.
 * @throws InputError `PLATFORM_NOT_FOUND`
 */
export async function selectPlatform(
  repository: ReadableRepository,
  root: Descriptor,
  wanted: WantedPlatform,
  options: ManifestOptions = {},
): Promise<Descriptor> {
  const { bytes, descriptor } = await repository.fetchManifest(root, options);
  const where = `${repository.name}@${root.digest}`;
  const manifest = parseManifest(bytes, descriptor.mediaType, where);
  if (manifest.kind === 'index') {
    const child = manifest.manifests.find(({ platform }) => matches(platform, wanted));
    if (child) return child;
  } else if (
    manifest.kind === 'image' &&
    IMAGE_CONFIGS.has(manifest.config.mediaType) &&
    matches(await platformOfConfig(repository, manifest.config, options), wanted)
  ) {
    return root;
  }
  const has = manifest.kind === 'index' ? manifest.manifests.flatMap(({ platform }) => platform ?? []) : [];
  throw new InputError('PLATFORM_NOT_FOUND', `${where} has no manifest for ${formatPlatform(wanted)}`, {
    details: { platforms: has.map(formatPlatform) },
    remedy:
      has.length > 0
        ? `Choose one of its platforms: ${has.map(formatPlatform).join(', ')}.`
        : 'Leave --platform out: it is not an index with platforms.',
  });
}
