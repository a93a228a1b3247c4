import {
  formatReference,
  mapConcurrently,
  planGraph,
  PolicyError,
  type CopyPlan,
  type Descriptor,
  type ReadableRepository,
} from '../../oci/index.js';
import { classifyGraph } from '../../evidence/classify.js';
import { attachedAt, missingAttachments, copiedKinds, type MissingAttachment } from '../../evidence/differences.js';
import { lookAtGate } from '../../evidence/gate-look.js';
import { destinationOf } from '../../rules/match.js';
import type { Rule } from '../../rules/rule.js';
import type { Image } from '../../evidence/contracts.js';
import { isThere } from '../../transfer/registry-access.js';
import { resolveTag } from '../../transfer/tag.js';
import { onTerminal } from '../output/status-line.js';
import type { Io } from '../io.js';
import { createLocalPorts } from './local-run.js';
import type { LocalPromotion } from './promote-tag.js';

/** Concurrent requests to the destination. */
const ASKED_AT_ONCE = 16;

/** The number of manifests and blobs, and their bytes. */
interface Counted {
  count: number;
  bytes: number;
}

/** What a promotion would do. Sizes are in bytes. */
export interface DryRun {
  rule: string;
  /** `registry/repository:tag`. */
  source: string;
  destination: string;
  /** The digest that would be promoted. */
  digest: string;
  /** Why the gate is closed; empty if it is open. */
  gate: string[];
  /**
   * What would be created and attached. To make an SBOM, `readBytes` of layers are read; its own size is not known yet.
   */
  attach: { label: string; digest: string; sbom: boolean; signature: boolean; readBytes: number }[];
  /** What would be uploaded to the destination, without the new attachments. */
  copy: Counted;
  /** Blobs that would be mounted from another repository of the destination's registry. */
  mount: Counted;
  /** What the destination has already. */
  exists: Counted;
  /** The digest that the destination tag names now. */
  replaces?: string;
}

/** One call does all the work, so nothing is kept. */
const HERE: Parameters<typeof lookAtGate>[1] = { once: (_what, work) => work(), stateOf: () => undefined };

/**
 * Finds out what a rule would do for a tag. Writes nothing.
 * @throws PolicyError `IS_REFERRER`; as the steps of a promotion
 */
export async function dryRun(
  { signal }: Pick<Io, 'signal'>,
  { rule, source, registries, signer }: LocalPromotion,
  root: Descriptor,
): Promise<DryRun> {
  const to = destinationOf(rule, source);
  const destination = formatReference(to);
  const ports = createLocalPorts(registries, signer);
  const from = registries.repository(source.registry, source.repository);
  const there = registries.repository(to.registry, to.repository);
  const graph = await classifyGraph(from, root, signal);
  if (graph.root.subject !== undefined) {
    throw new PolicyError('IS_REFERRER', `${formatReference(source)} refers to ${graph.root.subject.digest}`, {
      remedy: 'Promote its subject; this referrer is copied with the subject.',
    });
  }
  const { excludeArtifactTypes } = rule.referrers;
  const plan = await planGraph(from, root, { recursive: true, artifactsOnly: true, excludeArtifactTypes, signal });
  const at = attachedAt(rule, source, destination);
  const [missing, { decision: gate }, counts, now] = await Promise.all([
    missingAttachments(ports, rule, registries.repository(at.registry, at.repository), graph.images, signal),
    lookAtGate(ports, HERE, from, root, rule.verify.signatures, { signal }),
    countCopy(plan, there, source.registry === to.registry, signal),
    resolveTag({ registries }, to, signal),
  ]);
  // The copy comes before the attachments at the destination, and brings those of the source.
  const lacking =
    rule.attachTo === 'source'
      ? missing
      : await missingAfterCopy(missing, (images) => missingAttachments(ports, rule, from, images, signal), rule);
  return {
    rule: rule.name,
    source: formatReference(source),
    destination,
    digest: root.digest,
    gate: gate.passed ? [] : gate.reasons,
    attach: lacking.map(({ image: { label, digest }, ...lacks }) => ({
      label,
      digest,
      ...lacks,
      readBytes: lacks.sbom ? blobBytes(plan, digest) : 0,
    })),
    ...counts,
    ...(now !== undefined && { replaces: now.digest }),
  };
}

