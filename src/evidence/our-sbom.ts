import { mapConcurrently, type Descriptor, type ReadableRepository } from '../oci/index.js';
import type { Rule } from '../rules/rule.js';
import { CYCLONEDX_JSON } from '../sbom/index.js';
import { isThere } from '../transfer/is-there.js';
import { sbomsMadeOf } from './made-sboms.js';
import { findOurSignature } from './our-signature.js';
import type { Ports } from '../ports/ports.js';
import { sbomClaim } from './signed-claim.js';
import { LOOKED_AT_ONCE } from './classify.js';

/** SBOMs of one image that have no row of ours and are looked at all the same; later ones are passed over. */
const MOST_FOREIGN_SBOMS = 100;

/** Whether what is made is signed. */
export interface SigningRule {
  sign: readonly Rule['sign'][number][];
}

/**
 * The SBOM of an image that is ours: our signature over it verifies, and says that it is the SBOM of this image. Where the rule signs
 * nothing, what we noted before we pushed it counts. Any other is somebody else's, and is left alone; one that is listed and not there
 * is none.
 */
export async function findOurSbom(
  ports: Pick<Ports, 'signer' | 'documents' | 'now'>,
  rule: SigningRule,
  repository: ReadableRepository,
  image: Pick<Descriptor, 'digest'>,
  signal: AbortSignal,
): Promise<Descriptor | undefined> {
  const options = { artifactType: CYCLONEDX_JSON, artifactTypes: false, signal };
  const listed = await repository.listReferrers(image.digest, options);
  if (listed.length === 0) return undefined;
  const made = await sbomsMadeOf(ports, image);
  const digests = new Set<string>(listed.map(({ digest }) => digest));
  // As we made them: a list may lie about size and type.
  const ours: Descriptor[] = made.filter(({ digest }) => digests.has(digest));
  const { signer } = ports;
  if (signer === undefined || rule.sign.length === 0) return firstThere(repository, ours, signal);
  const noted = new Set<string>(ours.map(({ digest }) => digest));
  // Anybody may attach any number: those of which we know come first, and heaps of others end somewhere.
  const others = listed.filter(({ digest }) => !noted.has(digest)).slice(0, MOST_FOREIGN_SBOMS);
  for (const some of [ours, others]) {
    const signed = await mapConcurrently(some, LOOKED_AT_ONCE, (sbom) =>
      findOurSignature(ports, repository, sbomClaim(sbom, image), signer, signal),
    );
    const found = await firstThere(
      repository,
      some.filter((_, index) => signed[index] !== undefined),
      signal,
    );
    if (found !== undefined) return found;
  }
  return undefined;
}

async function firstThere(
  repository: ReadableRepository,
  sboms: readonly Descriptor[],
  signal: AbortSignal,
): Promise<Descriptor | undefined> {
  for (const sbom of sboms) if (await isThere(repository, sbom, signal)) return sbom;
  return undefined;
}
