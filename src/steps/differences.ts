import {
  compareGraphs,
  isNothingMissing,
  parseReference,
  mapConcurrently,
  type Descriptor,
  type GraphOptions,
  type ReadableRepository,
} from '../oci/index.js';
import type { Rule, SourceRepository } from '../promotion/rule.js';
import { CYCLONEDX_JSON } from '../sbom/index.js';
import { NOTARY_SIGNATURE } from '../signing/index.js';
import type { Image } from './contracts.js';
import { STEP_LIMITS } from './limits.js';
import { findOurSbom } from './our-sbom.js';
import { findOurSignature } from './our-signature.js';
import type { Ports, StorePort } from './ports.js';

/** A repository, and how rows name it. */
export interface Place extends SourceRepository {
  content: ReadableRepository;
}

/** Where a rule wants SBOMs and signatures. */
export function attachedAt(rule: Rule, source: SourceRepository, destination: string): SourceRepository {
  const { registry, repository } = rule.attachTo === 'source' ? source : parseReference(destination);
  return { registry, repository };
}

/** What the destination lacks of a graph at the source, referrers and all. */
export async function graphDifferences(
  rule: Rule,
  source: ReadableRepository,
  destination: ReadableRepository,
  root: Descriptor,
  signal: AbortSignal,
  onWalked?: GraphOptions['onWalked'],
): Promise<string[]> {
  const missing = await compareGraphs(source, destination, root, {
    recursive: true,
    artifactsOnly: true,
    excludeArtifactTypes: rule.referrers.excludeArtifactTypes,
    signal,
    ...(onWalked && { onWalked }),
  });
  if (isNothingMissing(missing)) return [];
  const { manifests, unlisted, tags } = missing;
  return [
    `${destination.name} lacks ${manifests.length} manifests, ${unlisted.length} referrers in its lists, ${tags.length} digest tags`,
  ];
}

/** What the rule wants attached and isn't: an SBOM or a signature counts where it verifies. */
export async function attachmentDifferences(
  ports: Pick<Ports, 'signer' | 'now'> & StorePort<'isOurs'>,
  rule: Rule,
  at: Place,
  images: readonly Image[],
  signal: AbortSignal,
): Promise<string[]> {
  const lacking = await mapConcurrently(images, STEP_LIMITS.lookedAtOnce, async (image) => {
    const lacks: string[] = [];
    if (image.sbom && rule.sbom.formats.length > 0) {
      const sbom = await findOurSbom(ports, rule, at, at.content, image, signal);
      if (sbom === undefined) lacks.push(`${image.label} has no SBOM of ours`);
    }
    if (rule.sign.length > 0) {
      const signature = ports.signer && (await findOurSignature(at.content, image, ports.signer, ports.now(), signal));
      if (signature === undefined) lacks.push(`${image.label} is not signed by us`);
    }
    return lacks;
  });
  return lacking.flat();
}

/**
 * True where lists and rows alone show that all we attached is still there: what we pushed, under its subject. Cheaper than
 * verifying it, and no for what was copied from elsewhere.
 */
export async function isAllListed(
  ports: StorePort<'isOurs'>,
  rule: Rule,
  at: Place,
  images: readonly Image[],
  signal: AbortSignal,
): Promise<boolean> {
  const listsOurs = async (
    subject: Pick<Descriptor, 'digest'>,
    artifactType: string,
  ): Promise<Descriptor | undefined> => {
    for (const listed of await at.content.listReferrers(subject.digest, { signal })) {
      const { registry, repository } = at;
      if (listed.artifactType !== artifactType) continue;
      if (await ports.store.isOurs({ registry, repository, digest: listed.digest })) return listed;
    }
    return undefined;
  };
  const isSigned = async (subject: Pick<Descriptor, 'digest'>): Promise<boolean> =>
    rule.sign.length === 0 || (await listsOurs(subject, NOTARY_SIGNATURE)) !== undefined;
  for (const image of images) {
    if (!(await isSigned(image))) return false;
    if (!image.sbom || rule.sbom.formats.length === 0) continue;
    const sbom = await listsOurs(image, CYCLONEDX_JSON);
    if (sbom === undefined || !(await isSigned(sbom))) return false;
  }
  return true;
}
