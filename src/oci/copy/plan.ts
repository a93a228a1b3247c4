import type { Descriptor } from '../descriptor.js';
import type { Digest } from '../digest.js';
import { InputError } from '../errors.js';
import type { CallOptions, ReadableRepository } from '../store.js';
import { orderFromLeaves } from './order.js';
import type { LeftOut } from './walk-context.js';
import { walkGraph } from './walk.js';
import { REQUESTS_AT_ONCE } from './budget.js';

/** Bytes of manifests that a plan carries along; the rest is fetched once more when it is moved. */
export const PLAN_BYTES = 8 * 1024 * 1024;
/** Bytes of a manifest; a plan contains the content of no larger one. */
const PLAN_MANIFEST_BYTES = 256 * 1024;

/** Azure's artifact streaming: made anew by each registry, and of no use in another. */
export const ARTIFACT_STREAMING = 'application/vnd.azure.artifact.streaming.v1';

export interface GraphOptions extends CallOptions {
  /** Referrers too, their referrers, those of index children, and cosign's digest tags. Default: false. */
  recursive?: boolean;
  /** Artifact types of referrers to leave out, with all that refers to them. Default: {@link ARTIFACT_STREAMING}. */
  excludeArtifactTypes?: readonly string[];
  /**
   * For a promotion: of what refers to the graph, takes only artifacts, attestations and indexes of them. What is or holds an image, or
   * cannot be read for certain, is left out with what refers to it; so nothing is taken along that is not inventoried and signed. The
   * root's subject is not taken. Default: false, everything is copied.
   */
  artifactsOnly?: boolean;
  /** Requests at once, from 1; 32 by default. */
  concurrency?: number;
  /** Keeps what lists and the root say of manifests, for a layout's index. Default: false. */
  keepDescriptions?: boolean;
  /** A comparison: the destination is known to have the root, so that is not asked. Default: false. */
  isRootThere?: boolean;
  /** Told of each manifest of the source: how many were read, of how many that are known so far. */
  onWalked?: (done: number, total: number) => void;
}

/** One manifest to be copied, with what it is made of. */
export interface PlannedManifest {
  /** Media type, digest and size. */
  descriptor: Descriptor;
  /** As whoever lists it describes it: platform, annotations. Only where that was asked for. */
  described?: Descriptor;
  /** The bytes in base64, while the plan has room for them. */
  bytes?: string;
  /** Config, layers, blobs: those that are moved. */
  blobs: Descriptor[];
  /** Layers that are found elsewhere (`urls`): never moved. */
  foreign?: Descriptor[];
  /** Manifests of the plan that it lists. */
  children?: Digest[];
  /** What it refers to, in the plan or not. */
  subject?: Digest;
  artifactType?: string;
  /** Digest tags (`sha256-<hex>.sig`) under which it is found. */
  tags?: string[];
}

/** All that is to be there when a copy is complete. JSON: it can be kept and carried from one process to another. */
export interface CopyPlan {
  version: 1;
  /** The source's name, for messages. */
  source: string;
  root: Descriptor;
  /** From the leaves up: children before their index, subjects before their referrers. */
  manifests: PlannedManifest[];
  leftOut: LeftOut[];
  /** Distinct blobs that move. */
  blobCount: number;
  /** Of manifests and distinct blobs. */
  sizeBytes: number;
}

function isForeign({ urls = [] }: Descriptor): boolean {
  return urls.length > 0;
}

function sum(numbers: Iterable<number>): number {
  let total = 0;
  for (const number of numbers) total += number;
  return total;
}

/**
 * Finds all that is to be copied with a root. Every manifest is fetched once.
 * @throws CopyError `GRAPH_TOO_DEEP`, `GRAPH_TOO_WIDE`, `GRAPH_CYCLE`; InputError `MANIFEST_INVALID`; what the source throws.
 */
export async function planGraph(
  source: ReadableRepository,
  root: Descriptor,
  options: GraphOptions = {},
): Promise<CopyPlan> {
  const { nodes, leftOut } = await walkGraph(source, root, {
    recursive: options.recursive ?? false,
    artifactsOnly: options.artifactsOnly ?? false,
    excludeArtifactTypes: options.excludeArtifactTypes ?? [ARTIFACT_STREAMING],
    concurrency: options.concurrency ?? REQUESTS_AT_ONCE,
    keepBytes: PLAN_BYTES,
    keepManifestBytes: PLAN_MANIFEST_BYTES,
    ...(options.onWalked && { onWalked: options.onWalked }),
    ...(options.signal && { signal: options.signal }),
  });
  const ordered = orderFromLeaves(nodes, root.digest);
  const tags = new Map<Digest, string[]>();
  for (const { digestTags } of ordered) {
    for (const { tag, digest } of digestTags) tags.set(digest, [...(tags.get(digest) ?? []), tag]);
  }
  const manifests = ordered.map((node): PlannedManifest => {
    const foreign = node.blobs.filter(isForeign);
    const blobs = node.blobs.filter((blob) => !isForeign(blob));
    const digestTags = tags.get(node.descriptor.digest);
    return {
      descriptor: node.descriptor,
      ...(options.keepDescriptions === true && node.described && { described: node.described }),
      ...(node.bytes && { bytes: Buffer.from(node.bytes).toString('base64') }),
      blobs,
      ...(foreign.length > 0 && { foreign }),
      ...(node.children.length > 0 && { children: [...new Set(node.children)] }),
      ...(node.subject !== undefined && { subject: node.subject }),
      ...(node.artifactType !== undefined && { artifactType: node.artifactType }),
      ...(digestTags && { tags: digestTags }),
    };
  });
  return {
    version: 1,
    source: source.name,
    root: { mediaType: root.mediaType, digest: root.digest, size: root.size },
    manifests,
    leftOut,
    ...sumOf(manifests),
  };
}

/** What is to be moved for these manifests. */
export function sumOf(manifests: readonly PlannedManifest[]): Pick<CopyPlan, 'blobCount' | 'sizeBytes'> {
  const blobSizes = new Map(manifests.flatMap(({ blobs }) => blobs.map(({ digest, size }) => [digest, size] as const)));
  const manifestBytes = sum(manifests.map(({ descriptor }) => descriptor.size));
  return { blobCount: blobSizes.size, sizeBytes: sum(blobSizes.values()) + manifestBytes };
}

/** A plan that was kept as JSON. @throws InputError `PLAN_INVALID` where another version wrote it. */
export function parsePlan(text: string): CopyPlan {
  const plan = JSON.parse(text) as Partial<CopyPlan> | undefined;
  if (plan?.version === 1 && plan.root && Array.isArray(plan.manifests)) return plan as CopyPlan;
  throw new InputError('PLAN_INVALID', 'the kept plan of a copy was written by another version', {
    remedy: 'Plan the copy again.',
  });
}
