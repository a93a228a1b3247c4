import { isGatePassed } from '../rules/decide.js';
import { destinationOf, matchRules, type TagName } from '../rules/match.js';
import { demandsEvidence, fingerprint, promotionId, type Rule } from '../rules/rule.js';
import { PromoterError, formatReference } from '../oci/index.js';
import type { Check, Checks, ExplainedPromotion, Explanation, Unknown } from './explanation.js';
import type { IgnoredEvent } from '../rows/ignored-event.js';
import type { PromotionRow } from '../rows/promotion-row.js';
import type { StepProgress } from '../rows/step-progress.js';

/** The facts about promotions that an explanation needs. The caller has read all of them. */
export interface ExplainFacts {
  rules: readonly Rule[];
  paused: boolean;
  /** The promotions that are explained, whatever their rules say now. */
  rows: readonly PromotionRow[];
  /** Steps of the open runs, by run id, in the order in which they started. */
  steps: ReadonlyMap<string, readonly StepProgress[]>;
  /** The present digest of each reference that was asked for. Others are unknown. */
  seen: ReadonlyMap<string, Check>;
  /** Whether the evidence of a promotion that is in sync is at the destination, by promotion id. */
  evidence: ReadonlyMap<string, Check>;
}

export interface ExplainInput extends ExplainFacts {
  /** The tag that is asked about: at the source, or a destination. */
  name: TagName;
  /** Events for this tag that no rule matches, newest first. */
  ignored: readonly IgnoredEvent[];
}

export function explain(input: ExplainInput): Explanation {
  const { rules, nearest } = matchRules(input.rules, input.name);
  const known = new Set(input.rows.map(({ id }) => id));
  const unseen = rules.filter((rule) => !known.has(promotionId(rule.name, input.name)));
  const promotions = [
    ...input.rows.map((row) => explainRow(input, row)),
    ...unseen.map((rule) => explainUnseen(input, rule)),
  ];
  return {
    reference: formatReference(input.name),
    promoted: isPromoted(promotions),
    promotions,
    nearest: promotions.length === 0 ? nearest : undefined,
    ignored: [...input.ignored],
  };
}

/** The promotions of a repository or of a digest. A digest counts as promoted if the tag still has it. */
export function explainRows(
  input: ExplainFacts,
  { reference, digest, note }: { reference: string; digest?: string | undefined; note?: string | undefined },
): Explanation {
  const promotions = input.rows.map((row): ExplainedPromotion => {
    const explained = explainRow(input, row);
    const has = row.last?.digest;
    if (digest === undefined || has === digest || explained.promoted === undefined) return explained;
    const text = `the tag has ${has ?? 'no digest'} now; ${digest} was seen under it: ${explained.text}`;
    return { ...explained, promoted: false, text };
  });
  return { reference, promoted: isPromoted(promotions), promotions, note, ignored: [] };
}

/** Promotions without a matching rule do not count. */
function isPromoted(promotions: readonly ExplainedPromotion[]): boolean | null {
  const counted = promotions.flatMap(({ promoted }) => (promoted === undefined ? [] : [promoted]));
  if (counted.length === 0 || counted.includes(false)) return false;
  return counted.includes(null) ? null : true;
}

const ASK_AGAIN = 'Ask again when the registry answers.';

const NOT_ASKED: Unknown = {
  state: 'unknown',
  since: '',
  code: 'NOT_CHECKED',
  reason: 'the registry was not asked',
  remedy: 'Ask about one tag at a time: an answer lists at most 50 promotions.',
};

function explainUnseen({ name, paused, seen }: ExplainInput, rule: Rule): ExplainedPromotion {
  const source = formatReference(name);
  const about = { rule: rule.name, source };
  let destination: string;
  try {
    destination = formatReference(destinationOf(rule, name));
  } catch (error) {
    if (!(error instanceof PromoterError)) throw error;
    const { code, message: reason } = error;
    const text = `the rule has no valid destination for this name: ${reason}`;
    return { ...about, destination: rule.destination.reference, state: 'refused', promoted: false, text, code, reason };
  }
  const there = seen.get(source) ?? NOT_ASKED;
  const isMissing = there.state === 'missing';
  const texts = [
    isMissing ? 'it is not at the source' : 'no push event or schedule run has seen it yet',
    ...(there.state === 'unknown' ? ['whether it is at the source could not be checked'] : []),
    ...(!isMissing && rule.existing === 'ignore'
      ? ['a tag that is older than the rule is ignored until it changes (existing: ignore)']
      : []),
    ...(rule.triggers.includes('push') ? [] : ['pushes do not trigger the rule: wait for the next schedule run']),
    ...(rule.triggers.includes('schedule') ? [] : ['the rule has no schedule']),
    ...(paused ? ['PROMOTION_PAUSED keeps new runs from starting'] : []),
  ];
  return {
    ...about,
    destination,
    promoted: false,
    text: texts.join('; '),
    checks: seen.has(source) ? { source: there, destination: seen.get(destination) ?? NOT_ASKED } : undefined,
    remedy: isMissing
      ? 'Push it, or correct the reference.'
      : `Check that the registry's events arrive (docs/how-to/deploy.md), or start a run: acr-promoter promote --submit ${source}`,
  };
}

