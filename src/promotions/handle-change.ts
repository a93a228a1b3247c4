import { subjectsAbove } from '../evidence/classify.js';
import type { Change, EventPorts, Handled } from './change.js';
import { formatReference, mapConcurrently } from '../oci/index.js';
import {
  writesTo,
  isSourceRepository,
  matchRules,
  subjectOfDigestTag,
  type TagName,
  currentRule,
} from '../rules/match.js';
import { promotionId, type Rule } from '../rules/rule.js';
import type { Ports } from '../ports/ports.js';
import { incrementGeneration, type RowTrigger } from '../rows/generation.js';
import type { TriggerReport } from '../rows/news.js';
import type { TriggerCause } from '../rows/run-row.js';
import type { StorePort } from '../ports/store.js';
import type { Runs } from '../ports/runs.js';
import type { RegistryEvent } from '../messages/registry-event.js';
import type { IgnoredEvents } from '../ports/ignored-events.js';

/**
 * Triggers the promotions of a tag that was pushed or deleted. For a manifest that refers to another, triggers the
 * promotions that contain its root subject. Can be repeated: a promotion that knows the change already costs reads
 * only.
 * @param from where to continue: `next` of the call before
 * @param most maximum promotions of a subject to trigger, at most 50
 */
export async function handleChange(
  ports: EventPorts,
  change: Change,
  signal: AbortSignal,
  from?: string,
  most = INCREMENTS_PER_CALL,
): Promise<Handled> {
  const reference = referenceOf(change);
  const { registry, repository, digest } = change;
  if (!ports.jobPolicy.allowedRegistries.includes(registry)) {
    return ignored(reference, `registry ${registry} is not in ALLOWED_REGISTRIES`);
  }
  const all = await ports.rules.load();
  const rules = all.filter((rule) => rule.triggers.includes(change.by));
  if (change.kind === 'deleted') return handleDeletion(ports, rules, change, { reference, from, most });
  const isSource = rules.some((rule) => isSourceRepository(rule, registry, repository));
  const tagged = change.tag === undefined ? undefined : subjectOfDigestTag(change.tag);
  if (tagged !== undefined) {
    const { subjects } = isSource ? await subjectsAbove(ports, change, tagged, signal) : { subjects: [] };
    return incrementBySubject(ports, rules, change, { subjects: [tagged, ...subjects], reference, from, most });
  }
  let missing: string | undefined;
  if (digest !== undefined && isSource) {
    const above = await subjectsAbove(ports, change, digest, signal);
    ({ missing } = above);
    // Only a manifest with a subject or without a tag can be an attachment of this app.
    const isOurs = above.subjects.length > 0 || change.tag === undefined;
    const by = isOurs ? await ports.store.attachedBy({ registry, repository, digest }) : undefined;
    if (above.subjects.length > 0) {
      const knows = by === undefined ? undefined : await knowsOf(ports, by);
      return incrementBySubject(ports, rules, change, { ...above, reference, from, most }, knows);
    }
    if (by !== undefined && missing === undefined) return done(`${reference}: attached by us, and refers to nothing`);
  }
  if (change.tag === undefined)
    return missing === undefined ? done(`${reference}: no tag, and refers to nothing`) : unreadable(reference, missing);
  const source = { registry, repository, tag: change.tag };
  const match = matchRules(rules, source);
  if (match.rules.length === 0) {
    // The missing manifest may refer to something.
    if (missing !== undefined) return unreadable(reference, missing);
    const [other] = matchRules(all, source).rules;
    if (other !== undefined && change.by === 'push')
      return ignored(reference, `rule ${other.name}: is not triggered by pushes; its schedule will look`);
    if (await isOurCopy(ports, all, source, digest)) return done(`${reference}: written by a run of ours`);
    return ignored(reference, matchRules(all, source).nearest ?? 'no rule matches it');
  }
  const { incremented, runs, increment } = incrementer(ports);
  let failure: { error: unknown } | undefined;
  for (const rule of match.rules) {
    try {
      await increment(rule, source, { ...causeOf(change), digest, at: change.at });
    } catch (error) {
      // A rule's destination may be invalid for this name. The other rules are still triggered.
      failure ??= { error };
    }
  }
  if (failure !== undefined) throw failure.error;
  return { ...done(`${reference}: ${incremented.length} promotions`), incremented, runs };
}

