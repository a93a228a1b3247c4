import type { Digest } from '../digest.js';
import { RegistryError } from '../errors.js';
import type { ReadableRepository } from '../store.js';
import type { Budget } from './budget.js';
import { resolveIfThere } from './resolve-if-there.js';

/** Tags read in search of digest tags; beyond, each digest's are asked for one by one. */
export const DIGEST_TAG_SCAN = 1000;

const SUFFIXES = ['att', 'sbom', 'sig'] as const;
const DIGEST_TAG = /^(sha256|sha512)-([0-9a-f]{64}|[0-9a-f]{128})\.(?:att|sbom|sig)$/;
/** The referrers tag schema's: the digest cut to 64 digits. */
const SCHEMA_TAG = /^sha(?:256|512)-[0-9a-f]{64}$/;

/** A tag by which cosign keeps what refers to a digest: `sha256-<hex>.sig`, `.att`, `.sbom`. */
export function isDigestTag(tag: string): boolean {
  return DIGEST_TAG.test(tag);
}

/** All tags of a repository that name a digest. */
interface Scanned {
  /** Cosign's, by digest. */
  byDigest: Map<string, string[]>;
  /** The referrers tag schema's. */
  schema: Set<string>;
}

/** Undefined where the listing did not show all of them. */
async function scan(source: ReadableRepository, signal: AbortSignal): Promise<Scanned | undefined> {
  const found: Scanned = { byDigest: new Map(), schema: new Set() };
  let seen = 0;
  let previous = '';
  let ordered = true;
  try {
    for await (const tag of source.listTags({ last: 'sha256-', signal })) {
      const match = DIGEST_TAG.exec(tag);
      if (match) {
        const digest = `${match[1]}:${match[2]}`;
        found.byDigest.set(digest, [...(found.byDigest.get(digest) ?? []), tag]);
      } else if (SCHEMA_TAG.test(tag)) found.schema.add(tag);
      ordered &&= tag > previous && tag > 'sha256-';
      previous = tag;
      seen += 1;
      if (seen < DIGEST_TAG_SCAN) continue;
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
 * Looks for tags that name digests with one listing of the repository's tags, which is one request nearly always; where that
 * can't show all of them, by asking for each of a digest's three.
 */
export class DigestTags {
  readonly #source: ReadableRepository;
  readonly #requests: Budget;
  readonly #signal: AbortSignal;
  readonly #scanning: Promise<Scanned | undefined>;

  constructor(source: ReadableRepository, requests: Budget, signal: AbortSignal) {
    this.#source = source;
    this.#requests = requests;
    this.#signal = signal;
    this.#scanning = requests.run(() => scan(source, signal), signal);
    // Whoever asks is told.
    this.#scanning.catch(() => undefined);
  }

  /** Cosign's tags of a digest. */
  async find(digest: Digest): Promise<string[]> {
    const scanned = await this.#scanning;
    if (scanned) return scanned.byDigest.get(digest) ?? [];
    const asked = await Promise.all(
      SUFFIXES.map(async (suffix) => {
        const tag = `${digest.replace(':', '-')}.${suffix}`;
        return (await resolveIfThere(this.#source, tag, this.#requests, this.#signal)) ? [tag] : [];
      }),
    );
    return asked.flat();
  }

  /** False if the referrers tag schema has no tag for the digest: one listing of tags spares a request for each digest. */
  async mayHaveSchemaTag(digest: Digest): Promise<boolean> {
    // Whoever looks for cosign's tags is told why it failed.
    const scanned = await this.#scanning.catch(() => undefined);
    const [algorithm, hex = ''] = digest.split(':');
    return scanned?.schema.has(`${algorithm}-${hex.slice(0, 64)}`) ?? true;
  }
}
