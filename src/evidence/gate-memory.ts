import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { Descriptor } from '../oci/index.js';
import type { Finding } from '../rules/gate.js';
import type { SignaturePolicy } from '../rules/rule.js';
import type { Ports } from '../ports/ports.js';

/** From this number of listed signatures, the gate stores its result for each of them. */
const REMEMBERED_FROM = 20;
/** Maximum signatures that the gate names as reasons for one policy. */
const MOST_REASONS = 20;

/** Increment if this code can verify signatures that it could not verify before. */
const VERSION = 1;

const findingSchema = z.object({
  verdict: z.enum(['rejected', 'inconclusive']),
  code: z.string(),
  reason: z.string(),
  signature: z.string(),
});
const memorySchema = z.object({
  bad: z.array(z.string()),
  again: z.array(z.string()),
  reasons: z.array(findingSchema),
});

/**
 * The results of the gate for the signatures of one subject under one policy. A short list is checked again each time.
 * For a long list, the results are stored as a document, so that each check continues where the last one stopped.
 */
export class GateMemory {
  readonly #documents: Ports['documents'];
  readonly #name: string;
  readonly #isKept: boolean;
  /** Digests in the current list. Results of other digests are dropped. */
  readonly #listed: ReadonlySet<string>;
  /** Signatures that can never satisfy this policy. */
  readonly #bad: Set<string>;
  /** Signatures that may satisfy it later, ordered by their last check, oldest first. */
  readonly #again: Set<string>;
  readonly #reasons = new Map<string, Finding>();
  #isChanged = false;

  private constructor(
    { documents }: Pick<Ports, 'documents'>,
    name: string,
    listed: readonly Descriptor[],
    kept: z.infer<typeof memorySchema>,
  ) {
    this.#documents = documents;
    this.#name = name;
    this.#isKept = listed.length > REMEMBERED_FROM;
    this.#listed = new Set(listed.map(({ digest }) => digest));
    const here = (digest: string): boolean => this.#listed.has(digest);
    this.#bad = new Set(kept.bad.filter(here));
    this.#again = new Set(kept.again.filter(here));
    for (const reason of kept.reasons) if (here(reason.signature)) this.#reasons.set(reason.signature, reason);
  }

  static async open(
    ports: Pick<Ports, 'documents'>,
    asked: { subject: Descriptor; policy: SignaturePolicy; ours: string },
    listed: readonly Descriptor[],
  ): Promise<GateMemory> {
    const { subject, policy, ours } = asked;
    const { mediaType, digest, size } = subject;
    const text = JSON.stringify([VERSION, mediaType, size, policy, ours]);
    const hash = createHash('sha256').update(text).digest('hex').slice(0, 32);
    const name = `gate/${digest.replace(':', '-')}/${hash}.json`;
    const isKept = listed.length > REMEMBERED_FROM;
    const kept = isKept ? await ports.documents.get('documents', name) : undefined;
    return new GateMemory(ports, name, listed, parse(kept));
  }

  /** The order of the check: first signatures that are not checked yet, then those that may satisfy the policy now. */
  inOrder(ranked: readonly Descriptor[]): Descriptor[] {
    const byDigest = new Map<string, Descriptor>(ranked.map((entry) => [entry.digest, entry]));
    const unseen = [...byDigest.values()].filter(({ digest }) => this.#isUnseen(digest));
    return [...unseen, ...[...this.#again].flatMap((digest) => byDigest.get(digest) ?? [])];
  }

  note(digest: string, is: 'bad' | 'again', finding: Finding | undefined): void {
    this.#isChanged = true;
    // Move it to the end of the signatures that are checked again.
    this.#again.delete(digest);
    (is === 'bad' ? this.#bad : this.#again).add(digest);
    if (finding !== undefined && (this.#reasons.has(digest) || this.#reasons.size < MOST_REASONS))
      this.#reasons.set(digest, finding);
  }

  hasUnseen(): boolean {
    return [...this.#listed].some((digest) => this.#isUnseen(digest));
  }

  /** Some of the reasons why no signature satisfies the policy. */
  findings(): Finding[] {
    return [...this.#reasons.values()];
  }

  /** Of two concurrent checks, one may overwrite the results of the other. The lost results are found again. */
  async save(): Promise<void> {
    if (!this.#isKept || !this.#isChanged) return;
    const kept = { bad: [...this.#bad], again: [...this.#again], reasons: this.findings() };
    await this.#documents.put('documents', this.#name, Buffer.from(JSON.stringify(kept)));
  }

  #isUnseen(digest: string): boolean {
    return !this.#bad.has(digest) && !this.#again.has(digest);
  }
}

/** If the document is unreadable or of another version, all signatures are checked again. */
function parse(bytes: Uint8Array | undefined): z.infer<typeof memorySchema> {
  try {
    return memorySchema.parse(JSON.parse(Buffer.from(bytes ?? []).toString('utf8')));
  } catch {
    return { bad: [], again: [], reasons: [] };
  }
}
