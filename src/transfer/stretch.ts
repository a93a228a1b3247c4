import {
  InputError,
  PolicyError,
  PromoterError,
  RegistryError,
  TransportError,
  isDigest,
  rememberRepository,
  type Answer,
  type Memory,
  type Registries,
  type Repository,
} from '../oci/index.js';
import type { More, StretchCursor } from './contracts.js';
import { keepAnswers, readAnswers, sizeOf, KEPT_ANSWERS_BYTES } from './kept-answers.js';
import type { Ports, StretchLimits } from '../ports/ports.js';
import type { StepCall } from '../ports/step.js';

/**
 * How long one call works on what asks for all of a graph, in milliseconds, how many requests it makes, and how many bytes it
 * keeps of their answers, before it asks for another call.
 */
export const STRETCH_MS = 5 * 60_000;
export const STRETCH_REQUESTS = 5_000;
export const STRETCH_BYTES = 32 * 1024 * 1024;
/** After so long without any answer, in milliseconds, what was answered before may have changed, and is asked for again. */
export const STALE_ANSWERS_MS = 15 * 60_000;

/** So much was asked as one stretch may; no error, and never told. */
class StretchOver extends Error {}

type StretchPorts = Pick<Ports, 'documents' | 'now'>;

type Answered = readonly [question: string, answer: Answer];

/** When the last answer came, among the answers. */
const LAST = 'last answer';

/**
 * One stretch of something that asks registries a lot. What was answered in the stretches before is recalled, so that whoever asks
 * begins from the start each time and yet gets on; what is asked beyond the stretch's bounds is not asked any more.
 */
class Stretch implements Memory {
  readonly #ports: StretchPorts;
  readonly #folder: string;
  readonly #index: number;
  readonly #limits: StretchLimits;
  readonly #endMs: number;
  readonly #answers = new Map<string, Answer>();
  /** Those of this stretch, which it is to keep; null: it holds no longer. */
  readonly #own = new Map<string, Answer | null>();
  readonly #doing = new Set<Promise<unknown>>();
  #bytes = 0;
  #asked = 0;
  #isAnswered = false;

  /** @param index its number, from 0 on */
  constructor(ports: StretchPorts, folder: string, index: number, limits: StretchLimits) {
    this.#ports = ports;
    this.#folder = folder;
    this.#index = index;
    this.#limits = limits;
    this.#endMs = performance.now() + limits.ms;
  }

  /**
   * Reads what the stretches before it, and an earlier try of this one, have found out. What may have changed while nothing was
   * answered for long is forgotten.
   * @throws CopyError `GRAPH_TOO_LARGE`
   */
  async goOn(): Promise<void> {
    let room: number = KEPT_ANSWERS_BYTES;
    for (let index = 0; index <= this.#index; index += 1) {
      const { answers, bytes } = await readAnswers(this.#ports, this.#folder, index, room);
      room -= bytes;
      for (const { question, answer } of answers) {
        if (answer === null) this.#answers.delete(question);
        else this.#answers.set(question, answer);
        if (index === this.#index) this.#own.set(question, answer);
      }
    }
    const last = this.#answers.get(LAST)?.at;
    if (last !== undefined && this.#nowMs - last >= STALE_ANSWERS_MS) this.#forget(mayChange);
  }

  get #nowMs(): number {
    return this.#ports.now().getTime();
  }

  recall(question: string, ask: () => Promise<Answer>): Promise<Answer> {
    const known = this.#answers.get(question);
    return known === undefined ? this.pass(() => this.#ask(question, ask)) : Promise.resolve(known);
  }

  recallBlob(question: string, ask: () => Promise<Answer>): Promise<Answer> {
    const known = this.#answers.get(question);
    return known === undefined ? this.#ask(question, ask) : Promise.resolve(known);
  }

  async #ask(question: string, ask: () => Promise<Answer>): Promise<Answer> {
    const answer = await ask();
    this.#isAnswered = true;
    this.#know(question, answer);
    return answer;
  }

  /** Since when something is so, in milliseconds since 1970: since this was asked first, in this stretch or one before. */
  since(what: string): number {
    const question = `since ${what}`;
    const at = this.#answers.get(question)?.at ?? this.#nowMs;
    this.#know(question, { at });
    return at;
  }

  /** @throws StretchOver where this stretch has had enough, and all that was begun has ended */
  async pass<T>(work: () => Promise<T>): Promise<T> {
    if (this.#isOver) {
      while (this.#doing.size > 0) await Promise.allSettled(this.#doing);
      throw new StretchOver();
    }
    this.#asked += 1;
    const doing = work();
    this.#doing.add(doing);
    try {
      return await doing;
    } finally {
      this.#doing.delete(doing);
    }
  }

  /** How many answers are known. */
  get known(): number {
    return this.#answers.size;
  }

  /** One thing at least is asked in each. */
  get #isOver(): boolean {
    const { requests, bytes } = this.#limits;
    return this.#asked > 0 && (this.#asked >= requests || this.#bytes >= bytes || performance.now() >= this.#endMs);
  }

  #know(question: string, answer: Answer): void {
    this.#answers.set(question, answer);
    this.#note(question, answer);
  }

  #note(question: string, answer: Answer | null): void {
    this.#bytes += sizeOf(answer);
    this.#own.set(question, answer);
  }

