import { failurePauseMs, isGatePassed } from '../promotion/decide.js';
import { destinationOf } from '../promotion/destination.js';
import { matchRules, type TagName } from '../promotion/match.js';
import { evidencePolicyHash, promotionId } from '../promotion/promotion-id.js';
import type { Rule } from '../promotion/rule.js';
import { PromoterError, formatReference } from '../oci/index.js';
import type { IgnoredEvent, PromotionRow, StepProgress } from './rows.js';

/** What is known of a tag. Pure: whoever asks has read it all. */
export interface ExplainInput {
  /** The tag that is asked about: at the source, or a destination. */
  name: TagName;
  rules: readonly Rule[];
  paused: boolean;
  /** The promotions of this source tag, and those that lead to this destination; whatever their rules say by now. */
  rows: readonly PromotionRow[];
  /** Steps of the open runs, by run id, in the order in which they started. */
  steps: ReadonlyMap<string, readonly StepProgress[]>;
  /** Events for this tag that no rule wanted, newest first. */
  ignored: readonly IgnoredEvent[];
  /** Digests by reference, as the registries have them now; `null`: not there; absent: not asked, or no answer. */
  seen: ReadonlyMap<string, string | null>;
}

export const STANDINGS = [
  /** The destination is the source's digest. */
  'in_sync',
  /** It was, and one of both has moved since. */
  'moved',
  /** A run is open. */
  'working',
  /** A run is open, and waits for evidence. */
  'waiting',
  /** Wanted, and kept from starting: PROMOTION_PAUSED. */
  'paused',
  /** Wanted; the schedule starts it. */
  'queued',
  'observed',
  'refused',
  'failed',
  'cancelled',
  /** There is nothing to promote: the tag is gone, or names a referrer. */
  'nothing',
  /** A rule wants it, and no trigger has told of it. */
  'not_seen',
  /** There was a promotion; no rule wants it any more. */
  'unwanted',
] as const;
export type Standing = (typeof STANDINGS)[number];

/** One rule's answer. */
export interface ExplainedPromotion {
  promotionId: string;
  rule: string;
  source: string;
  destination: string;
  standing: Standing;
  /** One sentence or two. */
  text: string;
  /** Since when it stands so; absent where nobody knows: it moved, or is no longer wanted. */
  since?: string;
  /** What the destination got, or the run saw. */
  digest?: string;
  runId?: string;
  /** Of an open run: what it is at. */
  step?: string;
  code?: string;
  reason?: string;
  remedy?: string;
}

/** Is this tag where it belongs, and if not, why not. */
export interface Explanation {
  reference: string;
  /** True where every rule that wants it has it at its destination. */
  promoted: boolean;
  promotions: ExplainedPromotion[];
  /** Where there is none: the rule that came nearest, and its first condition that failed. */
  nearest?: string;
  ignored: IgnoredEvent[];
}

export function explain(input: ExplainInput): Explanation {
  const { rules } = matchRules(input.rules, input.name);
  const known = new Set(input.rows.map(({ id }) => id));
  const promotions = [
    ...input.rows.map((row) => explainRow(input, row)),
    ...rules.filter((rule) => !known.has(promotionId(rule.name, input.name))).map((rule) => explainUnseen(input, rule)),
  ];
  const wanted = promotions.filter(({ standing }) => standing !== 'unwanted');
  return {
    reference: formatReference(input.name),
    promoted: wanted.length > 0 && wanted.every(({ standing }) => standing === 'in_sync'),
    promotions,
    ...(promotions.length === 0 && { nearest: matchRules(input.rules, input.name).nearest ?? 'no rule wants it' }),
    ignored: [...input.ignored],
  };
}

