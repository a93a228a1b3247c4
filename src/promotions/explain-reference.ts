import {
  InputError,
  PromoterError,
  describeError,
  quoted,
  formatReference,
  isDigest,
  parseManifest,
  parseReference,
} from '../oci/index.js';
import { explain, explainRows, type ExplainFacts } from './explain.js';
import type { Check, Explanation } from './explanation.js';
import type { PromotionRow } from '../rows/promotion-row.js';
import type { StepProgress } from '../rows/step-progress.js';
import { isSourceRepository, matchRules, type TagName } from '../rules/match.js';
import type { Rule } from '../rules/rule.js';
import { explainEvidence } from './explain-evidence.js';
import { resolveTag } from '../transfer/tag.js';
import type { Ports } from '../ports/ports.js';
import type { SignerSource } from '../signing/index.js';
import { signingWarnings } from '../evidence/signing-warnings.js';

interface ExplainPorts extends Pick<Ports, 'store' | 'rules' | 'registries' | 'paused' | 'now'> {
  /** Undefined if no key is set. */
  signing: SignerSource | undefined;
}

/** Maximum ignored events in an answer. */
const MOST_IGNORED = 5;
/**
 * Maximum promotions of one tag, and of a repository or a digest. For the latter, each promotion needs a request to its
 * source and its destination.
 */
const MOST_ROWS = 50;
const MOST_TOGETHER = 20;
/** Maximum runs of a digest that are read, newest first. */
const MOST_RUNS = 50;
/** Maximum time for the registries to answer, in milliseconds. */
const LOOK_MS = 5_000;
/** Maximum subjects of subjects that are followed: a signature, its SBOM, and the image. */
const MOST_SUBJECTS = 3;
/** The id of a promotion. It has the form of the beginning of a digest, too. */
const PROMOTION_ID = /^[0-9a-f]{32}$/;
/** A digest, or the beginning of one. */
const DIGEST = /^(?:sha(?:256|512):)?[0-9a-f]{6,128}$/;

/**
 * Explains whether a tag, the tags of a repository, or a digest are promoted, and if not, why not.
 * @param text a source or destination (`registry/repository[:tag]`), `registry/repository@sha256:…`, at least six
 * characters of a digest, or the id of a promotion. A referrer with its repository stands for its subject.
 * @throws InputError `REFERENCE_INVALID`
 */
export async function explainReference(ports: ExplainPorts, text: string): Promise<Explanation> {
  const row = PROMOTION_ID.test(text) ? await ports.store.getPromotion(text) : undefined;
  if (row !== undefined) {
    const reference = formatReference(row.value.source);
    return explainRows(await factsOf(ports, await ports.rules.load(), [row.value]), { reference });
  }
  if (DIGEST.test(text)) {
    const explained = await explainDigest(ports, text.includes(':') ? text : `sha256:${text}`);
    if (!PROMOTION_ID.test(text) || explained.promotions.length > 0) return explained;
    return { ...explained, reference: text, note: 'no promotion has this id, and no run has seen such a digest' };
  }
  if (/^sha(?:256|512):[^/]*$/.test(text)) {
    throw new InputError('REFERENCE_INVALID', `${quoted(text)} is not a digest`, {
      remedy: 'Give a digest, or at least its first 6 characters (0-9, a-f).',
    });
  }
  const { registry, repository, tag, digest } = parseReference(text);
  if (tag !== undefined && digest === undefined) return explainTag(ports, { registry, repository, tag });
  if (digest === undefined) return explainRepository(ports, { registry, repository });
  if (tag === undefined) return explainDigest(ports, digest, { registry, repository });
  throw new InputError('REFERENCE_INVALID', `${text} has a tag and a digest`, {
    remedy: 'Give the tag or the digest, not both.',
  });
}

