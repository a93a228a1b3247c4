import {
  digestOf,
  EMPTY_DESCRIPTOR,
  InputError,
  OCI_IMAGE_CONFIG,
  OCI_IMAGE_MANIFEST,
  type Descriptor,
  type OpenBody,
} from '../oci/index.js';
import { formatGoJson } from './go-json.js';
import { sortedByKey, toGoDescriptor } from './index-json.js';
import type { WantedPlatform } from './platform.js';

/** Content that can be pushed. It can be opened several times. */
export interface PackedContent {
  descriptor: Descriptor;
  open: OpenBody;
}

export interface ArtifactParts {
  layers: readonly PackedContent[];
  artifactType?: string | undefined;
  config?: PackedContent;
  /** Makes a config with this platform. */
  platform?: WantedPlatform | undefined;
  configAnnotations?: Record<string, string>;
  subject?: Descriptor;
  annotations?: Record<string, string>;
  /** The default of `org.opencontainers.image.created`, in seconds since 1970. */
  createdSeconds: number;
  /** In v1.0, the media type of the config is the artifact type. */
  imageSpec: 'v1.0' | 'v1.1';
}

export interface PackedManifest {
  /** With annotations and artifact type. */
  descriptor: Descriptor;
  bytes: Uint8Array;
  /** Config and layers, in the manifest's order. */
  contents: PackedContent[];
}

export const UNKNOWN_ARTIFACT = 'application/vnd.unknown.artifact.v1';
export const UNKNOWN_CONFIG = 'application/vnd.unknown.config.v1+json';
export const TITLE = 'org.opencontainers.image.title';
const CREATED = 'org.opencontainers.image.created';

/** @see https://www.rfc-editor.org/rfc/rfc6838#section-4.2 */
const MEDIA_TYPE = /^[A-Za-z0-9][\w!#$&\-^.+]{0,126}\/[A-Za-z0-9][\w!#$&\-^.+]{0,126}$/;
/** @see https://www.rfc-editor.org/rfc/rfc3339#section-5.6 */
const DATE_TIME = /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:[Zz]|[+-]\d{2}:\d{2})$/;

const encoder = new TextEncoder();

/** Content in memory. */
function contentOf(mediaType: string, bytes: Uint8Array, more: Partial<Descriptor> = {}): PackedContent {
  return {
    descriptor: { mediaType, digest: digestOf(bytes), size: bytes.length, ...more },
    open: async function* () {
      yield bytes;
    },
  };
}

function checkType(type: string): void {
  if (MEDIA_TYPE.test(type)) return;
  throw new InputError(
    'ARTIFACT_TYPE_INVALID',
    type === '' ? 'missing artifact type' : `invalid artifact type: ${JSON.stringify(type)} is not a media type`,
    { remedy: 'Write it as <type>/<subtype>, such as application/spdx+json.' },
  );
}

function makeConfig(parts: ArtifactParts): PackedContent {
  const { artifactType, platform, imageSpec } = parts;
  const annotations = parts.configAnnotations && { annotations: parts.configAnnotations };
  if (parts.config) {
    const { annotations: _title, ...descriptor } = parts.config.descriptor;
    return { ...parts.config, descriptor: { ...descriptor, ...annotations } };
  }
  if (platform) {
    const { architecture, os, osVersion, variant } = platform;
    const json = { architecture, os, 'os.version': osVersion, variant };
    return contentOf(OCI_IMAGE_CONFIG, encoder.encode(formatGoJson(json)), annotations);
  }
  const empty = encoder.encode('{}');
  if (imageSpec === 'v1.0') return contentOf(artifactType ?? UNKNOWN_CONFIG, empty, annotations);
  return contentOf(EMPTY_DESCRIPTOR.mediaType, empty, { ...EMPTY_DESCRIPTOR, ...annotations });
}

function annotate(parts: ArtifactParts): Record<string, string> {
  const created = parts.annotations?.[CREATED] ?? formatSeconds(parts.createdSeconds);
  if (!DATE_TIME.test(created) || Number.isNaN(Date.parse(created))) {
    throw new InputError(
      'ANNOTATION_INVALID',
      `invalid date and time format: ${CREATED} is ${JSON.stringify(created)}`,
      {
        remedy: 'Write it as 2026-01-31T12:00:00Z.',
      },
    );
  }
  return sortedByKey({ ...parts.annotations, [CREATED]: created });
}

function formatSeconds(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace(/\.\d+Z$/, 'Z');
}

/**
 * Packs content as an image manifest, as oras does. The same parts and creation time make the same bytes.
 * @throws InputError `ARTIFACT_TYPE_INVALID`, `ANNOTATION_INVALID`
 * @see https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md#guidelines-for-artifact-usage
 */
export function packManifest(parts: ArtifactParts): PackedManifest {
  const { artifactType, imageSpec } = parts;
  if (artifactType !== undefined) checkType(artifactType);
  const config = makeConfig(parts);
  checkType(config.descriptor.mediaType);
  // Since v1.1, an image without layers gets an empty layer.
  const isLayerless = parts.layers.length === 0 && imageSpec === 'v1.1';
  const layers = isLayerless ? [contentOf('', encoder.encode('{}'), EMPTY_DESCRIPTOR)] : parts.layers;
  const ownType = imageSpec === 'v1.1' ? artifactType : undefined;
  const annotations = annotate(parts);
  const bytes = encoder.encode(
    formatGoJson({
      schemaVersion: 2,
      mediaType: OCI_IMAGE_MANIFEST,
      ...(ownType !== undefined && { artifactType: ownType }),
      config: toGoDescriptor(config.descriptor),
      layers: layers.map(({ descriptor }) => toGoDescriptor(descriptor)),
      ...(parts.subject && {
        subject: { mediaType: parts.subject.mediaType, digest: parts.subject.digest, size: parts.subject.size },
      }),
      annotations,
    }),
  );
  return {
    descriptor: {
      mediaType: OCI_IMAGE_MANIFEST,
      digest: digestOf(bytes),
      size: bytes.length,
      annotations,
      artifactType: ownType ?? config.descriptor.mediaType,
    },
    bytes,
    contents: [config, ...layers],
  };
}