function explainUnseen({ name, paused, seen }: ExplainInput, rule: Rule): ExplainedPromotion {
  const source = formatReference(name);
  const about = { promotionId: promotionId(rule.name, name), rule: rule.name, source };
  let destination: string;
  try {
    destination = formatReference(destinationOf(rule, name));
  } catch (error) {
    if (!(error instanceof PromoterError)) throw error;
    const { code, message: reason } = error;
    const text = `the rule's destination cannot be made of this name: ${reason}`;
    return { ...about, destination: rule.destination.reference, standing: 'refused', text, code, reason };
  }
  const there = seen.get(source);
  const texts = [
    there === null ? 'it is not at the source' : 'nothing has told of it yet',
    ...(there !== null && rule.existing === 'ignore'
      ? ['what was there before the rule is left alone until it moves (existing: ignore)']
      : []),
    ...(rule.triggers.includes('push') ? [] : ['the rule is not triggered by pushes, its schedule will look']),
    ...(rule.triggers.includes('schedule') ? [] : ['the rule has no schedule that would look']),
    ...(paused ? ['PROMOTION_PAUSED keeps new runs from starting'] : []),
  ];
  return {
    ...about,
    destination,
    standing: 'not_seen',
    text: texts.join('; '),
    remedy:
      there === null
        ? 'Push it, or correct the reference.'
        : `See that the registry's events arrive (docs/deploy.md), or ask for it: acr-promoter promote ${source}`,
  };
}

function explainRow(input: ExplainInput, row: PromotionRow): ExplainedPromotion {
  const rule = input.rules.find(({ name }) => name === row.rule);
  const { last } = row;
  const about = {
    promotionId: row.id,
    rule: row.rule,
    source: formatReference(row.source),
    destination: row.destination,
    ...(last?.digest !== undefined && { digest: last.digest }),
    ...(row.runId !== undefined && { runId: row.runId }),
  };
  const stands = row.runOpen
    ? explainOpen(input, row)
    : row.wanted > row.answered
      ? explainPutOff(input, row)
      : explainLast(input, row, rule);
  const unwanted =
    rule === undefined ? `there is no rule ${row.rule} any more` : matchRules([rule], row.source).nearest;
  if (unwanted === undefined) return { ...about, ...stands };
  // Since when no rule wants it is known to nobody.
  const { since: _since, ...rest } = stands;
  const at = row.runOpen || last === undefined ? '' : ` (${last.finishedAt})`;
  return {
    ...about,
    ...rest,
    standing: 'unwanted',
    text: `${unwanted}; when it was last looked at${at}: ${stands.text}`,
  };
}

type Stands = Pick<ExplainedPromotion, 'standing' | 'text' | 'since' | 'step' | 'code' | 'reason' | 'remedy'>;

function explainOpen({ steps }: ExplainInput, row: PromotionRow): Stands {
  const done = steps.get(row.runId ?? '') ?? [];
  const since = { since: row.runOpenedAt ?? row.wantedAt };
  const before = row.last?.outcome === 'promoted' ? `; until it ends, ${row.destination} is what it was` : '';
  if (row.state === 'waiting') {
    const reason = done.findLast(({ step }) => step === 'markWaiting')?.text ?? 'evidence is missing';
    const remedy = 'Sign the image as the rule asks: the push of the signature wakes the run.';
    return { ...since, standing: 'waiting', text: `waits for evidence: ${reason}${before}`, reason, remedy };
  }
  const trouble = done.findLast(({ state, waitsFor }) => state === 'waiting' && waitsFor !== undefined);
  const step = done.findLast(({ state }) => state === 'working') ?? trouble ?? done.at(-1);
  if (step === undefined) return { ...since, standing: 'working', text: `its run is about to begin${before}` };
  const at = `${step.step} ${step.state}${step.text === '' ? '' : `: ${step.text}`}`;
  const { waitsFor, state } = step;
  if (waitsFor === undefined || state !== 'waiting')
    return { ...since, standing: 'working', text: `a run is at it, ${at}${before}`, step: step.step };
  const { code, tries, nextAt } = waitsFor;
  const text = `a run is at it, ${at}; tried ${tries === 1 ? 'once' : `${tries} times`}, again at about ${nextAt}${before}`;
  return { ...since, standing: 'working', text, step: step.step, code };
}