function explainRow(input: ExplainFacts, row: PromotionRow): ExplainedPromotion {
  const rule = input.rules.find(({ name }) => name === row.rule);
  const { last } = row;
  const about = {
    promotionId: row.id,
    rule: row.rule,
    source: formatReference(row.source),
    destination: row.destination,
    digest: last?.digest,
    runId: row.runId,
    checks: checksOf(input, row),
  };
  const stands = row.runOpen
    ? explainOpen(input, row)
    : row.generation > row.observedGeneration
      ? explainQueued(input, row)
      : explainLast(input, row, rule);
  const unmatched =
    rule === undefined ? `the rule ${row.rule} no longer exists` : matchRules([rule], row.source).nearest;
  if (unmatched === undefined) return { ...about, promoted: false, ...stands };
  // It is unknown when the last matching rule went away.
  const at = row.runOpen || last === undefined ? '' : ` (${last.finishedAt})`;
  const text = `${unmatched}; its last state${at}: ${stands.text}`;
  return { ...about, ...stands, since: undefined, promoted: undefined, text };
}

/** The checks of a row. If an open run waits for an error, `since` is the time of its first failure. */
function checksOf({ seen, evidence, steps }: ExplainFacts, row: PromotionRow): Checks {
  const troubles = (steps.get(row.runId ?? '') ?? []).flatMap(({ state, waitsFor }) =>
    state === 'waiting' && waitsFor !== undefined ? [waitsFor] : [],
  );
  const known = (check: Check): Check => {
    if (check.state !== 'unknown') return check;
    const since = troubles.find(({ code }) => code === check.code)?.since;
    return since === undefined ? check : { ...check, since };
  };
  const proof = evidence.get(row.id);
  return {
    source: known(seen.get(formatReference(row.source)) ?? NOT_ASKED),
    destination: known(seen.get(row.destination) ?? NOT_ASKED),
    evidence: proof && known(proof),
  };
}

type Stands = Pick<ExplainedPromotion, 'state' | 'promoted' | 'text' | 'since' | 'step' | 'code' | 'reason' | 'remedy'>;

/** What a run does in a step. */
const DOING: Readonly<Record<string, string>> = {
  observe: 'comparing source and destination',
  checkEvidence: 'checking evidence',
  attach: 'attaching SBOMs and signatures',
  copy: 'copying',
  verifyArrival: 'checking what has arrived',
  tagDestination: 'writing the destination tag',
  closeRun: 'recording the outcome',
};

function explainOpen({ steps }: ExplainFacts, row: PromotionRow): Stands {
  const done = steps.get(row.runId ?? '') ?? [];
  const since = row.runOpenedAt ?? row.incrementedAt;
  const before =
    row.last?.outcome === 'promoted' ? `; until it finishes, ${row.destination} keeps its current image` : '';
  if (row.state === 'waiting') {
    const reason = done.findLast(({ step }) => step === 'markWaiting')?.text ?? 'evidence is missing';
    const remedy = 'Sign the image as the rule demands. The run continues when the signature is pushed.';
    return { since, state: 'waiting', text: `waits for evidence: ${reason}${before}`, reason, remedy };
  }
  const trouble = done.findLast(({ state, waitsFor }) => state === 'waiting' && waitsFor !== undefined);
  const step = done.findLast(({ state }) => state === 'working') ?? trouble ?? done.at(-1);
  if (step === undefined) return { since, state: 'working', text: `its run is about to begin${before}` };
  const doing = step.state === 'working' ? DOING[step.step] : undefined;
  const at = `${doing ?? `${step.step} ${step.state}`}${step.text === '' ? '' : `: ${step.text}`}`;
  const { waitsFor, state } = step;
  if (waitsFor === undefined || state !== 'waiting')
    return { since, state: 'working', text: `in progress: ${at}${before}`, step: step.step };
  const { code, tries, nextAt, unanswered } = waitsFor;
  if (unanswered !== undefined)
    return { since, state: 'working', text: `${step.text}${before}`, step: step.step, code };
  const text = `in progress: ${at}; tried ${tries === 1 ? 'once' : `${tries} times`}, next try at about ${nextAt}${before}`;
  return { since, state: 'working', text, step: step.step, code };
}

function explainQueued({ paused }: ExplainFacts, row: PromotionRow): Stands {
  const since = row.incrementedAt;
  if (!paused) return { since, state: 'waiting', text: 'waits for its run: the next schedule tick starts it' };
  return {
    since,
    state: 'waiting',
    text: 'waits for its run: PROMOTION_PAUSED keeps new runs from starting',
    remedy: 'Set PROMOTION_PAUSED=false; queued promotions start at the next schedule tick.',
  };
}

