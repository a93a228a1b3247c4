import {
  resolveIfThere,
  InputError,
  type CallOptions,
  type Descriptor,
  type Digest,
  type Repository,
} from '../oci/index.js';
import type { ArtifactAnnotations } from './annotations.js';
import type { FileReference } from './file-reference.js';
import type { FileSource } from './file-source.js';
import { loadFile, loadLayers, type LoadProgress } from './load-layers.js';
import { packManifest, UNKNOWN_ARTIFACT, UNKNOWN_CONFIG, type PackedManifest } from './pack-artifact.js';
import type { WantedPlatform } from './platform.js';
import { withTempFolder } from './file-system.js';
import type { Moving } from './moving.js';
import { uploadArtifact, type UploadOptions, type UploadProgress } from './upload.js';

export type PushProgress = LoadProgress | UploadProgress | Moving;

/** The repository of an artifact, and the source of its files. */
export interface PushPorts {
  repository: Repository;
  files: FileSource;
}

/** The options that push and attach have in common. */
export interface ArtifactOptions extends CallOptions {
  files: readonly FileReference[];
  artifactType?: string | undefined;
  annotations?: ArtifactAnnotations;
  config?: FileReference;
  /** Creation time of the artifact, in seconds since 1970. Default: 0, so that the same files make the same digest. */
  createdSeconds?: number;
  /** Blobs at once. Default: 5. */
  concurrency?: number | undefined;
  /** Accepts absolute paths. Default: false. */
  allowAbsolutePaths?: boolean;
  onProgress?: ((progress: PushProgress) => void) | undefined;
}

export interface PushOptions extends ArtifactOptions {
  /** Without tags it is pushed under its digest. */
  tags?: readonly string[];
  /** The digest that the artifact must have. */
  digest?: Digest | undefined;
  /** Makes a config with this platform. */
  platform?: WantedPlatform | undefined;
  /** Default: v1.1; with a config and no artifact type v1.0. */
  imageSpec?: 'v1.0' | 'v1.1' | undefined;
}

/** The pushed artifact. */
export interface Pushed {
  /** With annotations and artifact type. */
  descriptor: Descriptor;
  manifest: Uint8Array;
  tags: string[];
}

const CONCURRENCY = 5;

/** Packs the files of push and attach. The result can be uploaded until `work` ends. */
export function withPacked<T>(
  files: FileSource,
  options: ArtifactOptions & {
    platform?: WantedPlatform | undefined;
    imageSpec: 'v1.0' | 'v1.1';
    subject?: Descriptor;
  },
  work: (packed: PackedManifest, upload: UploadOptions) => Promise<T>,
): Promise<T> {
  const { config: configFile, onProgress, createdSeconds = 0, annotations, signal } = options;
  const call = { signal };
  return withTempFolder(async (tempFolder) => {
    const config = configFile && (await loadFile(files, configFile.path, configFile.mediaType ?? UNKNOWN_CONFIG, call));
    const layers = await loadLayers(files, options.files, {
      ...call,
      tempFolder,
      modifiedSeconds: createdSeconds,
      ...(annotations && { annotations }),
      ...(options.allowAbsolutePaths === true && { allowAbsolutePaths: true }),
      ...(onProgress && { onLoad: onProgress }),
    });
    const packed = packManifest({
      layers,
      createdSeconds,
      imageSpec: options.imageSpec,
      ...(options.artifactType !== undefined && { artifactType: options.artifactType }),
      ...(config && { config }),
      ...(options.platform && { platform: options.platform }),
      ...(annotations?.config && { configAnnotations: annotations.config }),
      ...(annotations?.manifest && { annotations: annotations.manifest }),
      ...(options.subject && { subject: options.subject }),
    });
    return work(packed, {
      ...call,
      concurrency: options.concurrency ?? CONCURRENCY,
      ...(onProgress && { onProgress }),
    });
  });
}

function chooseSpec({ imageSpec, config, artifactType, platform }: PushOptions): 'v1.0' | 'v1.1' {
  const spec = imageSpec ?? (config && artifactType === undefined ? 'v1.0' : 'v1.1');
  const fail = (message: string, remedy: string): never => {
    throw new InputError('OPTIONS_EXCLUSIVE', message, { remedy });
  };
  if (config && platform) {
    fail('--config, --artifact-platform cannot be used at the same time', 'Write the platform into the config.');
  }
  if (config && artifactType !== undefined && spec === 'v1.0') {
    fail(
      '--artifact-type and --config cannot both be provided for 1.0 OCI image',
      "Give the config's media type alone.",
    );
  }
  if (config && artifactType === undefined && spec === 'v1.1') {
    fail(
      'missing artifact type for OCI image-spec v1.1 artifacts',
      'set an artifact type via `--artifact-type` or consider image spec v1.0',
    );
  }
  return spec;
}

/**
 * Pushes files and folders as an artifact. The same files make the same digest; existing blobs are not sent again.
 * @throws InputError as `loadLayers` and `packManifest`; `OPTIONS_EXCLUSIVE`, `DIGEST_MISMATCH`
 */
export async function pushFiles({ repository, files }: PushPorts, options: PushOptions): Promise<Pushed> {
  const { tags = [], signal, digest } = options;
  const imageSpec = chooseSpec(options);
  const isUntyped = imageSpec === 'v1.1' && options.artifactType === undefined;
  return withPacked(
    files,
    { ...options, imageSpec, ...(isUntyped && { artifactType: UNKNOWN_ARTIFACT }) },
    async (packed, upload) => {
      const { descriptor } = packed;
      if (digest !== undefined && digest !== descriptor.digest) {
        throw new InputError('DIGEST_MISMATCH', `the files make ${descriptor.digest}, not ${digest}`, {
          remedy: 'Push to a tag, or to the digest that the files make.',
        });
      }
      const call = { signal };
      const [first] = tags;
      const existed = await uploadArtifact(repository, packed, {
        ...upload,
        ...(first !== undefined && { tag: first }),
      });
      for (const tag of tags) {
        if (!existed && tag === first) continue;
        // A push that changes nothing would still cause an event.
        if ((await resolveIfThere(repository, tag, call))?.digest === descriptor.digest) continue;
        await repository.pushManifest(packed.bytes, descriptor.mediaType, {
          ...call,
          tag,
          // As in oras, the first tag gets the description.
          ...(tag === first && { described: descriptor }),
        });
      }
      return { descriptor, manifest: packed.bytes, tags: [...tags] };
    },
  );
}
