import { isRecord, type Descriptor } from './descriptor.js';
import type { Digest } from './digest.js';
import { InputError } from './errors.js';
import { refuseFoldedInConfig } from './manifest-names.js';
import { bareMediaType, type ImageManifest, type Manifest } from './manifest.js';
import { DOCKER_IMAGE_CONFIG, DOCKER_MANIFEST, OCI_IMAGE_CONFIG } from './media-types.js';
import { readBlob } from './read-blob.js';
import { refuseRepeatedNames } from './strict-json.js';
import type { CallOptions, ReadableRepository } from './store.js';
import { isAnyUnpackable } from './unpackable.js';

/** Bytes of an image's config, where it decides what a manifest is. `TOO_LARGE` */
export const CONFIG_BYTES = 4 * 1024 * 1024;

/**
 * What a manifest is. `index`: lists manifests. `image`: has a file system that a container runtime unpacks. `attestation`: all of
 * its layers are in-toto. `artifact`: anything else, such as Helm charts, files, signatures and Wasm.
 */
export type ContentKind = 'index' | 'image' | 'attestation' | 'artifact';

/**
 * Media types of layers that a runtime may unpack. containerd takes every type that begins with `application/vnd.oci.image.layer.`,
 * non-distributable, encrypted and nydus layers included, and EROFS's; Docker and podman take any type at all, so every tar counts,
 * too. Layers of other types are looked into if the config is an image's: cosign's signatures have one, and so has an image in disguise.
 */
const FILE_SYSTEM =
  /^application\/vnd\.oci\.image\.layer\.|^application\/vnd\.docker\..*rootfs|^application\/vnd\.erofs\.layer|[.+/-]g?tar(?:[.+-]|$)|^application\/octet-stream$/;
const IN_TOTO = /^application\/vnd\.in-toto[.+]/;

/** Config types that Docker takes for an image's besides the two that are: old registries and clients sent these. */
const DOCKER_TAKES = new Set(['application/octet-stream', 'application/json', 'text/html']);

/** `{}`, which most artifacts have for a config. */
const EMPTY_CONFIG: Digest = 'sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a';

/** Kinds that were found out in this process. What has a digest never changes. */
const remembered = new Map<string, ContentKind>();
/** Manifests whose kind is remembered; the oldest is forgotten first. */
const REMEMBERED = 10_000;

/**
 * Finds out what a manifest is from its content alone: neither its descriptor, nor an annotation, nor a platform is asked. Reads the
 * config, verified, only if a layer may be a file system; layers only if the config's type is an image's and no layer is one by its type.
 * @param digest the manifest's
 * @throws InputError `IMAGE_CONFIG_MISMATCH` for an image whose config does not list each layer, `MANIFEST_AMBIGUOUS` or
 *   `MANIFEST_INVALID` for a config that clients read differently; IntegrityError `TOO_LARGE` for a config over `CONFIG_BYTES`;
 *   what the repository throws
 */
export async function contentKindOf(
  repository: Pick<ReadableRepository, 'name' | 'openBlob'>,
  digest: Digest,
  manifest: Manifest,
  options: CallOptions = {},
): Promise<ContentKind> {
  if (manifest.kind !== 'image') return manifest.kind;
  // Without a mediaType of its own, a manifest is what it was served as.
  const key = `${digest} ${manifest.mediaType}`;
  const known = remembered.get(key);
  if (known !== undefined) return known;
  const kind = await kindOfLayers(repository, digest, manifest, options);
  if (remembered.size >= REMEMBERED) remembered.delete(remembered.keys().next().value ?? '');
  remembered.set(key, kind);
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
  // A chart or a folder has a config of its own. podman runs an image whose config lists no layer at all.
  if (diffIds === 0 && !isImageConfig(manifest)) return 'artifact';
  throw new InputError(
    'IMAGE_CONFIG_MISMATCH',
    `${where} has ${layers.length} layers, and its config lists ${diffIds} in rootfs.diff_ids`,
    { remedy: 'Build the image again: its config must list each layer once.' },
  );
}

/** True if runtimes take it for an image by its config, and would unpack a layer though its media type is none of a file system. */
async function isDisguised(
  repository: Pick<ReadableRepository, 'openBlob'>,
  manifest: ImageManifest,
  options: CallOptions,
): Promise<boolean> {
  if (!isImageConfig(manifest) && !DOCKER_TAKES.has(bareMediaType(manifest.config.mediaType))) return false;
  return isAnyUnpackable(repository, manifest.layers, options);
}

/** True for a layer that is a file system by its media type, whatever its config says. */
export function isFileSystemLayer({ mediaType }: Pick<Descriptor, 'mediaType'>): boolean {
  return FILE_SYSTEM.test(bareMediaType(mediaType));
}

function isInToto({ mediaType }: Descriptor): boolean {
  return IN_TOTO.test(bareMediaType(mediaType));
}

/** True if podman would run the manifest whatever its config says. It looks at an OCI manifest's config type only. */
function isImageConfig({ mediaType, config }: ImageManifest): boolean {
  const type = bareMediaType(config.mediaType);
  return mediaType === DOCKER_MANIFEST || type === OCI_IMAGE_CONFIG || type === DOCKER_IMAGE_CONFIG;
}

/** How many layers a config lists; 0 if it is no image's config. Decodes as Go does, which replaces what is not UTF-8. */
function countDiffIds(bytes: Uint8Array, where: string): number {
  const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    // go-containerregistry reads an object and ignores what comes after it.
    if (!/^\s*\{/.test(text)) return 0;
    throw new InputError('MANIFEST_INVALID', `the config of ${where} begins as JSON and is none`, { cause });
  }
  if (!isRecord(json)) return 0;
  const config = `the config of ${where}`;
  refuseRepeatedNames(text, config);
  refuseFoldedInConfig(json, config);
  if (!isRecord(json.rootfs)) return 0;
  const { diff_ids: diffIds } = json.rootfs;
  return Array.isArray(diffIds) ? diffIds.length : 0;
}
