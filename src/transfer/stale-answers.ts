import { PromoterError, RegistryError, TransportError, isDigest } from '../oci/index.js';
import type { KeptAnswer } from './checkpoint.js';

/** A request to a registry, and its answer. */
export type Answered = readonly [question: string, answer: KeptAnswer];

/**
 * Which answers no longer hold after something failed. A manifest that was not there may be there by then, and may not be named any more by
 * what has named it. If something else was not there, or was lost, all that can change is forgotten.
 */
export function staleAfter(error: unknown, answers: Iterable<Answered>): (answered: Answered) => boolean {
  if (isTrouble(error)) return isGone;
  const gone = new Set([...answers].filter(isGone).map(([question]) => subjectOf(question)));
  if (gone.size > 0) return ([, answer]) => answer.missing !== undefined || names(answer, gone);
  // A registry that refuses something lacks what it was said to have: manifests that are named by digest, too.
  return isRefusal(error) ? isOfItsTime : mayChange;
}

/**
 * The registry did not answer the question: it is down, or asks for less. A refusal is something else: for a manifest whose blob is
 * missing, one registry answers 404, another 400.
 */
function isTrouble(error: unknown): boolean {
  if (error instanceof DOMException) return true;
  if (!(error instanceof PromoterError)) return false;
  if (error instanceof RegistryError) return error.transient;
  return error instanceof TransportError || isTrouble(error.cause);
}

/** What a question is about: its last word. */
function subjectOf(question: string): string {
  return question.slice(question.lastIndexOf(' ') + 1);
}

/** A manifest that wasn't there, though something names it. */
function isGone([question, { missing }]: Answered): boolean {
  return missing !== undefined && question.startsWith('manifest ');
}

/** A list of referrers, or a tag, that leads to one of these. */
function names({ bytes, descriptor, referrers = [] }: KeptAnswer, digests: ReadonlySet<string>): boolean {
  if (bytes !== undefined) return false;
  return [...referrers, ...(descriptor ? [descriptor] : [])].some(({ digest }) => digests.has(digest));
}

/** Content stays what it is, and what was done once, and since when something is so. */
function isOfItsTime([, { at, bytes, json }]: Answered): boolean {
  return at === undefined && bytes === undefined && json === undefined;
}

/** Answers that may have changed while nothing was asked for long. What is found by its digest stays, as a rule. */
export function mayChange(answered: Answered): boolean {
  const [question, { descriptor }] = answered;
  const isByDigest = isDigest(subjectOf(question));
  return isOfItsTime(answered) && (descriptor === undefined || !isByDigest || !question.startsWith('resolve '));
}

/** A registry has said no, and not for now. */
function isRefusal(error: unknown): boolean {
  return error instanceof RegistryError || (error instanceof PromoterError && isRefusal(error.cause));
}
