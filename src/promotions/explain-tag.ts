import { InputError, PromoterError, describeError, formatReference, parseReference } from '../oci/index.js';
import { explain } from './explain.js';
import type { Check, Explanation } from './explanation.js';
import type { PromotionRow } from '../rows/promotion-row.js';
import type { StepProgress } from '../rows/step-progress.js';
import { matchRules, type TagName } from '../rules/match.js';
import type { Rule } from '../rules/rule.js';
import { lookAtEvidence } from './look-at-evidence.js';
import { resolveTag } from '../transfer/resolve-tag.js';
import type { Ports } from '../ports/ports.js';
import type { SignerSource } from '../signing/index.js';
import { signingWarnings } from '../evidence/signing-warnings.js';
import type { StorePort } from '../ports/store.js';
import type { IgnoredEvents } from '../ports/ignored-events.js';
import type { Progress } from '../ports/progress.js';
import type { PromotionLists } from '../ports/promotion-lists.js';

interface ExplainPorts
  extends Pick<Ports, 'rules' | 'registries' | 'paused' | 'now'>, StorePort<PromotionLists & Progress & IgnoredEvents> {
  /** Undefined if no key is set. */
  signing: SignerSource | undefined;
}

/** Ignored events that an answer tells. */
const MOST_IGNORED = 5;
/** Promotions of one tag that are read; and how long the registries have to say what stands there, in milliseconds. */
const MOST_ROWS = 50;
const LOOK_MS = 5_000;

/**
 * Whether a tag is where it belongs, and if not, why not. A destination may be asked about as well.
 * @throws InputError `REFERENCE_INVALID`
 */
export async function explainTag(ports: ExplainPorts, text: string): Promise<Explanation> {
  const name = nameOf(text);
  const reference = formatReference(name);
  const rules = await ports.rules.load();
  const [{ items: own }, { items: leading }, { items: ignored }] = await Promise.all([
    ports.store.listPromotions({ size: MOST_ROWS, filter: name }),
    ports.store.listPromotions({ size: MOST_ROWS, filter: { destination: reference } }),
    ports.store.listIgnored({ size: MOST_IGNORED, filter: { name: reference } }),
  ]);
  const rows = [...own, ...leading.filter(({ id }) => !own.some((row) => row.id === id))];
  const steps = new Map<string, StepProgress[]>();
  for (const { runId, runOpen } of rows) {
    if (runOpen && runId !== undefined) steps.set(runId, await ports.store.listProgress(runId));
  }
  const matching = matchRules(rules, name).rules;
  const signs = matching.some(({ sign }) => sign.length > 0);
  const looks = lookUntil(ports, AbortSignal.timeout(LOOK_MS));
  const [seen, evidence, warnings] = await Promise.all([
    looks.tags([...(matching.length > 0 || rows.length > 0 ? [name] : []), ...rows.flatMap(placesOf)]),
    looks.evidence(rows, rules),
    signs ? signingWarnings(ports, AbortSignal.timeout(LOOK_MS)) : [],
  ]);
  const explanation = explain({ name, rules, paused: ports.paused, rows, steps, ignored, seen, evidence });
  return { ...explanation, ...(warnings.length > 0 && { warnings }) };
}

function nameOf(text: string): TagName {
  const { registry, repository, tag, digest } = parseReference(text);
  if (tag !== undefined && digest === undefined) return { registry, repository, tag };
  throw new InputError(
    'REFERENCE_INVALID',
    `${text} has ${tag === undefined ? 'no tag' : 'a digest'}: what is explained is a tag, whatever digest it has`,
    { remedy: 'Name the tag alone: the answer has its digest. For the runs of a digest: acr-promoter runs --digest.' },
  );
}

function placesOf({ source, destination }: PromotionRow): TagName[] {
  const { registry, repository, tag } = parseReference(destination);
  return [source, ...(tag === undefined ? [] : [{ registry, repository, tag }])];
}

interface Looks {
  /** What stands at these places now, by reference. */
  tags(places: readonly TagName[]): Promise<Map<string, Check>>;
  /** Whether those that seem to be in sync have their evidence at the destination, by promotion id. */
  evidence(rows: readonly PromotionRow[], rules: readonly Rule[]): Promise<Map<string, Check>>;
}

/** Looks at the registries, for so long as `signal` says. Whatever keeps one from answering makes its part of the answer unknown. */
function lookUntil(ports: Pick<ExplainPorts, 'registries' | 'now'>, signal: AbortSignal): Looks {
  const check = async (look: () => Promise<Check>): Promise<Check> => {
    try {
      return await look();
    } catch (error) {
      return { state: 'unknown', since: ports.now().toISOString(), ...whyNot(error) };
    }
  };
  return {
    tags: async (places) => {
      const byReference = new Map(places.map((place) => [formatReference(place), place]));
      const checks = [...byReference].map(async ([reference, place]): Promise<[string, Check]> => [
        reference,
        await check(async () => {
          const found = await resolveTag(ports, place, signal);
          return found === undefined ? { state: 'missing' } : { state: 'there', digest: found.digest };
        }),
      ]);
      return new Map(await Promise.all(checks));
    },
    evidence: async (rows, rules) => {
      const checks = rows.map(async (row): Promise<[string, Check][]> => {
        const rule = rules.find(({ name }) => name === row.rule);
        if (rule === undefined || !seemsInSync(row)) return [];
        return [[row.id, await check(() => lookAtEvidence(ports, row, rule, signal))]];
      });
      return new Map((await Promise.all(checks)).flat());
    },
  };
}

function seemsInSync({ runOpen, generation, observedGeneration, last }: PromotionRow): boolean {
  const isDone = last?.outcome === 'promoted' || last?.outcome === 'unchanged';
  return isDone && !runOpen && generation <= observedGeneration && last.code === undefined;
}

function whyNot(error: unknown): { code: string; reason: string; remedy?: string } {
  if (!(error instanceof PromoterError)) {
    const isLate = error instanceof DOMException && error.name === 'TimeoutError';
    if (isLate) return { code: 'TIMEOUT', reason: `it gave no usable answer within ${LOOK_MS / 1000} seconds` };
  }
  const { code, message: reason, remedy } = describeError(error);
  return { code, reason, ...(remedy !== undefined && { remedy }) };
}
