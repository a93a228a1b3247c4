import { isRecord, parseDescriptor, type Descriptor } from '../descriptor.js';
import type { Digest } from '../digest.js';
import { CopyError } from '../errors.js';
import { COPY_LIMITS } from './limits.js';
import { foreignPlan, readPlan, type CopyPlan, type PlannedManifest } from './plan.js';

/** As much as one part of a copy does at most. */
export interface PartLimits {
  /** COPY_LIMITS.partBytes as it comes. */
  bytes?: number;
  /** COPY_LIMITS.partNodes as it comes. */
  nodes?: number;
  /** Blobs are mounted, and cost no time. As it comes: false. */
  mounts?: boolean;
}

/**
 * What one process does of a copy. JSON. `graph`: manifests with their blobs, or blobs alone, for {@link copyGraph}. `blob`: one
 * that is too large for one call, for {@link moveStretch}.
 */
export type CopyPart = { kind: 'graph'; plan: CopyPlan } | { kind: 'blob'; blob: Descriptor };

/** The parts of a wave need nothing of each other, and all of the waves before. */
export type CopyWave = CopyPart[];

interface Bounds {
  bytes: number;
  nodes: number;
  costOf: (blob: Descriptor) => number;
}

/** What is put into one part while there is room: each blob counts once in it. */
class Load {
  readonly manifests: PlannedManifest[] = [];
  readonly blobs = new Map<Digest, Descriptor>();
  #bytes = 0;
  readonly #bounds: Bounds;

  constructor(bounds: Bounds) {
    this.#bounds = bounds;
  }

  get isEmpty(): boolean {
    return this.manifests.length + this.blobs.size === 0;
  }

  /** More than there is room for: the one thing that it took while it was empty. */
  get isOver(): boolean {
    return this.#bytes > this.#bounds.bytes || this.manifests.length + this.blobs.size > this.#bounds.nodes;
  }

