import { parseObject, type Descriptor } from '../descriptor.js';
import type { Digest } from '../digest.js';
import type { CallOptions, ReadableRepository } from '../repository.js';
import { orderFromLeaves } from './order.js';
import type { LeftOut, Walked, WalkedNode, WalkOptions } from './walk-context.js';
import { walkGraph } from './walk.js';
import { REQUESTS_AT_ONCE } from './budget.js';

/** Maximum total bytes of manifests in a plan. The other manifests are fetched again when they are copied. */
export const PLAN_BYTES = 8 * 1024 * 1024;
/** Maximum bytes of one manifest in a plan. */
const PLAN_MANIFEST_BYTES = 256 * 1024;

/** Artifact type of Azure's artifact streaming. Each registry creates its own, so a copy is useless. */
export const ARTIFACT_STREAMING = 'application/vnd.azure.artifact.streaming.v1';

/** What belongs to a graph, for plans and comparisons. */
export interface GraphOptions extends CallOptions {
  /**
   * Includes referrers, their referrers, the referrers of an index's children, and cosign's digest tags. Default:
   * false.
   */
  recursive?: boolean;
  /**
   * Artifact types of referrers to leave out, together with everything that refers to them. Default: {@link
   * ARTIFACT_STREAMING}.
   */
  excludeArtifactTypes?: readonly string[];
  /**
   * For a promotion: takes only referrers that are artifacts, attestations or indexes of these, so that nothing travels
   * that has no SBOM and no signature. Leaves out a referrer that is or contains an image or cannot be read
   * unambiguously, together with its own referrers. Does not take the root's subject. Default: false, everything is
   * copied.
   */
  artifactsOnly?: boolean;
  /**
   * Referrers that were attached, by subject: they are taken even if the source does not list them. One that the source
   * does not have is left out as `gone`. Default: none.
   */
  attached?: ReadonlyMap<Digest, readonly { digest: Digest }[]> | undefined;
  /** Maximum concurrent requests, at least 1. Default: 32. */
  concurrency?: number;
  /** Keeps the platform and annotations of descriptors, for a layout's index. Default: false. */
  keepDescriptions?: boolean;
  /** For a comparison: the destination is known to have the root, so no request is made for it. Default: false. */
  isRootThere?: boolean;
  /** Called for each manifest of the source with the number of manifests read and the number known so far. */
  onWalked?: (done: number, total: number) => void;
}

/** One manifest to copy, and its content. */
export interface PlannedManifest {
  /** Media type, digest and size. */
  descriptor: Descriptor;
  /** The descriptor from the list that names it, with platform and annotations. Only with `keepDescriptions`. */
  described?: Descriptor;
  /** The bytes in base64, if the plan has room for them. */
  bytes?: string;
  /** Config, layers and blobs that are copied. */
  blobs: Descriptor[];
  /** Manifests of the plan that this index lists. */
  children?: Digest[];
  /** The manifest that it refers to, in the plan or not. */
  subject?: Digest;
  artifactType?: string;
  /** Digest tags (`sha256-<hex>.sig`) that point to it. */
  tags?: string[];
}

/**
 * Everything that the destination has when the copy is complete. JSON that can be stored and used by another process.
 */
export interface CopyPlan {
  version: 1;
  /** The source's name, used in messages. */
  source: string;
  root: Descriptor;
  /** From the leaves up: children before their index, subjects before their referrers. */
  manifests: PlannedManifest[];
  leftOut: LeftOut[];
  /** Number of distinct blobs to copy. */
  blobCount: number;
  /** Total bytes of manifests and distinct blobs. */
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

/** The manifests of a graph from the leaves up, each with the digest tags that point to it. */
export interface OrderedGraph extends Walked {
  ordered: { node: WalkedNode; tags?: string[] }[];
}

/** Walks a graph with the defaults of {@link GraphOptions} and sorts it. @throws as {@link planGraph} */
export async function walkInOrder(
  source: ReadableRepository,
  root: Descriptor,
  options: GraphOptions,
  how: Pick<WalkOptions, 'keepBytes' | 'keepManifestBytes' | 'isKnownLeaf'>,
): Promise<OrderedGraph> {
  const { recursive = false, artifactsOnly = false, concurrency = REQUESTS_AT_ONCE } = options;
  const { excludeArtifactTypes = [ARTIFACT_STREAMING], attached, onWalked, signal } = options;
  const walk = { ...how, recursive, artifactsOnly, excludeArtifactTypes, attached, concurrency, onWalked, signal };
  const walked = await walkGraph(source, root, walk);
  const sorted = orderFromLeaves(walked.nodes, root.digest);
  const tags = Map.groupBy(
    sorted.flatMap(({ digestTags }) => digestTags),
    ({ digest }) => digest,
  );
  const ordered = sorted.map((node) => {
    const own = tags.get(node.descriptor.digest)?.map(({ tag }) => tag);
    return { node, ...(own && { tags: own }) };
  });
  return { ...walked, ordered };
}

/**
 * Plans the copy of a root and its graph. Every manifest is fetched once.
 * @throws CopyError `GRAPH_TOO_DEEP`, `GRAPH_TOO_WIDE`, `GRAPH_CYCLE`
 * @throws InputError `MANIFEST_INVALID`
 * @throws any error of the source
 */
export async function planGraph(
  source: ReadableRepository,
  root: Descriptor,
  options: GraphOptions = {},
): Promise<CopyPlan> {
  const keep = { keepBytes: PLAN_BYTES, keepManifestBytes: PLAN_MANIFEST_BYTES };
  const { ordered, leftOut } = await walkInOrder(source, root, options, keep);
  const manifests = ordered.map(({ node, tags }): PlannedManifest => {
    const { descriptor, described, bytes, children, subject, artifactType } = node;
    const blobs = node.blobs.filter((blob) => !isForeign(blob));
    return {
      descriptor,
      ...(options.keepDescriptions === true && described && { described }),
      ...(bytes && { bytes: Buffer.from(bytes).toString('base64') }),
      blobs,
      ...(children.length > 0 && { children: [...new Set(children)] }),
      ...(subject !== undefined && { subject }),
      ...(artifactType !== undefined && { artifactType }),
      ...(tags && { tags }),
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

/** Number of distinct blobs and total bytes of these manifests. */
function sumOf(manifests: readonly PlannedManifest[]): Pick<CopyPlan, 'blobCount' | 'sizeBytes'> {
  const blobSizes = new Map(manifests.flatMap(({ blobs }) => blobs.map(({ digest, size }) => [digest, size] as const)));
  const manifestBytes = sum(manifests.map(({ descriptor }) => descriptor.size));
  return { blobCount: blobSizes.size, sizeBytes: sum(blobSizes.values()) + manifestBytes };
}

/** Parses a stored plan. Undefined if it is none of this version. */
export function parsePlan(bytes: Uint8Array): CopyPlan | undefined {
  const plan: Partial<CopyPlan> | undefined = parseObject(bytes);
  return plan?.version === 1 && plan.root && Array.isArray(plan.manifests) ? (plan as CopyPlan) : undefined;
}
