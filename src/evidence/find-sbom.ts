import { mapConcurrently, type Descriptor, type Digest, type ReadableRepository } from '../oci/index.js';
import type { Ports } from '../ports/ports.js';
import type { Rule } from '../rules/rule.js';
import { SBOM_MEDIA_TYPES, type SbomFormat } from '../sbom/index.js';
import { isThere } from '../transfer/registry-access.js';
import { LOOKED_AT_ONCE } from './classify.js';
import { sbomsMadeOf } from './made-sboms.js';
import { findOurSignature } from './our-signature.js';
import { isOutdated, needsFacts, readFacts, type SbomDemands, type SbomFacts } from './sbom-facts.js';
import { sbomClaim } from './signature-checks.js';

/** Maximum SBOMs of one image without a record that are checked. Further ones are skipped. */
const MOST_FOREIGN_SBOMS = 100;

/** Which SBOMs a rule makes, and whether it signs attachments. */
export interface SbomRule {
  sign: readonly Rule['sign'][number][];
  sbom: SbomDemands & { formats: readonly SbomFormat[] };
}

/** An SBOM of this app. */
export interface OurSbom extends Descriptor {
  /** The app's signature of it, if the rule signs attachments. */
  signature?: Digest;
  /** What its manifest says, if the rule asks for it. */
  facts?: SbomFacts;
  /** True if the rule demands that it is made again. */
  isOutdated?: boolean;
}

/**
 * Finds the SBOM of an image by this app: this app's signature of it verifies and says that it is the SBOM of this
 * image. If the rule signs nothing, the record that was written before the push decides. SBOMs by others are left
 * alone. An SBOM that is listed but missing does not count.
 * @param onLate called if there is none, with the recorded SBOMs that are listed but missing
 */
export async function findOurSbom(
  ports: Pick<Ports, 'signer' | 'documents' | 'now'>,
  rule: SbomRule,
  repository: ReadableRepository,
  { image, format }: { image: Pick<Descriptor, 'digest'>; format: SbomFormat },
  signal: AbortSignal,
  onLate: (sboms: Digest[]) => Promise<void> = async () => {},
): Promise<OurSbom | undefined> {
  const options = { artifactType: SBOM_MEDIA_TYPES[format], artifactTypes: false, signal };
  const listed = await repository.listReferrers(image.digest, options);
  if (listed.length === 0) return undefined;
  const made = await sbomsMadeOf(ports, image);
  const digests = new Set<string>(listed.map(({ digest }) => digest));
  // Use the recorded descriptors: a list may have a wrong size or type.
  const recorded = made
    .filter(({ digest }) => digests.has(digest))
    .map(({ mediaType, digest, size }): Descriptor => ({ mediaType, digest, size }));
  let outdated: OurSbom | undefined;
  for await (const found of ourSboms(ports, rule, repository, { image, listed, recorded }, signal)) {
    if (!needsFacts(rule.sbom)) return found;
    const facts = await readFacts(repository, found, signal);
    if (!isOutdated(facts, rule.sbom)) return { ...found, facts };
    outdated ??= { ...found, facts, isOutdated: true };
  }
  if (outdated !== undefined) return outdated;
  const late: Digest[] = [];
  for (const sbom of recorded) if (!(await isThere(repository, sbom, signal))) late.push(sbom.digest);
  if (late.length > 0) await onLate(late);
  return undefined;
}

/** The SBOMs that are by this app and exist. The recorded ones come first, newest first. */
async function* ourSboms(
  ports: Pick<Ports, 'signer' | 'documents' | 'now'>,
  { sign }: SbomRule,
  repository: ReadableRepository,
  {
    image,
    listed,
    recorded,
  }: { image: Pick<Descriptor, 'digest'>; listed: readonly Descriptor[]; recorded: readonly Descriptor[] },
  signal: AbortSignal,
): AsyncGenerator<OurSbom> {
  const { signer } = ports;
  if (signer === undefined || sign.length === 0) {
    for (const sbom of recorded) if (await isThere(repository, sbom, signal)) yield sbom;
    return;
  }
  const noted = new Set<string>(recorded.map(({ digest }) => digest));
  // Anybody can attach any number of SBOMs. The recorded ones come first, and the number of others is limited.
  const others = listed.filter(({ digest }) => !noted.has(digest)).slice(0, MOST_FOREIGN_SBOMS);
  for (const some of [recorded, others]) {
    const signatures = await mapConcurrently(some, LOOKED_AT_ONCE, (sbom) =>
      findOurSignature(ports, repository, sbomClaim(sbom, image), signer, signal),
    );
    for (const [index, sbom] of some.entries()) {
      const signature = signatures[index]?.digest;
      if (signature !== undefined && (await isThere(repository, sbom, signal))) yield { ...sbom, signature };
    }
  }
}