async function explainTag(ports: ExplainPorts, name: TagName): Promise<Explanation> {
  const reference = formatReference(name);
  const [rules, { items: own }, { items: leading }, { items: ignored }] = await Promise.all([
    ports.rules.load(),
    ports.store.listPromotions({ size: MOST_ROWS, filter: name }),
    ports.store.listPromotions({ size: MOST_ROWS, filter: { destination: reference } }),
    ports.store.listIgnored({ size: MOST_IGNORED, filter: { name: reference } }),
  ]);
  const rows = [...own, ...leading.filter(({ id }) => !own.some((row) => row.id === id))];
  const matching = matchRules(rules, name).rules;
  const signs = matching.some(({ sign }) => sign.length > 0);
  const [facts, warnings] = await Promise.all([
    factsOf(ports, rules, rows, matching.length > 0 || rows.length > 0 ? [name] : []),
    signs ? signingWarnings(ports, AbortSignal.timeout(LOOK_MS)) : [],
  ]);
  return { ...explain({ ...facts, name, ignored }), warnings: warnings.length > 0 ? warnings : undefined };
}

/** The promotions of a source repository, by tag; or those with this destination repository, newest run first. */
async function explainRepository(
  ports: ExplainPorts,
  name: { registry: string; repository: string },
): Promise<Explanation> {
  const rules = await ports.rules.load();
  const reference = formatReference(name);
  const own = await ports.store.listPromotions({ size: MOST_TOGETHER, filter: name });
  const isSource = own.items.length > 0 || own.next !== undefined;
  const { items, next } = isSource
    ? own
    : await ports.store.listPromotions({ size: MOST_TOGETHER, filter: { globs: { destination: `${reference}:*` } } });
  const isRead = rules.some((rule) => isSourceRepository(rule, name.registry, name.repository));
  const option = isSource ? `--repository ${reference}` : `--destination '${reference}:*'`;
  const note =
    items.length === 0 && next === undefined
      ? `no promotion has it; ${isRead ? 'a rule matches it, and no tag of it was pushed yet' : 'no rule matches it'}`
      : next === undefined
        ? undefined
        : `there are more promotions: acr-promoter promotions ${option}`;
  return explainRows(await factsOf(ports, rules, items), { reference, note });
}

/** The promotions whose newest runs saw the digest; with a repository, also those with the digest in their graphs. */
async function explainDigest(
  ports: ExplainPorts,
  digest: string,
  name?: { registry: string; repository: string },
  subjectsLeft = MOST_SUBJECTS,
): Promise<Explanation> {
  const whole = isDigest(digest) ? digest : undefined;
  const [rules, { items: runs }, containing] = await Promise.all([
    ports.rules.load(),
    ports.store.listRuns({ size: MOST_RUNS, filter: { digest, kind: 'promotion' } }),
    name === undefined || whole === undefined ? [] : ports.store.listPromotionsOfSubject({ ...name, digest: whole }),
  ]);
  const ids = new Set([...runs.flatMap(({ promotionId }) => promotionId ?? []), ...containing]);
  const found = await Promise.all([...ids].slice(0, MOST_RUNS).map((id) => ports.store.getPromotion(id)));
  const rows = found.flatMap((row) => (row !== undefined && isOf(row.value, name) ? [row.value] : []));
  const reference = name === undefined ? digest : `${formatReference(name)}@${digest}`;
  if (rows.length === 0 && name !== undefined && whole !== undefined && subjectsLeft > 0) {
    const subject = await subjectOf(ports, rules, name, whole);
    if (subject !== undefined) {
      const explained = await explainDigest(ports, subject, name, subjectsLeft - 1);
      const about = `it refers to ${subject}; explain shows whether that is promoted`;
      return { ...explained, reference, note: explained.note === undefined ? about : `${about}: ${explained.note}` };
    }
  }
  const notes = [
    ...(rows.length === 0 ? [`no run has seen it${name === undefined && whole !== undefined ? PARTS : ''}`] : []),
    ...(rows.length > MOST_TOGETHER ? [`there are more runs of it: acr-promoter runs --digest ${digest}`] : []),
  ];
  const asked = runs.find((run) => run.digest !== undefined)?.digest ?? digest;
  return explainRows(await factsOf(ports, rules, rows.slice(0, MOST_TOGETHER)), {
    reference,
    digest: whole ?? asked,
    note: notes.length > 0 ? notes.join('; ') : undefined,
  });
}

const PARTS = '; a part or a referrer of an image is found with its repository: registry/repository@digest';

