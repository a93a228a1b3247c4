import { buffer } from 'node:stream/consumers';
import {
  DOCKER_IMAGE_CONFIG,
  isRecord,
  OCI_IMAGE_CONFIG,
  type Descriptor,
  type Manifest,
} from '../../../src/oci/index.js';
import type { Context } from '../context.js';
import type { Described } from '../storage/manifests.js';

/** The most bytes of a config blob that is read for its platform. A larger one has no platform here. */
const CONFIG_BYTES = 4 * 1024 * 1024;

/** What ACR's lists show of a manifest: size, platform, config media type and, for an index, its manifests. */
export async function describeManifest(context: Context, repository: string, manifest: Manifest): Promise<Described> {
  if (manifest.kind === 'index') {
    return {
      imageSize: sizeOf(manifest.manifests),
      references: manifest.manifests.map(({ digest, platform }) => ({
        digest,
        ...(platform !== undefined && { architecture: platform.architecture, os: platform.os }),
      })),
    };
  }
  if (manifest.kind === 'artifact') return { imageSize: sizeOf(manifest.blobs) };
  const { config, layers } = manifest;
  return {
    imageSize: sizeOf([config, ...layers]),
    configMediaType: config.mediaType,
    ...(await platformOf(context, repository, config)),
  };
}

function sizeOf(parts: Descriptor[]): number {
  return parts.reduce((sum, { size }) => sum + size, 0);
}

async function platformOf(
  { blobs }: Context,
  repository: string,
  { mediaType, digest }: Descriptor,
): Promise<{ architecture?: string; os?: string }> {
  const size = blobs.sizeOf(repository, digest);
  const isImage = mediaType === OCI_IMAGE_CONFIG || mediaType === DOCKER_IMAGE_CONFIG;
  if (!isImage || size === undefined || size === 0 || size > CONFIG_BYTES) return {};
  try {
    const config: unknown = JSON.parse((await buffer(blobs.read(digest, 0, size - 1))).toString('utf8'));
    if (!isRecord(config)) return {};
    const { architecture, os } = config;
    return {
      ...(typeof architecture === 'string' && { architecture }),
      ...(typeof os === 'string' && { os }),
    };
  } catch {
    // Not JSON: the image has no platform.
    return {};
  }
}