function explainLast(input: ExplainFacts, row: PromotionRow, rule: Rule | undefined): Stands {
  const { destination, failures, since, last } = row;
  if (last === undefined) return { state: 'waiting', text: 'no run has ended yet' };
  const { outcome, code, reason, remedy } = last;
  const why = { since: since ?? last.finishedAt, code, reason, remedy };
  const because = [code, reason].filter((part) => part !== undefined && part !== '').join(': ');
  switch (outcome) {
    case 'promoted':
    case 'unchanged':
    case 'completed': {
      if (code !== undefined) return { ...why, state: 'in_sync', text: `there is nothing to promote: ${because}` };
      const checks = checksOf(input, row);
      const moved = movedText(checks, row, why.since) ?? uncheckedText(row, rule);
      // `since` is left out: it is unknown when the tag or the rule changed.
      if (moved !== undefined) return { state: 'waiting', text: moved };
      const [unknown] = unknownOf(checks);
      if (unknown !== undefined) {
        const { code: unknownCode, reason: unknownReason, remedy: advice = ASK_AGAIN } = unknown.check;
        const text = `${destination} got ${last.digest ?? 'its image'} at ${why.since}; what it has now could not be checked`;
        const checked = { code: unknownCode, reason: unknownReason, remedy: advice };
        return { state: 'in_sync', promoted: null, text, since: why.since, ...checked };
      }
      const text = `${destination} is ${last.digest ?? 'as the rule demands'}${unseenText(row)}`;
      return { ...why, state: 'in_sync', promoted: true, text };
    }
    case 'failed': {
      const again =
        row.retryAt === undefined ? 'the next push tries again' : `the schedule tries again after ${row.retryAt}`;
      const text = `failed ${failures === 1 ? 'once' : `${failures} times in a row`}, ${because}; ${again}`;
      return { ...why, state: 'failed', text };
    }
    case 'observed':
      return { ...why, state: 'observed', text: `the rule only observes; it would change: ${reason ?? 'nothing'}` };
    case 'refused':
      return { ...why, state: 'refused', text: `refused: ${because}` };
    case 'cancelled':
    case 'superseded':
    case 'interrupted':
      return { ...why, state: 'cancelled', text: `${outcome}${because === '' ? '' : `: ${because}`}` };
  }
}

/** Referrers that were reported, and that the source has not listed yet. */
function unseenText({ news }: PromotionRow): string {
  const unseen = (news?.referrers ?? []).filter(({ seen, looks }) => seen !== true && looks !== undefined);
  const [first] = unseen;
  if (first === undefined) return '';
  const more = unseen.length === 1 ? '' : ` and ${unseen.length - 1} more`;
  return `; the referrer ${first.digest}${more}, reported at ${first.at}, is not listed at the source yet: the app looks for it for a day`;
}

/** Requirements that an edit added to the rule and that the last run has not checked. */
function uncheckedText(row: PromotionRow, rule: Rule | undefined): string | undefined {
  const { source, destination, last } = row;
  const digest = last?.digest;
  if (rule === undefined || last === undefined || digest === undefined) return undefined;
  const isScheduled = rule.triggers.includes('schedule');
  const who = isScheduled ? 'the next schedule run' : 'the next push';
  if (!leadsTo(rule, source, destination))
    return `${destination} got ${digest} at ${last.finishedAt}, and the rule now has another destination: ${who} promotes it there`;
  if (demandsEvidence(rule) && !isGatePassed(row, digest, fingerprint(rule)))
    return `${destination} is ${digest}; the evidence that the edited rule demands is not checked yet: ${who} checks it`;
  // If only pushes trigger a rule, an edit starts no run.
  if (isScheduled && last.fingerprint !== fingerprint(rule))
    return `${destination} is ${digest}; the rule was edited since: ${who} checks it`;
  return undefined;
}

function leadsTo(rule: Rule, source: TagName, destination: string): boolean {
  try {
    return formatReference(destinationOf(rule, source)) === destination;
  } catch (error) {
    if (error instanceof PromoterError) return false;
    throw error;
  }
}

/** The parts of an answer that could not be checked. */
export function unknownOf({ source, destination, evidence }: Checks): { part: keyof Checks; check: Unknown }[] {
  const parts = [['source', source] as const, ['destination', destination] as const, ['evidence', evidence] as const];
  return parts.flatMap(([part, check]) => (check?.state === 'unknown' ? [{ part, check }] : []));
}

/** A difference that is certain, even if another check failed. */
function movedText(
  { source: from, destination: to, evidence }: Checks,
  { source: tag, destination, last }: PromotionRow,
  at: string,
): string | undefined {
  const [source, digest] = [formatReference(tag), last?.digest];
  if (digest === undefined) return undefined;
  const got = `${destination} got ${digest} at ${at}`;
  if (from.state === 'missing') return `${source} has been deleted; ${got}`;
  if (from.state === 'there' && from.digest !== digest)
    return `${source} is now ${from.digest}, and ${got}: the push event or the schedule starts the next run`;
  if (to.state === 'missing') return `${got}, and has been deleted: the schedule promotes it again`;
  if (to.state === 'there' && to.digest !== digest)
    return `${got}, and is now ${to.digest}: the schedule promotes it again`;
  if (evidence?.state === 'missing') return `${got}, and its signature is missing: the schedule attaches it again`;
  return undefined;
}