/** The subject of a manifest. Asks only the registries of rules. Undefined if it has none or cannot be read. */
async function subjectOf(
  ports: ExplainPorts,
  rules: readonly Rule[],
  { registry, repository }: { registry: string; repository: string },
  digest: string,
): Promise<string | undefined> {
  const isKnown = rules.some(
    ({ source, destination }) => source.registry === registry || destination.reference.split('/', 1)[0] === registry,
  );
  if (!isKnown) return undefined;
  try {
    const signal = AbortSignal.timeout(LOOK_MS);
    const at = ports.registries.repository(registry, repository);
    const { bytes, descriptor } = await at.fetchManifest(digest, { signal });
    return parseManifest(bytes, descriptor.mediaType, `${at.name}@${digest}`).subject?.digest;
  } catch (error) {
    if (error instanceof PromoterError || isTimeout(error)) return undefined;
    throw error;
  }
}

function isOf({ source, destination }: PromotionRow, name?: { registry: string; repository: string }): boolean {
  if (name === undefined) return true;
  const isSource = source.registry === name.registry && source.repository === name.repository;
  return isSource || destination.startsWith(`${formatReference(name)}:`);
}

/** Reads the steps of open runs, and asks the registries. @param places further tags to ask for */
async function factsOf(
  ports: ExplainPorts,
  rules: readonly Rule[],
  rows: readonly PromotionRow[],
  places: readonly TagName[] = [],
): Promise<ExplainFacts> {
  const steps = new Map<string, StepProgress[]>();
  for (const { runId, runOpen } of rows) {
    if (runOpen && runId !== undefined) steps.set(runId, await ports.store.listProgress(runId));
  }
  const signal = AbortSignal.timeout(LOOK_MS);
  const [seen, evidence] = await Promise.all([
    tagsNow(ports, [...places, ...rows.flatMap(placesOf)], signal),
    evidenceNow(ports, rows, rules, signal),
  ]);
  return { rules, paused: ports.paused, rows, steps, seen, evidence };
}

function placesOf({ source, destination }: PromotionRow): TagName[] {
  const { registry, repository, tag } = parseReference(destination);
  return [source, ...(tag === undefined ? [] : [{ registry, repository, tag }])];
}

/** Asks a registry. If it does not answer, the answer is unknown. */
async function checked({ now }: Pick<ExplainPorts, 'now'>, look: () => Promise<Check>): Promise<Check> {
  try {
    return await look();
  } catch (error) {
    return { state: 'unknown', since: now().toISOString(), ...whyNot(error) };
  }
}

/** The digests of these tags now, by reference. */
async function tagsNow(
  ports: ExplainPorts,
  places: readonly TagName[],
  signal: AbortSignal,
): Promise<Map<string, Check>> {
  const byReference = new Map(places.map((place) => [formatReference(place), place]));
  const checks = [...byReference].map(async ([reference, place]): Promise<[string, Check]> => {
    const look = async (): Promise<Check> => {
      const found = await resolveTag(ports, place, signal);
      return found === undefined ? { state: 'missing' } : { state: 'there', digest: found.digest };
    };
    return [reference, await checked(ports, look)];
  });
  return new Map(await Promise.all(checks));
}

/** Whether the evidence of promotions in sync is at the destination, by promotion id. */
async function evidenceNow(
  ports: ExplainPorts,
  rows: readonly PromotionRow[],
  rules: readonly Rule[],
  signal: AbortSignal,
): Promise<Map<string, Check>> {
  const checks = rows.map(async (row): Promise<[string, Check][]> => {
    const rule = rules.find(({ name }) => name === row.rule);
    if (rule === undefined || !seemsInSync(row)) return [];
    return [[row.id, await checked(ports, () => explainEvidence(ports, row, rule, signal))]];
  });
  return new Map((await Promise.all(checks)).flat());
}

function seemsInSync({ runOpen, generation, observedGeneration, last }: PromotionRow): boolean {
  const isDone = last?.outcome === 'promoted' || last?.outcome === 'unchanged';
  return isDone && !runOpen && generation <= observedGeneration && last.code === undefined;
}

function whyNot(error: unknown): { code: string; reason: string; remedy?: string | undefined } {
  if (isTimeout(error)) return { code: 'TIMEOUT', reason: `no usable answer within ${LOOK_MS / 1000} seconds` };
  const { code, message: reason, remedy } = describeError(error);
  return { code, reason, remedy };
}

function isTimeout(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'TimeoutError';
}
