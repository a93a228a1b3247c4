import type { TagDetails } from '../oci/index.js';
import type { Rule } from '../rules/rule.js';
import type { Baseline, Part, Position } from './baseline.js';
import { everyTagOf, isTaken, repositoriesOf } from './source-repositories.js';
import { isToStop, addText, type Scan, SCANNED_TAGS } from './scan.js';
import type { Cursor } from './scan-cursor.js';
import { within } from './within.js';

/** How long a rule's first reading works in one round of the schedule, in milliseconds, and how many tags it lists in it. */
const BASELINE_MS = 15 * 60_000;
export const BASELINE_TAGS = 50_000;
/** Tags of one of its documents. */
export const BASELINE_PART_TAGS = 5_000;

/** How much of it was read in this round: tags, and milliseconds. */
type Spent = NonNullable<(Cursor & { at: 'rule' })['reading']>;

/**
 * Reads on what a rule's source holds, from where it was left, for as long as this call and this round may.
 * @returns how much this round has read, where the next call is to go on; undefined: it has come to its end, or this round has
 * had enough
 */
export async function readOn(
  scan: Scan,
  rule: Rule,
  baseline: Baseline,
  { tags, ms }: Spent = { tags: 0, ms: 0 },
): Promise<Spent | undefined> {
  const begunMs = scan.ports.now().getTime();
  const spent = { tags, ms };
  const isEnough = (): boolean => spent.tags >= BASELINE_TAGS || spent.ms >= BASELINE_MS;
  await within(scan.call.signal, BASELINE_MS, 'the first reading of its source', async (signal) => {
    const repositories = await baseline.repositories(() => repositoriesOf(scan.ports, rule, signal));
    do {
      const listing = new PartListing(scan, rule, { since: baseline.since, repositories });
      await baseline.add(() => listing.read(baseline.next, signal), repositories.at(-1) ?? '');
      spent.tags += listing.listed;
      spent.ms = ms + scan.ports.now().getTime() - begunMs;
      // What it has read is kept by now.
      if (listing.error !== undefined) throw listing.error;
    } while (baseline.next !== null && !isToStop(scan) && !isEnough());
  });
  if (baseline.next === null) return undefined;
  if (!isEnough()) return spent;
  addText(scan, `rule ${rule.name}: its source is read for the first time: ${baseline.size} tags so far`);
  return undefined;
}

/** One part of a first reading. */
class PartListing {
  readonly #scan: Scan;
  readonly #rule: Rule;
  readonly #sinceMs: number;
  readonly #repositories: readonly string[];
  /** Tags that were listed, whether the rule takes them or not. */
  listed = 0;
  /** What has broken it off: one repository that can't be read fails all, since its tags would count as new once it can. */
  error: unknown;

  constructor(scan: Scan, rule: Rule, { since, repositories }: { since: Date; repositories: readonly string[] }) {
    this.#scan = scan;
    this.#rule = rule;
    this.#sinceMs = since.getTime();
    this.#repositories = repositories;
  }

  /** @throws what breaks it off where nothing was read before; otherwise that is `error`, and what was read is given back */
  async read(from: Position | null, signal: AbortSignal): Promise<Part> {
    const tags: Part['tags'] = {};
    let next = from;
    // Tags, and repositories that have none: one at least in each part.
    let looked = 0;
    try {
      for (const repository of this.#repositories.filter((name) => from === null || name >= from.repository)) {
        const last = repository === from?.repository ? from.tag : undefined;
        if (last === undefined) next = { repository };
        if (looked > 0 && this.#isToEnd()) return { tags, next };
        const options = { signal, ...(last !== undefined && { last }) };
        for await (const listed of everyTagOf(this.#scan.ports, this.#rule, repository, options)) {
          if (isTaken(this.#rule, repository, listed.name) && !this.#isNew(listed))
            tags[`${repository}:${listed.name}`] = listed.digest;
          this.listed += 1;
          looked += 1;
          next = { repository, tag: listed.name };
          if (this.listed % SCANNED_TAGS === 0 && this.#isToEnd()) return { tags, next };
        }
        looked += 1;
      }
      return { tags, next: null };
    } catch (error) {
      if (looked === 0) throw error;
      this.error = error;
      return { tags, next };
    }
  }

  #isToEnd(): boolean {
    return this.listed >= BASELINE_PART_TAGS || isToStop(this.#scan);
  }

  /** Written since the rule was first read, as far as the registry tells. */
  #isNew({ updatedAt }: TagDetails): boolean {
    return Date.parse(updatedAt ?? '') >= this.#sinceMs;
  }
}