/**
 * True if the pushed tag is what a run has just written, or wrote last. There are thousands of such events, and they
 * would hide the ignored events that users look for. Pushes of others to a destination are kept.
 */
async function isOurCopy(
  { store }: Pick<EventPorts, 'store'>,
  rules: readonly Rule[],
  { registry, repository, tag }: TagName,
  digest: string | undefined,
): Promise<boolean> {
  if (digest === undefined || !rules.some((rule) => writesTo(rule, registry, repository))) return false;
  const destination = formatReference({ registry, repository, tag });
  for (const { last, runId, runOpen } of (await store.listPromotions({ filter: { destination } })).items) {
    if (last?.digest === digest) return true;
    // The event may arrive before the end of the run.
    if (runOpen && runId !== undefined && (await store.getRun(runId))?.value.digest === digest) return true;
  }
  return false;
}

/** A deletion triggers existing promotions only; it creates none. */
async function handleDeletion(
  ports: EventPorts,
  rules: readonly Rule[],
  change: Change,
  bounds: Pick<Above, 'reference' | 'from' | 'most'>,
): Promise<Handled> {
  const { registry, repository, tag, digest, at } = change;
  if (tag === undefined) {
    const subjects = digest === undefined ? [] : [digest];
    return incrementBySubject(ports, rules, change, { subjects, ...bounds });
  }
  const source: TagName = { registry, repository, tag };
  const { incremented, runs, increment } = incrementer(ports);
  for (const rule of matchRules(rules, source).rules) {
    if ((await ports.store.getPromotion(promotionId(rule.name, source))) === undefined) continue;
    await increment(rule, source, { ...causeOf(change), deleted: true, at });
  }
  return { ...done(`${bounds.reference}: deleted, ${incremented.length} promotions look`), incremented, runs };
}

/**
 * Maximum promotions that one call triggers, so that it takes only seconds. Event Grid waits 30 seconds for an answer.
 */
const INCREMENTS_PER_CALL = 50;
const INCREMENTS_AT_ONCE = 8;

/** The cause that the row stores for the change. */
function causeOf({ by, id, kind }: Change, ofTag: TriggerCause['kind'] = 'push'): Omit<TriggerCause, 'at'> {
  if (by === 'schedule') return { kind: 'schedule' };
  return { kind: kind === 'deleted' ? 'deletion' : ofTag, id };
}

type Increment = (rule: Rule, source: TagName, trigger: RowTrigger) => Promise<void>;

/** Triggers promotions, and collects their ids and runs for the log. */
function incrementer(ports: EventPorts): Pick<Handled, 'incremented' | 'runs'> & { increment: Increment } {
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
  /** A subject that does not exist. */
  missing?: string;
  reference: string;
  from: string | undefined;
  most: number;
}

/** True for promotions that need not be triggered by an attachment of this app. */
type Knows = (promotionId: string, rule: Rule) => boolean;

/**
 * Tells which promotions an attachment of this app need not trigger: the promotion whose run attached it, and
 * promotions whose rules attach at least the same at the source. All other promotions with its subject are triggered,
 * as after any referrer. Each attaches only once, so this ends.
 */
