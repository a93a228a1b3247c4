import { isRecord, type Descriptor } from './descriptor.js';
import type { Digest } from './digest.js';
import { InputError } from './errors.js';
import { refuseFoldedInConfig } from './manifest-names.js';
import { bareMediaType, type ImageManifest, type Manifest } from './manifest.js';
import { DOCKER_IMAGE_CONFIG, DOCKER_MANIFEST, OCI_IMAGE_CONFIG } from './media-types.js';
import { remember } from './memo.js';
import { readBlob } from './content.js';
import { refuseRepeatedNames } from './strict-json.js';
import type { CallOptions, ReadableRepository } from './repository.js';
import { isAnyUnpackable } from './unpackable.js';

/** Maximum bytes of a config that is read to decide a manifest's kind. `TOO_LARGE` */
export const CONFIG_BYTES = 4 * 1024 * 1024;

/**
 * The kind of a manifest.
 * `index`: lists manifests.
 * `image`: has a file system that a container runtime unpacks.
 * `attestation`: all of its layers are in-toto.
 * `artifact`: anything else, for example Helm charts, files, signatures and Wasm modules.
 */
export type ContentKind = 'index' | 'image' | 'attestation' | 'artifact';

/**
 * Media types of layers that a runtime may unpack. containerd unpacks every type that starts with
 * `application/vnd.oci.image.layer.` (non-distributable, encrypted and nydus layers included) and EROFS. Docker and
 * podman unpack any type, so every tar counts as well. Layers of other types are read only if the config has an image's
 * media type: cosign signatures have one, and so does an image in disguise.
 */
const FILE_SYSTEM =
  /^application\/vnd\.oci\.image\.layer\.|^application\/vnd\.docker\..*rootfs|^application\/vnd\.erofs\.layer|[.+/-]g?tar(?:[.+-]|$)|^application\/octet-stream$/;
const IN_TOTO = /^application\/vnd\.in-toto[.+]/;

/** Config media types that Docker also accepts for an image, because old registries and clients sent them. */
const DOCKER_TAKES = new Set(['application/octet-stream', 'application/json', 'text/html']);

/** Digest of `{}`, the config of most artifacts. */
const EMPTY_CONFIG: Digest = 'sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a';

/** Kinds already determined by this process. A digest's content never changes, so its kind does not either. */
const remembered = new Map<string, ContentKind>();
/** Maximum number of remembered kinds; the oldest is dropped first. */
const REMEMBERED = 10_000;

/**
 * Determines the kind of a manifest from its content alone. Its descriptor, annotations and platform are ignored. Reads
 * the config (verified) only if a layer may be a file system, and reads layers only if the config has an image's media
 * type and no layer's media type is a file system.
 * @param digest the manifest's digest
 * @throws InputError `IMAGE_CONFIG_MISMATCH` if the config of an image does not list each layer; `MANIFEST_AMBIGUOUS`
 *   or `MANIFEST_INVALID` if clients read the config differently
 * @throws IntegrityError `TOO_LARGE` if the config exceeds `CONFIG_BYTES`
 * @throws any error of the repository
 */
export async function contentKindOf(
  repository: Pick<ReadableRepository, 'name' | 'openBlob'>,
  digest: Digest,
  manifest: Manifest,
  options: CallOptions = {},
): Promise<ContentKind> {
  if (manifest.kind !== 'image') return manifest.kind;
  // A manifest without `mediaType` has the media type that it was served with, so that is part of the key.
  const key = `${digest} ${manifest.mediaType}`;
  const known = remembered.get(key);
  if (known !== undefined) return known;
  const kind = await kindOfLayers(repository, digest, manifest, options);
  remember(remembered, key, kind, REMEMBERED);
  return kind;
}

async function kindOfLayers(
  repository: Pick<ReadableRepository, 'name' | 'openBlob'>,
  digest: Digest,
  manifest: ImageManifest,
  options: CallOptions,
): Promise<ContentKind> {
  const { config, layers } = manifest;
  if (!layers.some(isFileSystemLayer) && !(await isDisguised(repository, manifest, options))) {
    return layers.length > 0 && layers.every(isInToto) ? 'attestation' : 'artifact';
  }
  const where = `${repository.name}@${digest}`;
  const isEmpty = config.digest === EMPTY_CONFIG;
  const diffIds = isEmpty ? 0 : countDiffIds(await readBlob(repository, config, CONFIG_BYTES, options), where);
  if (diffIds === layers.length) return 'image';
  // A Helm chart or a folder has a config of its own type. podman runs an image even if its config lists no layer.
  if (diffIds === 0 && !isImageConfig(manifest)) return 'artifact';
  throw new InputError(
    'IMAGE_CONFIG_MISMATCH',
    `${where} has ${layers.length} ${layers.length === 1 ? 'layer' : 'layers'}, but its config lists ${diffIds} in rootfs.diff_ids`,
    { remedy: 'Rebuild the image: its config must list each layer once.' },
  );
}

/**
 * True if a runtime treats the manifest as an image because of its config and would unpack one of its layers, although
 * no layer has the media type of a file system.
 */
async function isDisguised(
  repository: Pick<ReadableRepository, 'openBlob'>,
  manifest: ImageManifest,
  options: CallOptions,
): Promise<boolean> {
  if (!isImageConfig(manifest) && !DOCKER_TAKES.has(bareMediaType(manifest.config.mediaType))) return false;
  return isAnyUnpackable(repository, manifest.layers, options);
}

/** True if the layer's media type is one of a file system, whatever the config says. */
export function isFileSystemLayer({ mediaType }: Pick<Descriptor, 'mediaType'>): boolean {
  return FILE_SYSTEM.test(bareMediaType(mediaType));
}

function isInToto({ mediaType }: Descriptor): boolean {
  return IN_TOTO.test(bareMediaType(mediaType));
}

/**
 * True if podman would run the manifest whatever its config contains. For an OCI manifest, podman checks only the
 * config's media type.
 */
function isImageConfig({ mediaType, config }: ImageManifest): boolean {
  const type = bareMediaType(config.mediaType);
  return mediaType === DOCKER_MANIFEST || type === OCI_IMAGE_CONFIG || type === DOCKER_IMAGE_CONFIG;
}

/**
 * The number of layers that a config lists; 0 if it is not an image's config. Like Go, it replaces bytes that are not
 * UTF-8.
 */
function countDiffIds(bytes: Uint8Array, where: string): number {
  const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    // go-containerregistry reads the object and ignores what follows it.
    if (!/^\s*\{/.test(text)) return 0;
    throw new InputError('MANIFEST_INVALID', `the config of ${where} starts like JSON but is not valid JSON`, {
      cause,
    });
  }
  if (!isRecord(json)) return 0;
  const config = `the config of ${where}`;
  refuseRepeatedNames(text, config);
  refuseFoldedInConfig(json, config);
  if (!isRecord(json.rootfs)) return 0;
  const { diff_ids: diffIds } = json.rootfs;
  return Array.isArray(diffIds) ? diffIds.length : 0;
}
