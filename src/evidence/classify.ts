import {
  InputError,
  PolicyError,
  RegistryError,
  artifactTypeOf,
  contentKindOf,
  formatPlatform,
  isManifestMediaType,
  mapConcurrently,
  parseManifest,
  type ContentKind,
  type Descriptor,
  type Digest,
  type FetchedManifest,
  type Manifest,
  type ReadableRepository,
} from '../oci/index.js';
import type { Ports } from '../ports/ports.js';
import type { Image } from './contracts.js';

/** Maximum characters of a manifest's label in a run. The rest is cut off. */
const LABEL_CHARACTERS = 100;
/** Maximum manifests under one root that get an attachment. `TOO_MANY_IMAGES` */
const MOST_IMAGES = 100;
/** Maximum children of its indexes that are no manifests, such as the layers of a build cache. `TOO_MANY_IMAGES` */
const MOST_OTHER_CHILDREN = 1_000;
/** Maximum bytes of all manifests under one root. Most steps of a run read each manifest again. `TOO_MANY_IMAGES` */
export const MANIFEST_BYTES_IN_ALL = 16 * 1024 * 1024;
/** How many images of one index, with their SBOMs, are checked at once. */
export const LOOKED_AT_ONCE = 16;

/** One manifest of a graph, as it was fetched. The entry in the index is only compared with it. */
interface Node {
  descriptor: Pick<Descriptor, 'mediaType' | 'digest' | 'size'>;
  manifest: Manifest;
  kind: ContentKind;
  /** Its platform as the index names it, for messages. */
  platform?: string;
}

export interface Graph {
  root: Manifest;
  /** The manifests that get attachments: the root first, then level by level. Each has a unique label. */
  images: Image[];
  /** All manifests, including those without attachments. */
  digests: Digest[];
}

/**
 * Reads the graph under a root and decides from the content of each manifest whether it gets an SBOM. An attestation
 * that refers to another child of its index (BuildKit's default) is part of the graph and gets no attachment.
 * @throws PolicyError `REFERRER_IN_INDEX`, `DESCRIPTOR_MISMATCH`; InputError `TOO_MANY_IMAGES`,
 * `IMAGE_CONFIG_MISMATCH`, `MANIFEST_INVALID`
 */
export async function classifyGraph(
  repository: ReadableRepository,
  root: Descriptor,
  signal: AbortSignal,
): Promise<Graph> {
  const room = { bytes: MANIFEST_BYTES_IN_ALL };
  const first = await readNode(repository, root, room, signal);
  const nodes = new Map<Digest, Node>([[root.digest, first]]);
  /** Children that are no manifests in the registry, such as the layers of a build cache. */
  const blobs = new Set<Digest>();
  for (let level = [first]; level.length > 0;) {
    const listed = level.flatMap(({ manifest }) => (manifest.kind === 'index' ? manifest.manifests : []));
    // An index may list one manifest twice.
    const fresh = [...new Map(listed.map((child) => [child.digest, child])).values()].filter(
      ({ digest }) => !nodes.has(digest) && !blobs.has(digest),
    );
    const manifests = fresh.filter(({ mediaType }) => isManifestMediaType(mediaType)).length;
    checkCount(repository, root, nodes.size - 1 + manifests, MOST_IMAGES);
    checkCount(repository, root, blobs.size + fresh.length - manifests, MOST_OTHER_CHILDREN);
    const read = await mapConcurrently(fresh, LOOKED_AT_ONCE, (child) => readChild(repository, child, room, signal));
    level = read.filter((node) => node !== undefined);
    for (const node of level) nodes.set(node.descriptor.digest, node);
    for (const [index, { digest }] of fresh.entries()) if (read[index] === undefined) blobs.add(digest);
    checkCount(repository, root, nodes.size - 1, MOST_IMAGES);
  }
  for (const node of nodes.values()) checkChildren(repository, node, nodes);
  const attached = [...nodes.values()].filter(({ manifest }, index) => index === 0 || manifest.subject === undefined);
  return { root: first.manifest, images: withLabelsApart(attached.map(imageOf)), digests: [...nodes.keys()] };
}

function checkCount(repository: ReadableRepository, root: Descriptor, count: number, most: number): void {
  if (count <= most) return;
  throw new InputError(
    'TOO_MANY_IMAGES',
    `${repository.name}@${root.digest} has at least ${count} children; the maximum is ${most}`,
    { remedy: 'Split the index.' },
  );
}

async function readNode(
  repository: ReadableRepository,
  { digest, platform }: Pick<Descriptor, 'digest' | 'platform'>,
  room: { bytes: number },
  signal: AbortSignal,
  fetched?: FetchedManifest,
): Promise<Node> {
  const { bytes, descriptor } = fetched ?? (await repository.fetchManifest(digest, { signal }));
  room.bytes -= bytes.length;
  if (room.bytes < 0) {
    throw new InputError(
      'TOO_MANY_IMAGES',
      `the manifests of the graph of ${repository.name}@${digest} have more than ${MANIFEST_BYTES_IN_ALL} bytes in total`,
      { remedy: 'Split the index.' },
    );
  }
  const manifest = parseManifest(bytes, descriptor.mediaType, `${repository.name}@${digest}`);
  return {
    descriptor: {
      // If the registry does not return a media type, take the one in the manifest.
      mediaType: isManifestMediaType(descriptor.mediaType) ? descriptor.mediaType : manifest.mediaType,
      digest,
      size: bytes.length,
    },
    manifest,
    kind: await contentKindOf(repository, digest, manifest, { signal }),
    ...(platform !== undefined && { platform: formatPlatform(platform) }),
  };
}