function explainPutOff({ paused }: ExplainInput, row: PromotionRow): Stands {
  const since = row.wantedAt;
  if (!paused) return { since, standing: 'queued', text: 'it is wanted, and the schedule starts its run' };
  return {
    since,
    standing: 'paused',
    text: 'it is wanted, and PROMOTION_PAUSED keeps new runs from starting',
    remedy: 'Take PROMOTION_PAUSED away: the schedule starts what has been wanted meanwhile.',
  };
}

function explainLast({ seen }: ExplainInput, row: PromotionRow, rule: Rule | undefined): Stands {
  const { source, destination, failures, since, last } = row;
  if (last === undefined) return { standing: 'queued', text: 'no run has ended yet' };
  const { outcome, code, reason, remedy } = last;
  const why = {
    since: since ?? last.finishedAt,
    ...(code !== undefined && { code }),
    ...(reason !== undefined && { reason }),
    ...(remedy !== undefined && { remedy }),
  };
  const because = [code, reason].filter((part) => part !== undefined && part !== '').join(': ');
  switch (outcome) {
    case 'promoted':
    case 'unchanged':
    case 'completed': {
      if (code !== undefined) return { ...why, standing: 'nothing', text: `there is nothing to promote: ${because}` };
      const moved = movedText(seen, {
        source: formatReference(source),
        destination,
        digest: last.digest,
        at: why.since,
      });
      // When it moved is known to nobody: `since` is when the destination got what it has.
      if (moved !== undefined) return { standing: 'moved', text: moved };
      const unchecked = uncheckedText(row, rule);
      if (unchecked !== undefined) return { standing: 'queued', text: unchecked };
      return { ...why, standing: 'in_sync', text: `${destination} is ${last.digest ?? 'as the rule wants it'}` };
    }
    case 'failed': {
      const pauseEnds = new Date(Date.parse(last.finishedAt) + failurePauseMs(failures)).toISOString();
      const scheduled = rule?.triggers.includes('schedule') === true && code !== 'SOURCE_GONE';
      const again = scheduled ? `the schedule tries again after ${pauseEnds}` : 'the next push tries again';
      const text = `failed ${failures === 1 ? 'once' : `${failures} times in a row`}, ${because}; ${again}`;
      return { ...why, standing: 'failed', text };
    }
    case 'observed':
      return { ...why, standing: 'observed', text: `the rule only observes; it would do this: ${reason ?? 'nothing'}` };
    case 'refused':
      return { ...why, standing: 'refused', text: `refused: ${because}` };
    case 'cancelled':
    case 'superseded':
      return { ...why, standing: 'cancelled', text: `${outcome}${because === '' ? '' : `: ${because}`}` };
  }
}

/** The rule demands evidence that was not asked for when this digest was promoted. */
function uncheckedText(row: PromotionRow, rule: Rule | undefined): string | undefined {
  const digest = row.last?.digest;
  if (rule === undefined || digest === undefined || isGatePassed(row, digest, evidencePolicyHash(rule)))
    return undefined;
  const who = rule.triggers.includes('schedule') ? 'the next schedule run' : 'the next push';
  return `${row.destination} is ${digest}, and whether it has the evidence that the rule demands by now is not checked yet: ${who} checks it`;
}

function movedText(
  seen: ExplainInput['seen'],
  { source, destination, digest, at }: { source: string; destination: string; digest: string | undefined; at: string },
): string | undefined {
  if (digest === undefined) return undefined;
  const [from, to] = [seen.get(source), seen.get(destination)];
  const got = `${destination} got ${digest} at ${at}`;
  if (from === null) return `${source} is not there any more; ${got}`;
  if (from !== undefined && from !== digest)
    return `${source} is ${from} by now, and ${got}: the push's event or the schedule starts the next run`;
  if (to === undefined || to === digest) return undefined;
  return `${got}, and ${to === null ? 'is not there any more' : `is ${to} by now`}: the schedule sets it right`;
}
