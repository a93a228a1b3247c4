import { findOurSignature } from './our-signature.js';
import {
  compareGraphs,
  isNothingMissing,
  parseReference,
  mapConcurrently,
  type Comparison,
  type Descriptor,
  type GraphOptions,
  type ReadableRepository,
} from '../oci/index.js';
import type { Rule, SourceRepository } from '../rules/rule.js';
import type { Image } from './contracts.js';
import { findOurSbom, refusedGaps } from './find-sbom.js';
import { plainClaim } from './signature-checks.js';
import type { Ports } from '../ports/ports.js';
import { LOOKED_AT_ONCE } from './classify.js';
import { SBOM_MEDIA_TYPES } from '../sbom/index.js';
import { NOTARY_SIGNATURE } from '../signing/index.js';

/** The repository to which a rule attaches SBOMs and signatures. */
export function attachedAt(rule: Rule, source: SourceRepository, destination: string): SourceRepository {
  const { registry, repository } = rule.attachTo === 'source' ? source : parseReference(destination);
  return { registry, repository };
}

/** The differences, and the graph at the source. */
export type GraphDifferences = Pick<Comparison, 'digests' | 'leftOut' | 'onBothSides'> & { differences: string[] };

/** What the destination lacks of a graph at the source, including referrers. */
export async function graphDifferences(
  rule: Rule,
  source: ReadableRepository,
  destination: ReadableRepository,
  root: Descriptor,
  signal: AbortSignal,
  options: Pick<GraphOptions, 'onWalked' | 'isRootThere'> = {},
): Promise<GraphDifferences> {
  const missing = await compareGraphs(source, destination, root, {
    recursive: true,
    artifactsOnly: true,
    excludeArtifactTypes: rule.referrers.excludeArtifactTypes,
    signal,
    ...options,
  });
  const { digests, leftOut, onBothSides } = missing;
  const compared = { digests, leftOut, onBothSides };
  if (isNothingMissing(missing)) return { differences: [], ...compared };
  const { manifests, unlisted, tags } = missing;
  const lacks = `${destination.name} lacks ${manifests.length} manifests, ${unlisted.length} referrers in its lists, ${tags.length} digest tags`;
  return { differences: [lacks], ...compared };
}

/**
 * A repository that resolves known digests without a request. An attachment that the source's registry lists, and that
 * the destination was asked for in this run, needs no further request to show that it exists.
 */
export function withResolved(
  repository: ReadableRepository,
  known: ReadonlyMap<string, Descriptor> = new Map(),
): ReadableRepository {
  return {
    name: repository.name,
    resolve: async (target, options) => known.get(target) ?? repository.resolve(target, options),
    fetchManifest: (target, options) => repository.fetchManifest(target, options),
    openBlob: (descriptor, options) => repository.openBlob(descriptor, options),
    hasBlob: (descriptor, options) => repository.hasBlob(descriptor, options),
    listReferrers: (digest, options) => repository.listReferrers(digest, options),
    listTags: (options) => repository.listTags(options),
  };
}

/** An image and its missing attachments. */
export interface MissingAttachment {
  image: Image;
  /** True if an SBOM is missing, or is not as the rule demands. */
  sbom: boolean;
  signature: boolean;
}

/** The images that lack an SBOM or a signature that the rule requires. Only attachments that verify count. */
export async function missingAttachments(
  ports: Pick<Ports, 'signer' | 'documents' | 'now'>,
  rule: Rule,
  at: ReadableRepository,
  images: readonly Image[],
  signal: AbortSignal,
): Promise<MissingAttachment[]> {
  const { signer } = ports;
  const looked = await mapConcurrently(images, LOOKED_AT_ONCE, async (image): Promise<MissingAttachment> => {
    let sbom = false;
    for (const format of image.sbom ? rule.sbom.formats : []) {
      const found = await findOurSbom(ports, rule, at, { image, format }, signal);
      // A run on an SBOM with a gap that the rule does not allow is refused.
      sbom ||= found === undefined || found.isOutdated === true || refusedGaps(found.facts ?? {}, rule.sbom).length > 0;
    }
    const signature =
      rule.sign.length > 0 &&
      (signer && (await findOurSignature(ports, at, plainClaim(image), signer, signal))) === undefined;
    return { image, sbom, signature };
  });
  return looked.filter(({ sbom, signature }) => sbom || signature);
}

/** The missing attachments as texts for people. */
export async function attachmentDifferences(...asked: Parameters<typeof missingAttachments>): Promise<string[]> {
  return (await missingAttachments(...asked)).map(({ image: { label }, sbom, signature }) => {
    const missing = [...(sbom ? ['SBOM'] : []), ...(signature ? ['signature'] : [])];
    return `${label} has no ${missing.join(' or ')} from this app yet`;
  });
}

/** The attachments that a copy by the rule takes along from the source. */
export function copiedKinds({ sbom, referrers: { excludeArtifactTypes } }: Rule): {
  sbom: boolean;
  signature: boolean;
} {
  return {
    sbom: sbom.formats.every((format) => !excludeArtifactTypes.includes(SBOM_MEDIA_TYPES[format])),
    signature: !excludeArtifactTypes.includes(NOTARY_SIGNATURE),
  };
}
