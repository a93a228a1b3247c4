import type { Digest } from '../digest.js';
import { childrenOf, type Manifest } from '../manifest.js';

/**
 * The blobs to delete together with a manifest, as oras does: all of its referrers, tagged or not, and content of these
 * that has no tag and is used by no remaining manifest. The subject of a referrer stays.
 * @param manifests all manifests of the layout
 * @returns the manifest first; each digest follows everything that uses it
 */
export function unneededWithout(
  digest: Digest,
  manifests: ReadonlyMap<Digest, Manifest>,
  isTagged: (digest: Digest) => boolean,
): Digest[] {
  const users = new Map<Digest, Set<Digest>>();
  for (const [user, manifest] of manifests) {
    for (const used of namedBy(manifest)) users.set(used, (users.get(used) ?? new Set()).add(user));
  }
  const released = new Set<Digest>();
  const going = new Set<Digest>([digest]);
  // The loop also visits digests that are added to the set while it runs.
  for (const head of going) {
    for (const user of users.get(head) ?? []) if (manifests.get(user)?.subject?.digest === head) going.add(user);
    const manifest = manifests.get(head);
    if (manifest === undefined) continue;
    for (const child of childrenOf(manifest)) released.add(child.digest);
    for (const used of namedBy(manifest)) {
      const others = users.get(used);
      others?.delete(head);
      if (others?.size === 0 && released.has(used) && !isTagged(used)) going.add(used);
    }
  }
  return [...going];
}

function namedBy(manifest: Manifest): Digest[] {
  return [...childrenOf(manifest), ...(manifest.subject ? [manifest.subject] : [])].map((each) => each.digest);
}
