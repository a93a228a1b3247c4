import type { Digest } from '../digest.js';
import { RegistryError } from '../errors.js';
import type { ReadableRepository } from '../store.js';
import type { Budget } from './budget.js';
import { COPY_LIMITS } from './limits.js';
import { resolveIfThere } from './resolve-if-there.js';

const SUFFIXES = ['att', 'sbom', 'sig'] as const;
const DIGEST_TAG = /^(sha256|sha512)-([0-9a-f]{64}|[0-9a-f]{128})\.(?:att|sbom|sig)$/;

/** A tag by which cosign keeps what refers to a digest: `sha256-<hex>.sig`, `.att`, `.sbom`. */
export function isDigestTag(tag: string): boolean {
  return DIGEST_TAG.test(tag);
}

/** Names the digest tags of a digest that are there. */
export type FindDigestTags = (digest: Digest) => Promise<string[]>;

/** @returns tags by the digest they belong to, or undefined where the listing did not show all of them. */
async function scan(source: ReadableRepository, signal: AbortSignal): Promise<Map<string, string[]> | undefined> {
  const found = new Map<string, string[]>();
  let seen = 0;
  let previous = '';
  let ordered = true;
  try {
    for await (const tag of source.listTags({ last: 'sha256-', signal })) {
      const match = DIGEST_TAG.exec(tag);
      if (match) {
        const digest = `${match[1]}:${match[2]}`;
        found.set(digest, [...(found.get(digest) ?? []), tag]);
      }
      ordered &&= tag > previous && tag > 'sha256-';
      previous = tag;
      seen += 1;
      if (seen < COPY_LIMITS.digestTagScan) continue;
      // In lexical order, nothing of interest comes after sha512-f…; a registry without order could hide some anywhere.
      return ordered && tag > 'sha512-g' ? found : undefined;
    }
    return found;
  } catch (error) {
    if (error instanceof RegistryError && error.notFound) return found;
    // Some registries, and some tokens, do not let tags be listed.
    if (error instanceof RegistryError && !error.transient) return undefined;
    throw error;
  }
}

/**
 * Looks for digest tags with one listing of the repository's tags, which is one request nearly always; where that can't
 * show all of them, by asking for each of a digest's three.
 */
export function createDigestTagFinder(
  source: ReadableRepository,
  requests: Budget,
  signal: AbortSignal,
): FindDigestTags {
  const scanned = requests.run(() => scan(source, signal), signal);
  // Awaited by whoever asks; a failure before that is not unhandled.
  scanned.catch(() => undefined);
  return async (digest) => {
    const tags = await scanned;
    if (tags) return tags.get(digest) ?? [];
    const asked = await Promise.all(
      SUFFIXES.map(async (suffix) => {
        const tag = `${digest.replace(':', '-')}.${suffix}`;
        return (await resolveIfThere(source, tag, requests, signal)) ? [tag] : [];
      }),
    );
    return asked.flat();
  };
}