async function knowsOf({ store }: StorePort<Runs>, runId: string): Promise<Knows> {
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
 * Evidence was pushed, or a manifest was deleted: triggers every promotion that contains one of these digests, ordered
 * by id. If there are more than 2,000, the schedule finds the others.
 */
async function incrementBySubject(
  ports: EventPorts,
  rules: readonly Rule[],
  change: Change,
  { subjects, missing, reference, from = '', most }: Above,
  knows: Knows = () => false,
): Promise<Handled> {
  const { registry, repository } = change;
  const containing = new Set<string>();
  for (const digest of subjects) {
    for (const id of await ports.store.listPromotionsOfSubject({ registry, repository, digest })) containing.add(id);
  }
  if (containing.size === 0 && missing !== undefined) return unreadable(reference, missing);
  const left = [...containing].filter((id) => id > from).toSorted();
  const { incremented, runs, increment } = incrementer(ports);
  const some = left.slice(0, Math.min(most, INCREMENTS_PER_CALL));
  await mapConcurrently(some, INCREMENTS_AT_ONCE, async (id) => {
    const row = (await ports.store.getPromotion(id))?.value;
    const rule = row && currentRule(rules, row.rule, row.source);
    if (row === undefined || rule === undefined || knows(id, rule)) return;
    await increment(rule, row.source, { ...causeOf(change, 'referrer'), ...newsOf(change, subjects) });
  });
  const next = some.length < left.length ? some.at(-1) : undefined;
  const what = change.kind === 'deleted' ? 'deleted' : `refers to ${subjects.at(-1) ?? ''}`;
  const more = next === undefined ? '' : `, ${left.length - some.length} more to come`;
  const { text } = done(`${reference}: ${what}, ${incremented.length} promotions look${more}`);
  return { state: next === undefined ? 'done' : 'more', next, incremented, runs, text };
}

/** What the change reports to a promotion that contains the subject. */
function newsOf({ kind, tag, digest, at }: Change, [subject]: readonly string[]): TriggerReport {
  if (digest === undefined) return {};
  if (kind === 'deleted') return { digest, deleted: true, at };
  const isDigestTag = tag !== undefined && subjectOfDigestTag(tag) !== undefined;
  // A referrers tag is a list, which each new referrer changes.
  if (isDigestTag && !tag.includes('.')) return {};
  return { referrer: digest, referrerSubject: subject, referrerTag: isDigestTag ? tag : undefined, at };
}

/** The name of a change in the log, with its tag and its digest. */
function referenceOf({ tag, digest, ...name }: Pick<Change, 'registry' | 'repository' | 'tag' | 'digest'>): string {
  return `${name.registry}/${name.repository}${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`;
}

function done(text: string): Handled {
  return { state: 'done', incremented: [], runs: [], text };
}

function ignored(reference: string, reason: string): Handled {
  return { ...done(`${reference}: ignored: ${reason}`), ignored: reason };
}

function unreadable(reference: string, missing: string): Handled {
  return { ...done(`${reference}: the registry does not know ${missing} yet`), state: 'unreadable' };
}

/**
 * Handles a push or deletion event with {@link handleChange}. An event that matches no rule is kept for a week, with
 * the nearest rule.
 * @param from where to continue: `next` of the call before
 */
export async function handleRegistryEvent(
  ports: EventPorts,
  event: RegistryEvent,
  signal: AbortSignal,
  from?: string,
): Promise<Handled> {
  const { kind, registry, repository, tag, digest, time: at, id } = event;
  const change: Change = { kind, registry, repository, tag, digest, at, by: 'push', id };
  const handled = await handleChange(ports, change, signal, from);
  if (handled.ignored !== undefined) await keepIgnored(ports, event, handled.ignored);
  return handled;
}

/** Keeps an event that triggered nothing, with the reason. */
export async function keepIgnored(
  ports: Pick<Ports, 'now'> & StorePort<IgnoredEvents>,
  event: Pick<RegistryEvent, 'id' | 'registry' | 'repository' | 'tag' | 'digest'>,
  reason: string,
): Promise<void> {
  const { id: eventId } = event;
  await ports.store.addIgnored({ at: ports.now().toISOString(), reference: referenceOf(event), eventId, reason });
}