/** Undefined if the child is no manifest. Like Podman, requests a manifest whatever media type the index names. */
async function readChild(
  repository: ReadableRepository,
  child: Descriptor,
  room: { bytes: number },
  signal: AbortSignal,
): Promise<Node | undefined> {
  let fetched: FetchedManifest;
  try {
    fetched = await repository.fetchManifest(child.digest, { signal });
  } catch (error) {
    if (!isManifestMediaType(child.mediaType) && error instanceof RegistryError && error.notFound) return undefined;
    throw error;
  }
  return readNode(repository, child, room, signal, fetched);
}

/** Compares the entries of an index with its children. */
function checkChildren(repository: ReadableRepository, parent: Node, nodes: ReadonlyMap<Digest, Node>): void {
  if (parent.manifest.kind !== 'index') return;
  const siblings = new Set(parent.manifest.manifests.map(({ digest }) => digest));
  const where = `${repository.name}@${parent.descriptor.digest}`;
  for (const child of parent.manifest.manifests) {
    const node = nodes.get(child.digest);
    if (node === undefined) continue;
    const { mediaType, size } = node.descriptor;
    if (mediaType !== child.mediaType || size !== child.size) {
      throw new PolicyError(
        'DESCRIPTOR_MISMATCH',
        `${where} lists ${child.digest} as ${child.mediaType} of ${child.size} bytes; it is ${mediaType} of ${size} bytes`,
        { remedy: 'Build the index again from the manifests that it lists.' },
      );
    }
    const subject = node.manifest.subject?.digest;
    if (subject === undefined) continue;
    if (node.kind === 'attestation' && subject !== child.digest && siblings.has(subject)) continue;
    throw new PolicyError(
      'REFERRER_IN_INDEX',
      `${where} lists ${child.digest}, which refers to ${subject} but is not an attestation of another child`,
      { remedy: 'Build the index again without it, and attach it to its subject, with oras attach for example.' },
    );
  }
}

function imageOf({ descriptor, manifest, kind, platform }: Node): Image {
  const { label, why } = describe(kind, manifest, platform);
  return {
    ...descriptor,
    // The label may be a media type, which can be any text of any length.
    label: label.slice(0, LABEL_CHARACTERS),
    sbom: kind === 'image',
    ...(why !== undefined && { why: why.slice(0, 2 * LABEL_CHARACTERS) }),
  };
}

/** The label of a manifest in a run, and the reason why it gets no SBOM. */
function describe(kind: ContentKind, manifest: Manifest, platform = 'image'): { label: string; why?: string } {
  switch (kind) {
    case 'image':
      return { label: platform };
    case 'index':
      return { label: 'index', why: 'an index: each of its images gets an SBOM of its own' };
    case 'attestation':
      return { label: 'attestation', why: 'an attestation: it has no file system' };
    case 'artifact': {
      const type = artifactTypeOf(manifest) ?? 'artifact';
      return { label: type, why: `not an image: ${type}` };
    }
  }
}

/**
 * Makes labels unique, because they identify the parts of a step. Two images of one platform get their digests added.
 */
function withLabelsApart(images: readonly Image[]): Image[] {
  const counts = new Map<string, number>();
  for (const { label } of images) counts.set(label, (counts.get(label) ?? 0) + 1);
  return images.map((image) =>
    counts.get(image.label) === 1
      ? image
      : { ...image, label: `${image.label} ${image.digest.slice(0, 'sha256:'.length + 12)}` },
  );
}

/** Maximum levels of referrers of referrers that are followed to their subjects. */
const MOST_LEVELS = 16;

/**
 * The subjects above a manifest, nearest first; none if it refers to nothing. `missing` is the first subject that does
 * not exist.
 */
export async function subjectsAbove(
  ports: Pick<Ports, 'registries'>,
  { registry, repository }: { registry: string; repository: string },
  digest: string,
  signal: AbortSignal,
): Promise<{ subjects: string[]; missing?: string }> {
  const repositoryOf = ports.registries.repository(registry, repository);
  const subjects: string[] = [];
  let next: string | undefined = digest;
  for (let level = 0; next !== undefined && level < MOST_LEVELS; level += 1) {
    const reading: string = next;
    try {
      const { bytes, descriptor } = await repositoryOf.fetchManifest(reading, { signal });
      next = parseManifest(bytes, descriptor.mediaType, `${registry}/${repository}@${reading}`).subject?.digest;
    } catch (error) {
      // The subject was deleted, or is not pushed yet.
      if (error instanceof RegistryError && error.notFound) return { subjects, missing: reading };
      // The manifest cannot be parsed. Return the subjects so far; a run on the tag itself reports what is wrong.
      if (!(error instanceof InputError)) throw error;
      next = undefined;
    }
    if (next !== undefined) {
      if (subjects.includes(next)) break;
      subjects.push(next);
    }
  }
  return { subjects };
}