/** The attachments that neither the destination has nor the copy brings. */
async function missingAfterCopy(
  atDestination: readonly MissingAttachment[],
  atSource: (images: Image[]) => Promise<MissingAttachment[]>,
  rule: Rule,
): Promise<MissingAttachment[]> {
  const copied = copiedKinds(rule);
  const { signature } = copied;
  // If the rule signs, an SBOM counts only with its signature.
  const sbom = copied.sbom && (signature || rule.sign.length === 0);
  const here = await atSource(atDestination.map(({ image }) => image));
  return atDestination
    .map((each) => {
      const source = here.find(({ image }) => image.digest === each.image.digest);
      return {
        image: each.image,
        sbom: each.sbom && (!sbom || source?.sbom === true),
        signature: each.signature && (!signature || source?.signature === true),
      };
    })
    .filter((each) => each.sbom || each.signature);
}

function blobBytes({ manifests }: CopyPlan, digest: string): number {
  const blobs = manifests.find(({ descriptor }) => descriptor.digest === digest)?.blobs ?? [];
  return blobs.reduce((sum, { size }) => sum + size, 0);
}

async function countCopy(
  { manifests }: CopyPlan,
  destination: ReadableRepository,
  mounts: boolean,
  signal: AbortSignal,
): Promise<Pick<DryRun, 'copy' | 'mount' | 'exists'>> {
  const blobs = new Map(manifests.flatMap((each) => each.blobs.map((blob) => [blob.digest, blob] as const)));
  const nodes = [
    ...manifests.map(({ descriptor }) => ({ descriptor, isBlob: false })),
    ...[...blobs.values()].map((descriptor) => ({ descriptor, isBlob: true })),
  ];
  const counts = { copy: { count: 0, bytes: 0 }, mount: { count: 0, bytes: 0 }, exists: { count: 0, bytes: 0 } };
  await mapConcurrently(nodes, ASKED_AT_ONCE, async ({ descriptor, isBlob }) => {
    const has = isBlob
      ? await destination.hasBlob(descriptor, { signal })
      : await isThere(destination, descriptor, signal);
    const counted = counts[has ? 'exists' : isBlob && mounts ? 'mount' : 'copy'];
    counted.count += 1;
    counted.bytes += descriptor.size;
  });
  return counts;
}

/** The result as lines of text. */
export function dryRunLines(run: DryRun): string[] {
  const { rule, source, destination, digest, gate, attach, copy, mount, exists, replaces } = run;
  const counted = ({ count, bytes }: Counted, what = 'manifests and blobs'): string =>
    `${count} ${what}, ${bytes} bytes`;
  const isNeeded = attach.length + copy.count + mount.count > 0 || replaces !== digest;
  return [
    `${isNeeded ? 'Would promote' : 'Nothing to do'} [${onTerminal(rule)}] ${source} => ${destination}`,
    ...gate.map((reason) => `  gate    closed: ${onTerminal(reason)}`),
    ...attach.map(({ label, sbom, signature, readBytes }) => {
      const what = [
        ...(sbom ? [`SBOM (reads ${readBytes} bytes)`] : []),
        ...(signature ? [sbom ? 'signatures of both' : 'signature'] : []),
      ];
      return `  attach  ${onTerminal(label)}: ${what.join(', ')}`;
    }),
    `  copy    ${counted(copy)}`,
    `  mount   ${counted(mount, 'blobs')}`,
    `  exists  ${counted(exists)}`,
    `  tag     ${replaces === undefined ? 'does not exist yet' : replaces === digest ? 'has this digest already' : `replaces ${replaces}`}`,
    `Digest: ${digest}`,
  ];
}
