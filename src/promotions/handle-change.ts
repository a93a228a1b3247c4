import { InputError, RegistryError, formatReference, parseManifest } from '../oci/index.js';
import { writesTo } from '../rules/destination.js';
import { isSourceRepository, matchRules, subjectOfDigestTag, type TagName } from '../rules/match.js';
import { promotionId } from '../rules/promotion-id.js';
import type { Rule } from '../rules/rule.js';
import type { Ports } from '../ports/ports.js';
import { done, ignored, referenceOf, unreadable, type Change, type EventPorts, type Handled } from './change.js';
import {
  INCREMENTS_PER_CALL,
  causeOf,
  knowsOf,
  incrementBySubject,
  incrementer,
  type Above,
} from './increment-by-subject.js';

/** Levels of referrers of referrers that are followed upwards. */
const MOST_LEVELS = 16;
/**
 * Increments the promotions of a tag that was pushed or deleted, or, for a manifest that refers to another, those that stand on its root
 * subject. May be called any number of times: what a promotion knows costs reads only.
 * @param from where to go on: `next` of the call before @param most promotions on a subject that are raised; 50 in any case
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
    const by = await ports.store.attachedBy({ registry, repository, digest });
    const above = await subjectsAbove(ports, change, digest, signal);
    ({ missing } = above);
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
    // It may refer to something.
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
      await increment(rule, source, { ...causeOf(change), ...(digest !== undefined && { digest }), at: change.at });
    } catch (error) {
      // One rule's destination may not be made of this name: no reason to keep it from the others.
      failure ??= { error };
    }
  }
  if (failure !== undefined) throw failure.error;
  return { ...done(`${reference}: ${incremented.length} promotions`), incremented, runs };
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

/** A deletion is a reason to look, no more: only promotions that there are already. */
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

/** The subjects above a manifest, nearest first; none if it refers to nothing. `missing`: the first on the way up that is not there. */
async function subjectsAbove(
  ports: Pick<Ports, 'registries'>,
  { registry, repository }: { registry: string; repository: string },
  digest: string,
  signal: AbortSignal,
): Promise<{ subjects: string[]; missing?: string }> {
  const repositoryOf = ports.registries.repository(registry, repository);
  const subjects: string[] = [];
  let next: string | undefined = digest;
  for (let level = 0; next !== undefined && level < MOST_LEVELS; level += 1) {
    const reading: string = next;
    try {
      const { bytes, descriptor } = await repositoryOf.fetchManifest(reading, { signal });
      next = parseManifest(bytes, descriptor.mediaType, `${registry}/${repository}@${reading}`).subject?.digest;
    } catch (error) {
      // Deleted since, or not there yet.
      if (error instanceof RegistryError && error.notFound) return { subjects, missing: reading };
      // No manifest that can be read: what was found so far counts, and a run on the tag itself will say what is wrong with it.
      if (!(error instanceof InputError)) throw error;
      next = undefined;
    }
    if (next !== undefined) {
      if (subjects.includes(next)) break;
      subjects.push(next);
    }
  }
  return { subjects };
}
