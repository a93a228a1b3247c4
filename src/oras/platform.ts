import {
  formatPlatform,
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

async function platformOfConfig(
  repository: ReadableRepository,
  config: Descriptor,
  options: CallOptions,
): Promise<Platform | undefined> {
  if (!IMAGE_CONFIGS.has(config.mediaType) || config.size > MANIFEST_BYTES) return undefined;
  const chunks: Uint8Array[] = [];
  for await (const chunk of await repository.openBlob(config, options)) chunks.push(chunk);
  try {
    const json = JSON.parse(Buffer.concat(chunks).toString('utf8')) as Partial<Platform> | null;
    const { os, architecture } = json ?? {};
    return typeof os === 'string' && typeof architecture === 'string' ? { ...json, os, architecture } : undefined;
  } catch {
    // The config of an artifact may be anything: it has no platform.
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
