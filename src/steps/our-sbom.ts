import type { Descriptor, ReadableRepository } from '../oci/index.js';
import type { Rule, SourceRepository } from '../promotion/rule.js';
import type { StoredDigest } from '../runs/ports.js';
import { CYCLONEDX_JSON } from '../sbom/index.js';
import { findOurSignature } from './our-signature.js';
import type { Ports, StorePort } from './ports.js';

/** Whether what is made is signed. */
export interface SigningRule {
  sign: readonly Rule['sign'][number][];
}

/** The row by which an SBOM that we made is known wherever its copies go: its bytes name the repository it was made in. */
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
  const listed = await repository.listReferrers(image.digest, { artifactType: CYCLONEDX_JSON, signal });
  for (const sbom of listed) {
    if (ports.signer !== undefined && rule.sign.length > 0) {
      const signature = await findOurSignature(repository, sbom, ports.signer, ports.now(), signal);
      if (signature !== undefined) return sbom;
    } else {
      const { registry, repository: name } = source;
      const places = [{ registry, repository: name, digest: sbom.digest }, madeByUs(sbom.digest)];
      for (const place of places) if (await ports.store.isOurs(place)) return sbom;
    }
  }
  return undefined;
}
