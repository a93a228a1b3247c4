import { InputError, RegistryError, formatReference, parseManifest } from '../oci/index.js';
import type { RegistryEvent } from '../messages/registry-event.js';
import { writesTo } from '../rules/destination.js';
import { isSourceRepository, matchRules, subjectOfDigestTag, type TagName } from '../rules/match.js';
import { promotionId } from '../rules/promotion-id.js';
import { standingRule } from '../rules/standing-rule.js';
import type { Rule } from '../rules/rule.js';
import { raiseWanted } from '../rows/increment.js';
import type { TriggerCause } from '../rows/run-row.js';
import type { Ports } from '../ports/ports.js';
import type { StorePort } from '../ports/store.js';
import type { Attachments } from '../ports/attachments.js';
import type { IgnoredEvents } from '../ports/ignored-events.js';
import type { Progress } from '../ports/progress.js';
import type { PromotionLists } from '../ports/promotion-lists.js';
import type { Promotions } from '../ports/promotions.js';
import type { Runs } from '../ports/runs.js';
import type { SubjectIndex } from '../ports/subject-index.js';

type EventPorts = Pick<Ports, 'registries' | 'engine' | 'rules' | 'paused' | 'now' | 'jobPolicy'> &
  StorePort<Promotions & Runs & Progress & PromotionLists & SubjectIndex & Attachments & IgnoredEvents>;

/** Levels of referrers of referrers that are followed upwards. */
const MOST_LEVELS = 16;

/** What came of an event, for the log. */
export interface Handled {
  raised: string[];
  /** The runs that see to it: opened by this, or open before. */
  runs: string[];
  text: string;
}

/**
 * A push or a deletion, from whichever door: raises `wanted` on the promotions of the tag, or, for a manifest that refers to
 * another, on those that stand on its root subject. What no rule wants is kept for a week with the nearest rule.
 */
export async function handleRegistryEvent(
  ports: EventPorts,
  event: RegistryEvent,
  signal: AbortSignal,
): Promise<Handled> {
  const reference = `${event.registry}/${event.repository}${event.tag === undefined ? '' : `:${event.tag}`}${event.digest === undefined ? '' : `@${event.digest}`}`;
  if (!ports.jobPolicy.allowedRegistries.includes(event.registry)) {
    return ignore(ports, event, reference, `registry ${event.registry} is not in ALLOWED_REGISTRIES`);
  }
  const all = await ports.rules.load();
  const rules = all.filter((rule) => rule.triggers.includes('push'));
  if (event.kind === 'deleted') return handleDeletion(ports, rules, event, reference);
  const isSource = rules.some((rule) => isSourceRepository(rule, event.registry, event.repository));
  const tagged = event.tag === undefined ? undefined : subjectOfDigestTag(event.tag);
  if (tagged !== undefined) {
    const above = isSource ? await subjectsAbove(ports, event, tagged, signal) : [];
    return raiseStanding(ports, rules, event, [tagged, ...above], reference);
  }
  if (event.digest !== undefined && isSource) {
    const name = { registry: event.registry, repository: event.repository, digest: event.digest };
    const by = await ports.store.attachedBy(name);
    if (by !== undefined) return raiseOthers(ports, rules, { ...event, ...name }, by, reference, signal);
    const subjects = await subjectsAbove(ports, event, event.digest, signal);
    if (subjects.length > 0) return raiseStanding(ports, rules, event, subjects, reference);
  }
  if (event.tag === undefined) return { raised: [], runs: [], text: `${reference}: no tag, and refers to nothing` };
  const source = { registry: event.registry, repository: event.repository, tag: event.tag };
  const match = matchRules(rules, source);
  if (match.rules.length === 0) {
    const [scheduled] = matchRules(all, source).rules;
    if (scheduled !== undefined)
      return ignore(
        ports,
        event,
        reference,
        `rule ${scheduled.name}: is not triggered by pushes; its schedule will look`,
      );
    if (await isOurCopy(ports, all, source, event.digest)) {
      return { raised: [], runs: [], text: `${reference}: written by a run of ours` };
    }
    return ignore(ports, event, reference, matchRules(all, source).nearest ?? 'no rule wants it');
  }
  const { raised, runs, raise } = raiser(ports);
  let failure: { error: unknown } | undefined;
  for (const rule of match.rules) {
    try {
      await raise(rule, source, { kind: 'push', id: event.id });
    } catch (error) {
      // One rule's destination may not be made of this name: no reason to keep it from the others.
      failure ??= { error };
    }
  }
  if (failure !== undefined) throw failure.error;
  return { raised, runs, text: `${reference}: ${raised.length} promotions` };
}

/**
 * True for what a run of ours has just written there, or wrote last: thousands of such events would bury those that somebody asks
 * about. What anybody else pushes to a destination is told.
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
    // The event is faster than the end of the run.
    if (runOpen && runId !== undefined && (await store.getRun(runId))?.value.digest === digest) return true;
  }
  return false;
}

type Raise = (rule: Rule, source: TagName, cause: Omit<TriggerCause, 'at'>) => Promise<void>;

/** Raises, and keeps the promotions and their runs for the log. */
function raiser(ports: EventPorts): Pick<Handled, 'raised' | 'runs'> & { raise: Raise } {
  const raised: string[] = [];
  const runs: string[] = [];
  const raise: Raise = async (rule, source, cause) => {
    const { promotionId: id, runId } = await raiseWanted(ports, rule, source, cause);
    raised.push(id);
    if (runId !== undefined) runs.push(runId);
  };
  return { raised, runs, raise };
}

