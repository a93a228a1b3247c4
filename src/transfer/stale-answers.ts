import { PromoterError, RegistryError, TransportError, isDigest } from '../oci/index.js';
import type { KeptAnswer } from './checkpoint.js';

/** A request to a registry, and its answer. */
export type Answered = readonly [question: string, answer: KeptAnswer];

/**
 * Which stored answers become invalid after an error. If a manifest was missing, it may exist later, or the lists and
 * tags that name it may change. If anything else was missing or lost, every answer that can change becomes invalid.
 */
export function staleAfter(error: unknown, answers: Iterable<Answered>): (answered: Answered) => boolean {
  if (isTrouble(error)) return isGone;
  const gone = new Set([...answers].filter(isGone).map(([question]) => subjectOf(question)));
  if (gone.size > 0) return ([, answer]) => answer.missing !== undefined || names(answer, gone);
  // If a registry refuses a write, it may lack content that it reported earlier. Answers about manifests by digest
  // become invalid, too.
  return isRefusal(error) ? isOfItsTime : mayChange;
}

/**
 * True if the registry did not answer the question, because it is down or limits requests. A refusal is an answer. For
 * a manifest with a missing blob, one registry answers 404 and another 400.
 */
function isTrouble(error: unknown): boolean {
  if (error instanceof DOMException) return true;
  if (!(error instanceof PromoterError)) return false;
  if (error instanceof RegistryError) return error.transient;
  return error instanceof TransportError || isTrouble(error.cause);
}

/** The subject of a question: its last word. */
function subjectOf(question: string): string {
  return question.slice(question.lastIndexOf(' ') + 1);
}

/** A manifest that was missing although something names it. */
function isGone([question, { missing }]: Answered): boolean {
  return missing !== undefined && question.startsWith('manifest ');
}

/** A list of referrers or a tag that names one of these digests. */
function names({ bytes, descriptor, referrers = [] }: KeptAnswer, digests: ReadonlySet<string>): boolean {
  if (bytes !== undefined) return false;
  return [...referrers, ...(descriptor ? [descriptor] : [])].some(({ digest }) => digests.has(digest));
}

/** Everything except content, results of work that is done once, and times: these never change. */
function isOfItsTime([, { at, bytes, json }]: Answered): boolean {
  return at === undefined && bytes === undefined && json === undefined;
}

/** Answers that may be outdated after a long pause. Content that is found by its digest normally stays. */
export function mayChange(answered: Answered): boolean {
  const [question, { descriptor }] = answered;
  const isByDigest = isDigest(subjectOf(question));
  return isOfItsTime(answered) && (descriptor === undefined || !isByDigest || !question.startsWith('resolve '));
}

/** True if a registry gave a final refusal. */
function isRefusal(error: unknown): boolean {
  return error instanceof RegistryError || (error instanceof PromoterError && isRefusal(error.cause));
}
