import type { Digest } from '../digest.js';
import { childrenOf, type Manifest } from '../manifest.js';

/**
 * What goes with a manifest out of a layout, as oras has it: all that refers to it, tagged or not, and of what these are made of
 * whatever has no tag and is named by no manifest that stays. What a referrer refers to is not made for it, and stays.
 * @param manifests all that the layout has
 * @returns the manifest first; each after everything that needs it
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
  // What is added on the way has its turn, too.
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