async function ignore(
  ports: EventPorts,
  { id: eventId }: RegistryEvent,
  reference: string,
  reason: string,
): Promise<Handled> {
  await ports.store.addIgnored({ at: ports.now().toISOString(), reference, eventId, reason });
  return { raised: [], runs: [], text: `${reference}: ignored: ${reason}` };
}

/** A deletion is a reason to look, no more: only promotions that there are already. */
async function handleDeletion(
  ports: EventPorts,
  rules: readonly Rule[],
  event: RegistryEvent,
  reference: string,
): Promise<Handled> {
  if (event.tag === undefined) {
    const { raised, runs } = await raiseStanding(
      ports,
      rules,
      event,
      event.digest === undefined ? [] : [event.digest],
      reference,
    );
    return { raised, runs, text: `${reference}: deleted, ${raised.length} promotions look` };
  }
  const source: TagName = { registry: event.registry, repository: event.repository, tag: event.tag };
  const { raised, runs, raise } = raiser(ports);
  for (const rule of matchRules(rules, source).rules) {
    if ((await ports.store.getPromotion(promotionId(rule.name, source))) === undefined) continue;
    await raise(rule, source, { kind: 'deletion', id: event.id });
  }
  return { raised, runs, text: `${reference}: deleted, ${raised.length} promotions look` };
}

/** The subjects above a manifest, nearest first; empty where it refers to nothing. */
async function subjectsAbove(
  ports: Pick<Ports, 'registries'>,
  { registry, repository }: { registry: string; repository: string },
  digest: string,
  signal: AbortSignal,
): Promise<string[]> {
  const from = ports.registries.repository(registry, repository);
  const subjects: string[] = [];
  let next: string | undefined = digest;
  for (let level = 0; next !== undefined && level < MOST_LEVELS; level += 1) {
    try {
      const { bytes, descriptor } = await from.fetchManifest(next, { signal });
      next = parseManifest(bytes, descriptor.mediaType, `${registry}/${repository}@${next}`).subject?.digest;
    } catch (error) {
      // Deleted since, a subject that is not there (yet), or no manifest that can be read: what was found so far counts, and a
      // run on the tag itself will say what is wrong with it.
      const gone = error instanceof RegistryError && error.notFound;
      if (!gone && !(error instanceof InputError)) throw error;
      next = undefined;
    }
    if (next !== undefined) {
      if (subjects.includes(next)) break;
      subjects.push(next);
    }
  }
  return subjects;
}

/**
 * We attached it ourselves: the promotion that did so knows, and so do those whose rules ask for as much and find it. All others that
 * stand on its subject look, as after anybody's referrer; each attaches once, so that this comes to an end.
 */
async function raiseOthers(
  ports: EventPorts,
  rules: readonly Rule[],
  event: RegistryEvent & { digest: string },
  runId: string,
  reference: string,
  signal: AbortSignal,
): Promise<Handled> {
  const input = (await ports.store.getRun(runId))?.value.input;
  const by = input?.kind === 'promotion' ? input : undefined;
  const knows = (id: string, rule: Rule): boolean =>
    by !== undefined && (id === by.promotionId || asksForAsMuch(rule, by.rule));
  const subjects = await subjectsAbove(ports, event, event.digest, signal);
  const { raised, runs } = await raiseStanding(ports, rules, event, subjects, reference, knows);
  return { raised, runs, text: `${reference}: attached by us, ${raised.length} other promotions look` };
}

function asksForAsMuch({ attachTo, sbom, sign }: Rule, than: Rule): boolean {
  return (
    attachTo === 'source' &&
    than.sbom.formats.every((format) => sbom.formats.includes(format)) &&
    than.sign.every((format) => sign.includes(format))
  );
}

/** Evidence came: every promotion that stands on one of these digests looks again; of more than 2,000 the schedule finds the rest. */
async function raiseStanding(
  ports: EventPorts,
  rules: readonly Rule[],
  { registry, repository, kind, id: eventId }: RegistryEvent,
  digests: readonly string[],
  reference: string,
  knows: (promotionId: string, rule: Rule) => boolean = () => false,
): Promise<Handled> {
  const standing = new Set<string>();
  for (const digest of digests) {
    for (const id of await ports.store.listStanding({ registry, repository, digest })) standing.add(id);
  }
  const { raised, runs, raise } = raiser(ports);
  for (const id of standing) {
    const row = (await ports.store.getPromotion(id))?.value;
    const rule = row && standingRule(rules, row.rule, row.source);
    if (row === undefined || rule === undefined || knows(id, rule)) continue;
    const cause = { kind: kind === 'deleted' ? 'deletion' : 'referrer', id: eventId } as const;
    await raise(rule, row.source, cause);
  }
  return { raised, runs, text: `${reference}: refers to ${digests.at(-1) ?? ''}, ${raised.length} promotions look` };
}
