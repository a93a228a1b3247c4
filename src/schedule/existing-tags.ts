import { createHash } from 'node:crypto';
import { z } from 'zod';
import { PromoterError, type TagDetails } from '../oci/index.js';
import type { Rule } from '../rules/rule.js';
import type { Existing } from '../rows/scan-row.js';
import type { Ports } from '../ports/ports.js';
import { everyTagOf, isTaken, mustPause, type RepositoryScan, SCANNED_TAGS } from './scan.js';

/** Tags per document. */
const PART_TAGS = 5_000;

const partSchema = z.object({
  /** Digests by tag. */
  tags: z.record(z.string(), z.string()),
  /** The tag after which the next part begins; null in the last part. */
  next: z.string().nullable(),
  /** The newest time of a tag when the recording started. */
  untilMs: z.number().optional(),
});
type Part = z.infer<typeof partSchema>;

type DocumentsPort = Pick<Ports, 'documents'>;

/**
 * The tags and digests that a repository had when the schedule first scanned it. A rule with `existing: ignore` does
 * not promote these.
 */
export class ExistingTags {
  readonly #ports: DocumentsPort;
  readonly #folder: string;
  readonly #parts: number;
  /** The part that was read last. The next tags are usually in the same part. */
  #open: { number: number; tags: Part['tags'] } | undefined;

  constructor(ports: DocumentsPort, rule: Rule, repository: string, { globs, parts }: Existing) {
    this.#ports = ports;
    this.#folder = folderOf(rule, repository, globs);
    this.#parts = parts;
  }

  /** Returns the recorded digests of these tags. */
  async digestsOf(tags: readonly string[]): Promise<ReadonlyMap<string, string>> {
    const found = new Map<string, string>();
    for (let count = 0; count < this.#parts && found.size < tags.length; count += 1) {
      // Start with the part of the last call: tags are asked for in the order in which they were recorded.
      const digests = await this.#tagsOf(((this.#open?.number ?? 0) + Math.min(count, 1)) % this.#parts);
      for (const tag of tags) {
        const digest = digests[tag];
        if (digest !== undefined) found.set(tag, digest);
      }
    }
    return found;
  }

  async #tagsOf(number: number): Promise<Part['tags']> {
    if (this.#open?.number !== number) {
      const part = await readPart(this.#ports, this.#folder, number);
      // Ignoring the missing part would promote every tag in it.
      if (part === undefined) throw incomplete(this.#folder, number);
      this.#open = { number, tags: part.tags };
    }
    return this.#open.tags;
  }
}

/**
 * Writes the next part, unless it exists: if two scans write it, or a crashed scan wrote it before, the first one
 * stays.
 * @param list makes the part
 * @returns the part that is kept
 */
async function keepPart(
  ports: DocumentsPort,
  rule: Rule,
  repository: string,
  { globs, parts }: Existing,
  list: () => Promise<Part>,
): Promise<Part> {
  const folder = folderOf(rule, repository, globs);
  const kept = await readPart(ports, folder, parts);
  if (kept !== undefined) return kept;
  const bytes = Buffer.from(JSON.stringify(await list()));
  return parse(await ports.documents.putIfAbsent('documents', `${folder}/${parts}.json`, bytes), partSchema);
}

/** Removes the recorded tags of a repository, so that they can be recorded again. */
export async function forgetExisting(
  { documents }: DocumentsPort,
  rule: { name: string; source: { registry: string } },
  repository: string,
  { globs }: Pick<Existing, 'globs'>,
): Promise<void> {
  await documents.removeAll('documents', `${folderOf(rule, repository, globs)}/`);
}

/** Removes everything that was recorded for a rule. */
export async function forgetRule({ documents }: DocumentsPort, rule: string): Promise<void> {
  await documents.removeAll('documents', `existing/${rule}/`);
}

/**
 * The source repositories that existed when the schedule first saw the rule. Their existing tags are recorded; every
 * tag of a repository created later is new.
 * @param now the source repositories that exist now
 */
export async function firstRepositories(
  { documents }: DocumentsPort,
  { name, source }: Rule,
  now: readonly string[],
): Promise<ReadonlySet<string>> {
  const key = `existing/${name}/${hash([source.registry, source.repositories])}.json`;
  const bytes = Buffer.from(JSON.stringify(now));
  const kept = (await documents.get('documents', key)) ?? (await documents.putIfAbsent('documents', key, bytes));
  return new Set(parse(kept, z.array(z.string())));
}

/** A hash of the rule's tag globs, 16 hex digits. */
export function globsHash({ source }: Rule): string {
  return hash(source.tags);
}

function folderOf(
  { name, source: { registry } }: { name: string; source: { registry: string } },
  repository: string,
  globs: string,
): string {
  return `existing/${name}/${hash([registry, repository])}-${globs}`;
}

async function readPart({ documents }: DocumentsPort, folder: string, number: number): Promise<Part | undefined> {
  const bytes = await documents.get('documents', `${folder}/${number}.json`);
  return bytes && parse(bytes, partSchema);
}

function incomplete(folder: string, number: number): PromoterError {
  return new PromoterError('BASELINE_INCOMPLETE', `part ${number} of ${folder} is missing`, {
    remedy: `Delete the documents in documents/${folder} and the repository's row in table runs, partition scan. The next scan then records all tags of the repository as existing, and does not promote them.`,
  });
}

function hash(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 16);
}

function parse<T>(bytes: Uint8Array, schema: z.ZodType<T>): T {
  return schema.parse(JSON.parse(Buffer.from(bytes).toString('utf8')));
}

/**
 * Records the tags of a repository, continuing where the last tick stopped, until this tick must stop. If the registry
 * gives times, tags written since the recording started are left out.
 * @returns true if the recording is complete
 */
export async function recordExisting(place: RepositoryScan, existing: Existing): Promise<boolean> {
  const { scan, rule, repository } = place;
  let after = place.state.full?.after;
  let known = existing;
  do {
    const part = await keepPart(scan.ports, rule, repository, known, () => listPart(place, known, after));
    // A host that died may have written the part without its row, so the recording may have started earlier.
    const untilMs = part.untilMs ?? known.untilMs;
    known = { ...known, parts: known.parts + 1, isWhole: part.next === null, untilMs };
    after = part.next ?? undefined;
    const { full } = place.state;
    place.state = {
      ...place.state,
      existing: known,
      full: full && after !== undefined ? { ...full, after } : undefined,
    };
  } while (!known.isWhole && !mustPause(place));
  return known.isWhole;
}

async function listPart(place: RepositoryScan, { untilMs }: Existing, after: string | undefined): Promise<Part> {
  const { scan, rule, repository, signal } = place;
  const tags: Part['tags'] = {};
  let listed = 0;
  const isNew = ({ updatedAt }: TagDetails): boolean =>
    untilMs !== undefined && updatedAt !== undefined && Date.parse(updatedAt) > untilMs;
  for await (const each of everyTagOf(scan.ports, rule, repository, { signal, last: after })) {
    if (isTaken(rule, repository, each.name) && !isNew(each)) tags[each.name] = each.digest;
    listed += 1;
    const isEnough = listed >= PART_TAGS || (listed % SCANNED_TAGS === 0 && mustPause(place));
    if (isEnough) return { tags, next: each.name, untilMs };
  }
  return { tags, next: null, untilMs };
}
