import { mapConcurrently } from '../oci/index.js';
import { subjectOfDigestTag, type TagName } from '../rules/match.js';
import { currentRule } from '../rules/current-rule.js';
import type { Rule } from '../rules/rule.js';
import { incrementGeneration, type RowTrigger } from '../rows/increment.js';
import type { Told } from '../rows/news.js';
import type { TriggerCause } from '../rows/run-row.js';
import type { StorePort } from '../ports/store.js';
import type { Runs } from '../ports/runs.js';
import { done, unreadable, type Change, type EventPorts, type Handled } from './change.js';

/** Promotions that one call raises: some seconds' work, since Event Grid waits 30 seconds for its answer. */
export const INCREMENTS_PER_CALL = 50;
const RAISED_AT_ONCE = 8;

/** What a row says of the change. */
export function causeOf({ by, id, kind }: Change, ofTag: TriggerCause['kind'] = 'push'): Omit<TriggerCause, 'at'> {
  if (by === 'schedule') return { kind: 'schedule' };
  return { kind: kind === 'deleted' ? 'deletion' : ofTag, ...(id !== undefined && { id }) };
}

type Increment = (rule: Rule, source: TagName, trigger: RowTrigger) => Promise<void>;

/** Raises, and keeps the promotions and their runs for the log. */
export function incrementer(ports: EventPorts): Pick<Handled, 'incremented' | 'runs'> & { increment: Increment } {
  const incremented: string[] = [];
  const runs: string[] = [];
  const increment: Increment = async (rule, source, trigger) => {
    const { promotionId: id, runId, isNew } = await incrementGeneration(ports, rule, source, trigger);
    if (isNew) incremented.push(id);
    if (runId !== undefined) runs.push(runId);
  };
  return { incremented, runs, increment };
}

export interface Above {
  subjects: readonly string[];
  /** One of them, or of those above, that is not there. */
  missing?: string;
  reference: string;
  from: string | undefined;
  most: number;
}

/** Who needs not look at what a run of ours has attached, or a job. */
type Knows = (promotionId: string, rule: Rule) => boolean;

/**
 * We attached it ourselves: the promotion that did so knows, and so do those whose rules ask for as much and find it. All others that
 * stand on its subject look, as after anybody's referrer; each attaches once, so that this comes to an end.
 */
export async function knowsOf({ store }: StorePort<Runs>, runId: string): Promise<Knows> {
  const input = (await store.getRun(runId))?.value.input;
  const by = input?.kind === 'promotion' ? input : undefined;
  return (id, rule) => by !== undefined && (id === by.promotionId || asksForAsMuch(rule, by.rule));
}

function asksForAsMuch({ attachTo, sbom, sign }: Rule, than: Rule): boolean {
  return (
    attachTo === 'source' &&
    than.sbom.formats.every((format) => sbom.formats.includes(format)) &&
    than.sign.every((format) => sign.includes(format))
  );
}

/**
 * Evidence came, or a manifest is gone: every promotion that stands on one of these digests looks again, in the order of their ids; of more
 * than 2,000 the schedule finds the rest.
 */
export async function incrementBySubject(
  ports: EventPorts,
  rules: readonly Rule[],
  change: Change,
  { subjects, missing, reference, from = '', most }: Above,
  knows: Knows = () => false,
): Promise<Handled> {
  const { registry, repository } = change;
  const standing = new Set<string>();
  for (const digest of subjects) {
    for (const id of await ports.store.listPromotionsOfSubject({ registry, repository, digest })) standing.add(id);
  }
  if (standing.size === 0 && missing !== undefined) return unreadable(reference, missing);
  const left = [...standing].filter((id) => id > from).toSorted();
  const { incremented, runs, increment } = incrementer(ports);
  const some = left.slice(0, Math.min(most, INCREMENTS_PER_CALL));
  await mapConcurrently(some, RAISED_AT_ONCE, async (id) => {
    const row = (await ports.store.getPromotion(id))?.value;
    const rule = row && currentRule(rules, row.rule, row.source);
    if (row === undefined || rule === undefined || knows(id, rule)) return;
    await increment(rule, row.source, { ...causeOf(change, 'referrer'), ...newsOf(change, subjects) });
  });
  const next = some.length < left.length ? some.at(-1) : undefined;
  const what = change.kind === 'deleted' ? 'deleted' : `refers to ${subjects.at(-1) ?? ''}`;
  const more = next === undefined ? '' : `, ${left.length - some.length} more to come`;
  return {
    ...done(`${reference}: ${what}, ${incremented.length} promotions look${more}`),
    ...(next !== undefined && { state: 'more', next }),
    incremented,
    runs,
  };
}

/** What a promotion hears that stands on the subject. */
function newsOf({ kind, tag, digest, at }: Change, [subject]: readonly string[]): Told {
  if (digest === undefined) return {};
  if (kind === 'deleted') return { digest, deleted: true, at };
  const isDigestTag = tag !== undefined && subjectOfDigestTag(tag) !== undefined;
  // A referrers tag is a list, and moves with each referrer.
  if (isDigestTag && !tag.includes('.')) return {};
  const told = { referrer: digest, ...(subject !== undefined && { referrerSubject: subject }), at };
  return isDigestTag ? { ...told, referrerTag: tag } : told;
}
