import type { Digest } from '../digest.js';
import { RegistryError } from '../errors.js';
import type { ReadableRepository } from '../repository.js';
import type { Budget } from './budget.js';
import { resolveIfThere } from './side.js';

/** Maximum tags that are listed to find digest tags. Beyond that, the tags of each digest are requested one by one. */
export const DIGEST_TAG_SCAN = 1000;

const SUFFIXES = ['att', 'sbom', 'sig'] as const;
const DIGEST_TAG = /^(sha256|sha512)-([0-9a-f]{64}|[0-9a-f]{128})\.(?:att|sbom|sig)$/;
/** A tag of the referrers tag schema: the digest with at most 64 hex digits. */
const SCHEMA_TAG = /^sha(?:256|512)-[0-9a-f]{64}$/;

/** True for a tag under which cosign stores content about a digest: `sha256-<hex>.sig`, `.att`, `.sbom`. */
export function isDigestTag(tag: string): boolean {
  return DIGEST_TAG.test(tag);
}

/** All tags of a repository that contain a digest. */
interface Scanned {
  /** Cosign's tags, by digest. */
  byDigest: Map<string, string[]>;
  /** Tags of the referrers tag schema. */
  schema: Set<string>;
}

/** Lists the tags. Undefined if the listing did not show all digest tags. */
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
      // In lexical order, no digest tag follows sha512-f…. A registry that does not sort could list one anywhere.
      return ordered && tag > 'sha512-g' ? found : undefined;
    }
    return found;
  } catch (error) {
    if (error instanceof RegistryError && error.notFound) return found;
    // Some registries and some tokens do not allow listing tags.
    if (error instanceof RegistryError && !error.transient) return undefined;
    throw error;
  }
}

/**
 * Finds digest tags with one listing of the repository's tags, usually a single request. If the listing does not show
 * all of them, it requests the three possible tags of each digest.
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
    // A failure is reported by `find`.
    this.#scanning.catch(() => undefined);
  }

  /** Cosign's tags for a digest. */
  async find(digest: Digest): Promise<string[]> {
    const scanned = await this.#scanning;
    if (scanned) return scanned.byDigest.get(digest) ?? [];
    const asked = await Promise.all(
      SUFFIXES.map(async (suffix) => {
        const tag = `${digest.replace(':', '-')}.${suffix}`;
        return (await this.#requests.run(
          () => resolveIfThere(this.#source, tag, { signal: this.#signal }),
          this.#signal,
        ))
          ? [tag]
          : [];
      }),
    );
    return asked.flat();
  }

  /** False if the digest has no referrers tag. One listing of tags saves a request for each digest. */
  async mayHaveSchemaTag(digest: Digest): Promise<boolean> {
    // A failure is reported by `find`.
    const scanned = await this.#scanning.catch(() => undefined);
    const [algorithm, hex = ''] = digest.split(':');
    return scanned?.schema.has(`${algorithm}-${hex.slice(0, 64)}`) ?? true;
  }
}