  #forget(which: (answered: Answered) => boolean): void {
    for (const answered of this.#answers) {
      if (!which(answered)) continue;
      const [question] = answered;
      this.#answers.delete(question);
      this.#note(question, null);
    }
  }

  /** Keeps what was found out, for the next stretch. */
  async keep(): Promise<void> {
    if (this.#isAnswered) this.#know(LAST, { at: this.#nowMs });
    await keepAnswers(this.#ports, this.#folder, this.#index, this.#own);
  }

  /**
   * Keeps what was found out before something failed, for the next try of this stretch. A manifest that wasn't there may be there
   * by then, and may not be named any more by what has named it. Where something else wasn't there, or was lost, all that can change
   * is forgotten.
   */
  async keepAfter(error: unknown): Promise<void> {
    if (error instanceof PolicyError || error instanceof InputError) return;
    const gone = new Set([...this.#answers].filter(isGone).map(([question]) => subjectOf(question)));
    if (isTrouble(error)) this.#forget(isGone);
    else if (gone.size > 0) this.#forget(([, answer]) => answer.missing !== undefined || names(answer, gone));
    else this.#forget(mayChange);
    if (this.#own.size === 0) return;
    try {
      await this.keep();
    } catch {
      // Without it, only this stretch is lost.
    }
  }
}

/** Nothing was said of what was looked for: a registry is down, or too much was asked. */
function isTrouble(error: unknown): boolean {
  if (error instanceof DOMException) return true;
  if (!(error instanceof PromoterError)) return false;
  if (error instanceof RegistryError) return !error.notFound;
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
function names({ bytes, descriptor, referrers = [] }: Answer, digests: ReadonlySet<string>): boolean {
  if (bytes !== undefined) return false;
  return [...referrers, ...(descriptor ? [descriptor] : [])].some(({ digest }) => digests.has(digest));
}

/** Content stays what it is, and what is found by its digest, and since when something is so. */
function mayChange([question, { at, bytes, descriptor }]: Answered): boolean {
  if (at !== undefined || bytes !== undefined) return false;
  const isByDigest = isDigest(subjectOf(question));
  return descriptor === undefined || !isByDigest || !question.startsWith('resolve ');
}

export function isMore(result: object): result is More {
  return 'state' in result && result.state === 'more';
}

/** Registries that recall what they answered, and did, in the stretches before; what is asked in another round is asked anew. */
export interface Recalling extends Registries {
  repository(registry: string, repository: string, round?: number): Repository;
  /** Does something that need not be done again in the stretches to come. */
  once(what: string, work: () => Promise<unknown>): Promise<void>;
  /** Since when something is so, in milliseconds since 1970: since this was asked first. */
  since(what: string): number;
}

/**
 * Does work that asks registries as much as the graph is large, for as long as one call may: over registries whose answers are
 * recalled, again from the start as often as it takes. Done twice, or broken off, a stretch costs itself and no more.
 * @param step whose work it is; what it finds out is kept as documents of the run
 */
export async function inStretches<T extends object>(
  ports: Pick<Ports, 'registries' | 'documents' | 'stretch' | 'now'>,
  step: string,
  { runId, cursor }: { runId: string; cursor?: StretchCursor | undefined },
  { signal, waitedMs = 0, progress }: StepCall,
  work: (recalling: Recalling) => Promise<T>,
): Promise<T | More> {
  const { stretch: index = 0, since = ports.now().getTime() } = cursor ?? {};
  const stretch = new Stretch(ports, `plans/${runId}/${step}`, index, ports.stretch);
  if (index > 0 || waitedMs > 0) await stretch.goOn();
  try {
    return await work({
      repository: (registry, repository, round) =>
        rememberRepository(ports.registries.repository(registry, repository), stretch, round),
      once: async (what, doIt) => {
        await stretch.recall(what, async () => {
          await doIt();
          return { yes: true };
        });
      },
      since: (what) => stretch.since(what),
    });
  } catch (error) {
    if (!(error instanceof StretchOver)) {
      if (!signal.aborted) await stretch.keepAfter(error);
      throw error;
    }
  }
  await stretch.keep();
  progress.text(`${stretch.known} answers so far; to be gone on with`);
  return { state: 'more', cursor: { stretch: index + 1, since } };
}
