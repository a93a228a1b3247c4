import { mapConcurrently, type Descriptor, type ReadableRepository } from '../oci/index.js';
import type { Rule, SourceRepository } from '../promotion/rule.js';
import type { StoredDigest } from '../runs/ports.js';
import { CYCLONEDX_JSON } from '../sbom/index.js';
import { STEP_LIMITS } from './limits.js';
import { findOurSignature } from './our-signature.js';
import type { Ports, StorePort } from './ports.js';

/** Whether what is made is signed. */
export interface SigningRule {
  sign: readonly Rule['sign'][number][];
}

/** The row by which an SBOM that we made is known wherever its copies go: its bytes name the source that it was made for. */
export function madeByUs(digest: string): StoredDigest {
  return { registry: '*', repository: '*', digest };
}

/**
 * The SBOM of an image that is ours: our signature over it verifies. Where the rule signs nothing, the rows that we wrote
 * before we pushed it count. Any other is somebody else's, and is left alone.
 */
export async function findOurSbom(
  ports: Pick<Ports, 'signer' | 'now'> & StorePort<'isOurs'>,
  rule: SigningRule,
  source: SourceRepository,
  repository: ReadableRepository,
  image: Descriptor,
  signal: AbortSignal,
): Promise<Descriptor | undefined> {
  const { registry, repository: name } = source;
  const listed = await repository.listReferrers(image.digest, { artifactType: CYCLONEDX_JSON, signal });
  const hasRow = await mapConcurrently(listed, STEP_LIMITS.lookedAtOnce, async ({ digest }) => {
    signal.throwIfAborted();
    return (
      (await ports.store.isOurs({ registry, repository: name, digest })) || (await ports.store.isOurs(madeByUs(digest)))
    );
  });
  const ours = listed.filter((_, index) => hasRow[index]);
  const { signer } = ports;
  if (signer === undefined || rule.sign.length === 0) return ours[0];
  // Anybody may attach any number: those of which we know come first, and heaps of others end somewhere.
  const others = listed.filter((_, index) => !hasRow[index]).slice(0, STEP_LIMITS.foreignSboms);
  for (const some of [ours, others]) {
    const signed = await mapConcurrently(some, STEP_LIMITS.lookedAtOnce, (sbom) =>
      findOurSignature(repository, sbom, signer, ports.now(), signal),
    );
    const found = some.find((_, index) => signed[index] !== undefined);
    if (found !== undefined) return found;
  }
  return undefined;
}
