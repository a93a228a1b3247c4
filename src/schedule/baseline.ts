import { createHash } from 'node:crypto';
import { z } from 'zod';
import { PromoterError } from '../oci/index.js';
import type { Rule } from '../rules/rule.js';
import type { Ports } from '../ports/ports.js';

/** Where a rule's first reading stands: before a repository, or after a tag of it. */
const positionSchema = z.object({ repository: z.string(), tag: z.string().optional() });
export type Position = z.infer<typeof positionSchema>;

/** When the schedule first read the rule; `whole`: one document has all of it, as they were written once. */
const begunSchema = z.object({ since: z.string(), whole: z.boolean().default(false) });
const digestsSchema = z.record(z.string(), z.string());
const partSchema = z.object({
  /** By `repository:tag`. */
  tags: digestsSchema,
  /** Where the next part begins; null: this is the last one. */
  next: positionSchema.nullable(),
});
export type Part = z.infer<typeof partSchema>;
/** Which repositories each part has tags of, from the first to the last. */
const indexSchema = z.object({
  parts: z.array(z.object({ first: z.string(), last: z.string(), tags: z.number() })),
  next: positionSchema.nullable(),
});
type Index = z.infer<typeof indexSchema>;

type DocumentsPort = Pick<Ports, 'documents'>;
type BaselinePorts = DocumentsPort & Pick<Ports, 'now'>;

/**
 * The tags and digests that a rule's source held when the schedule first read the rule: what a rule with `existing: ignore` leaves
 * alone. It is kept in parts, each of which stays as it was written first: docs/decisions/schedule.md.
 */
export class Baseline {
  readonly #ports: DocumentsPort;
  readonly #name: string;
  readonly #isWhole: boolean;
  #index: Index;
  /** The part that was looked into last: the next tags are in it mostly. */
  #open: { number: number; tags: Readonly<Record<string, string>> } | undefined;
  /** When the rule was first read. */
  readonly since: Date;

  private constructor(ports: DocumentsPort, name: string, begun: z.infer<typeof begunSchema>, index: Index) {
    this.#ports = ports;
    this.#name = name;
    this.#isWhole = begun.whole;
    this.#index = index;
    this.since = new Date(begun.since);
  }

  /** As far as it is read; a rule that was never read before is read from now on. */
  static async open(ports: BaselinePorts, rule: Rule): Promise<Baseline> {
    const name = nameOf(rule);
    const begun = await beginBaseline(ports, rule);
    if (begun.whole) return new Baseline(ports, name, begun, { parts: [{ first: '', last: '', tags: 0 }], next: null });
    const index = await read(ports, `${name}/index.json`, indexSchema);
    return new Baseline(ports, name, begun, index ?? { parts: [], next: { repository: '' } });
  }

  /** Where the reading goes on; null: it has come to its end. */
  get next(): Position | null {
    return this.#index.next;
  }

  /** How many tags were there, as far as it is read. */
  get size(): number {
    return this.#index.parts.reduce((total, { tags }) => total + tags, 0);
  }

  /** The repositories that there were; `list` is asked once and for all. */
  async repositories(list: () => Promise<string[]>): Promise<string[]> {
    const name = `${this.#name}/repositories.json`;
    const kept = await read(this.#ports, name, z.array(z.string()));
    return kept ?? keep(this.#ports, name, await list(), z.array(z.string()));
  }

  /** Adds the part that begins at `next`: what another has put there before counts. @param last the last repository of all */
  async add(part: () => Promise<Part>, last: string): Promise<void> {
    const { parts, next } = this.#index;
    if (next === null) return;
    const name = this.#partName(parts.length);
    const kept =
      (await read(this.#ports, name, partSchema)) ?? (await keep(this.#ports, name, await part(), partSchema));
    const added = {
      first: next.repository,
      last: kept.next?.repository ?? last,
      tags: Object.keys(kept.tags).length,
    };
    this.#index = { parts: [...parts, added], next: kept.next };
    // Of two at once the slower may set it back: what it has read is found again, part by part.
    await this.#ports.documents.put('documents', `${this.#name}/index.json`, bytesOf(this.#index));
  }

  /** The digests that these tags of a repository had, by tag. */
  async digestsOf(repository: string, tags: readonly string[]): Promise<ReadonlyMap<string, string>> {
    const found = new Map<string, string>();
    const numbers = this.#index.parts.flatMap(({ first, last }, number) =>
      this.#isWhole || (first <= repository && repository <= last) ? [number] : [],
    );
    // Tags come in the order in which they were read: from where the last ones were.
    const from = Math.max(numbers.indexOf(this.#open?.number ?? 0), 0);
    for (const number of [...numbers.slice(from), ...numbers.slice(0, from)]) {
      const left = tags.filter((tag) => !found.has(tag));
      if (left.length === 0) break;
      const digests = await this.#tagsOf(number);
      for (const tag of left) {
        const digest = digests[`${repository}:${tag}`];
        if (digest !== undefined) found.set(tag, digest);
      }
    }
    return found;
  }

  async #tagsOf(number: number): Promise<Readonly<Record<string, string>>> {
    if (this.#open?.number !== number) {
      const tags = this.#isWhole
        ? await read(this.#ports, `${this.#name}.json`, digestsSchema)
        : (await read(this.#ports, this.#partName(number), partSchema))?.tags;
      // Without it, all that it had would be promoted.
      if (tags === undefined) throw this.#incomplete(number);
      this.#open = { number, tags };
    }
    return this.#open.tags;
  }

  #incomplete(number: number): PromoterError {
    return new PromoterError('BASELINE_INCOMPLETE', `part ${number} of ${this.#name} is gone`, {
      remedy: `Remove what is in documents/${this.#name}: what the rule's source holds then counts as having been there.`,
    });
  }

  #partName(number: number): string {
    return `${this.#name}/parts/${number}.json`;
  }
}

/** Says that a rule is read from now on, where nobody has said so before; what comes to its source later is new. */
export async function beginBaseline(ports: BaselinePorts, rule: Rule): Promise<z.infer<typeof begunSchema>> {
  const name = nameOf(rule);
  const begun = await read(ports, `${name}/begun.json`, begunSchema);
  if (begun !== undefined) return begun;
  const whole = (await ports.documents.get('documents', `${name}.json`)) !== undefined;
  const since = ports.now().toISOString();
  return keep(ports, `${name}/begun.json`, { since, whole }, begunSchema);
}

function nameOf({ name, source }: Rule): string {
  return `baselines/${name}-${createHash('sha256').update(JSON.stringify(source)).digest('hex').slice(0, 16)}`;
}

async function read<T>({ documents }: DocumentsPort, name: string, schema: z.ZodType<T>): Promise<T | undefined> {
  const bytes = await documents.get('documents', name);
  return bytes && parse(bytes, schema);
}

/** @returns what is kept: ours or another's */
async function keep<T>({ documents }: DocumentsPort, name: string, value: T, schema: z.ZodType<T>): Promise<T> {
  return parse(await documents.putIfAbsent('documents', name, bytesOf(value)), schema);
}

function bytesOf(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value));
}

function parse<T>(bytes: Uint8Array, schema: z.ZodType<T>): T {
  return schema.parse(JSON.parse(Buffer.from(bytes).toString('utf8')));
}