  /** @returns false where there is no room; an empty load takes anything. */
  add(manifests: readonly PlannedManifest[], alone: readonly Descriptor[] = []): boolean {
    const fresh = new Map<Digest, Descriptor>();
    for (const blob of [...manifests.flatMap(({ blobs }) => blobs), ...alone])
      if (!this.blobs.has(blob.digest)) fresh.set(blob.digest, blob);
    let bytes = this.#bytes;
    for (const blob of fresh.values()) bytes += this.#bounds.costOf(blob);
    for (const { descriptor } of manifests) bytes += descriptor.size;
    const nodes = this.manifests.length + this.blobs.size + manifests.length + fresh.size;
    if (!this.isEmpty && (bytes > this.#bounds.bytes || nodes > this.#bounds.nodes)) return false;
    this.#bytes = bytes;
    this.manifests.push(...manifests);
    for (const [digest, blob] of fresh) this.blobs.set(digest, blob);
    return true;
  }
}

/** Puts one thing after the other into loads; a new load where the last one has no room. */
function pack<T>(items: readonly T[], bounds: Bounds, put: (load: Load, item: T) => boolean): Load[] {
  const loads: Load[] = [];
  for (const item of items) {
    const last = loads.at(-1);
    if (last !== undefined && put(last, item)) continue;
    const load = new Load(bounds);
    put(load, item);
    loads.push(load);
  }
  return loads;
}

/** Blobs that are moved before all manifests: those of a manifest that has too many for one part, and large ones that many share. */
function blobsApart(plan: CopyPlan, bounds: Bounds): Map<Digest, Descriptor> {
  const apart = new Map<Digest, Descriptor>();
  const seen = new Set<Digest>();
  for (const { descriptor, blobs } of plan.manifests) {
    const own = new Map(blobs.map((blob) => [blob.digest, blob]));
    let bytes = descriptor.size;
    for (const blob of own.values()) bytes += bounds.costOf(blob);
    const isTooMuch = bytes > bounds.bytes || own.size >= bounds.nodes;
    for (const [digest, blob] of own) {
      const cost = bounds.costOf(blob);
      if (isTooMuch || (cost > COPY_LIMITS.sharedBlobBytes && seen.has(digest))) apart.set(digest, blob);
      seen.add(digest);
    }
  }
  return apart;
}

/** The manifests by how many others have to be there first: leaves, what lists them or refers to them, and so on. */
function levelsOf(manifests: readonly PlannedManifest[]): PlannedManifest[][] {
  const levels: PlannedManifest[][] = [];
  const levelOf = new Map<Digest, number>();
  // From the leaves up: what a manifest needs stands before it.
  for (const manifest of manifests) {
    const needs = [...(manifest.children ?? []), ...(manifest.subject === undefined ? [] : [manifest.subject])];
    let level = 0;
    for (const digest of needs) level = Math.max(level, (levelOf.get(digest) ?? -1) + 1);
    levelOf.set(manifest.descriptor.digest, level);
    (levels[level] ??= []).push(manifest);
  }
  return levels;
}

/** Joins neighbouring levels that fit into one part together: a copy of them goes from the leaves up by itself. */
function joinSmall(levels: readonly PlannedManifest[][], bounds: Bounds): PlannedManifest[][] {
  const joined: { manifests: PlannedManifest[]; load: Load }[] = [];
  for (const level of levels) {
    const last = joined.at(-1);
    if (last !== undefined && !last.load.isOver && last.load.add(level)) continue;
    const load = new Load(bounds);
    load.add(level);
    joined.push({ manifests: load.manifests, load });
  }
  return joined.map(({ manifests }) => manifests);
}

function partOf(plan: CopyPlan, { manifests, blobs }: Load): CopyPart {
  let sizeBytes = 0;
  for (const { size } of blobs.values()) sizeBytes += size;
  for (const { descriptor } of manifests) sizeBytes += descriptor.size;
  const { version, source, root } = plan;
  return {
    kind: 'graph',
    plan: {
      version,
      source,
      root,
      manifests,
      ...(manifests.length === 0 && { blobs: [...blobs.values()] }),
      leftOut: [],
      blobCount: blobs.size,
      sizeBytes,
    },
  };
}

/**
 * Splits a plan into parts that may be done by several processes: blobs first, as far as they are large or shared, then manifests
 * from the leaves up with what blobs are left, referrers after their subjects. A plan that is small enough is one part, the plan
 * itself. The same plan gives the same parts.
 * @throws CopyError `COPY_TOO_LARGE`
 */
export function splitPlan(plan: CopyPlan, limits: PartLimits = {}): CopyWave[] {
  const { bytes = COPY_LIMITS.partBytes, nodes = COPY_LIMITS.partNodes, mounts = false } = limits;
  // One that no part has room for is moved by itself, should it not be mounted.
  const isHuge = ({ size }: Descriptor): boolean => size > bytes;
  const bounds: Bounds = { bytes, nodes, costOf: (blob) => (mounts && !isHuge(blob) ? 0 : blob.size) };

  const whole = new Load(bounds);
  const isSmall =
    plan.manifests.every((manifest) => !manifest.blobs.some(isHuge) && whole.add([manifest])) && !whole.isOver;
  if (isSmall) return [[{ kind: 'graph', plan }]];

  const apart = blobsApart(plan, bounds);
  const first: CopyWave = [
    ...[...apart.values()].filter(isHuge).map((blob): CopyPart => ({ kind: 'blob', blob })),
    ...pack(
      [...apart.values()].filter((blob) => !isHuge(blob)),
      bounds,
      (load, blob) => load.add([], [blob]),
    ).map((load) => partOf(plan, load)),
  ];
  const manifests = plan.manifests.map((manifest) => ({
    ...manifest,
    blobs: manifest.blobs.filter(({ digest }) => !apart.has(digest)),
  }));
  const waves = [
    ...(first.length === 0 ? [] : [first]),
    ...joinSmall(levelsOf(manifests), bounds).map((level) =>
      pack(level, bounds, (load, manifest) => load.add([manifest])).map((load) => partOf(plan, load)),
    ),
  ];
  const count = waves.reduce((total, wave) => total + wave.length, 0);
  if (count > COPY_LIMITS.parts) {
    throw new CopyError(
      'COPY_TOO_LARGE',
      `the copy of ${plan.source}@${plan.root.digest} has ${count} parts; the most is ${COPY_LIMITS.parts}`,
      {
        details: { parts: count, limit: COPY_LIMITS.parts },
        remedy: 'Copy a part of it: one platform, or without referrers; or raise COPY_PART_BYTES.',
      },
    );
  }
  return waves;
}

/** A part that was kept as JSON. @throws InputError `PLAN_INVALID` where another version wrote it */
export function parsePart(text: string): CopyPart {
  const part: unknown = JSON.parse(text);
  if (isRecord(part) && part.kind === 'graph') return { kind: 'graph', plan: readPlan(part.plan) };
  if (isRecord(part) && part.kind === 'blob') return { kind: 'blob', blob: parseDescriptor(part.blob, 'a kept part') };
  throw foreignPlan();
}
