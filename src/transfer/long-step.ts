import {
  InputError,
  PolicyError,
  PromoterError,
  RegistryError,
  TransportError,
  isDigest,
  rememberRepository,
  type Memory,
  type Registries,
  type Repository,
} from '../oci/index.js';
import { Checkpoint, Overtaken } from './checkpoint.js';
import { KEPT_ANSWERS_BYTES, keepAnswers, readAnswers, sizeOf, type KeptAnswer } from './kept-answers.js';
import type { Ports } from '../ports/ports.js';
import type { StepCall, StepReply } from '../ports/step.js';

/**
 * How long one call of a long step works, in milliseconds, how many requests it makes, and how many bytes it keeps of their answers,
 * before it asks for another call.
 */
export const CALL_MS = 5 * 60_000;
export const CALL_REQUESTS = 5_000;
export const CALL_BYTES = 32 * 1024 * 1024;

/** How often what was found out is kept while a call works, in milliseconds: so much is done again after a crash. */
const KEEP_EVERY_MS = 20_000;
/** After so long without any answer, in milliseconds, what was answered before may have changed, and is asked for again. */
const STALE_MS = 15 * 60_000;
/** Documents after which all that is known is kept as one, if it has no more bytes: a large upload is noted a thousand times. */
const MOST_PIECES = 32;
const MERGED_BYTES = 4 * 1024 * 1024;
/** The pause of a call that another one has overtaken, in milliseconds. */
const OVERTAKEN_MS = 2_000;

/** So much was done as one call may do; no error, and never told. */
class CallOver extends Error {}

type LongStepPorts = Pick<Ports, 'registries' | 'documents' | 'callBounds' | 'now'>;

type Answered = readonly [question: string, answer: KeptAnswer];

/** When the last answer came, among the answers. */
const LAST = 'last answer';

/** What a long step works with: what was answered or done in an earlier call is not asked or done again. */
export interface LongStep extends Registries {
  /** What is asked in another round is asked anew. */
  repository(registry: string, repository: string, round?: number): Repository;
  /** Does something once, in whichever call; what it returns is JSON. */
  once<T>(what: string, work: () => Promise<T>): Promise<T>;
  /** Since when something is so, in milliseconds since 1970: since this was asked first. */
  since(what: string): number;
  /** Keeps what was found out so far. Counts as progress. */
  keep(): Promise<void>;
  /** What was noted last, by this call or an earlier one. */
  noted(what: string): unknown;
  /** Notes how far something is, as JSON. It is kept with the next {@link keep}. */
  note(what: string, json: unknown): void;
  /** A document of this step, for what is too large to be noted. Writing it counts as progress. */
  document(name: string): { read(): Promise<Uint8Array | undefined>; write(bytes: Uint8Array): Promise<void> };
  /** True if this call has worked for as long as one may. */
  readonly isTimeUp: boolean;
  /** Ends this call, when all that was begun has ended; the next one goes on. */
  goOnLater(): Promise<never>;
}

/**
 * Does work that grows with the graph, for as long as one call may: it begins from the start in each call, and what earlier calls have
 * found out or done is recalled from documents. Done twice, or broken off, it costs what was not kept yet. The same input is called
 * again until it answers `done`.
 * @param step whose work it is
 * @throws PromoterError `STEP_STUCK` if eight attempts ended without progress
 */
export async function longStep<T>(
  ports: LongStepPorts,
  step: string,
  { runId }: { runId: string },
  { signal, progress }: Pick<StepCall, 'signal' | 'progress'>,
  work: (step: LongStep) => Promise<T | Busy>,
): Promise<StepReply<T>> {
  try {
    const answers = new Answers(ports, await Checkpoint.begin(ports, `plans/${runId}/${step}`));
    try {
      await answers.recallAll();
      const done = await work(answers);
      if (!(done instanceof Busy)) return { done };
      await answers.keep();
      await answers.endInOrder();
      return { retryAfterMs: done.retryAfterMs };
    } catch (error) {
      if (error instanceof CallOver) {
        await answers.keep();
        await answers.endInOrder();
        progress.text(`${answers.count} answers so far; to be gone on with`);
        return { retryAfterMs: 0 };
      }
      // A call that was stopped counts as an attempt: its time was over, say.
      if (!signal.aborted) await answers.keepAfter(error);
      throw error;
    }
  } catch (error) {
    if (!(error instanceof Overtaken)) throw error;
    progress.text('another call goes on with it');
    return { retryAfterMs: OVERTAKEN_MS };
  }
}

/** What a long step answers that waits for its turn: a lease, say. */
export class Busy {
  readonly retryAfterMs: number;

  constructor(retryAfterMs: number) {
    this.retryAfterMs = retryAfterMs;
  }
}

class Answers implements Memory, LongStep {
  readonly #ports: LongStepPorts;
  readonly #checkpoint: Checkpoint;
  readonly #endMs: number;
  readonly #answers = new Map<string, KeptAnswer>();
  /** Those that no document has yet; null: it holds no longer. */
  readonly #fresh = new Map<string, KeptAnswer | null>();
  readonly #doing = new Set<Promise<unknown>>();
  /** Parts that have begun and ask for more themselves. */
  #holding = 0;
  #bytes = 0;
  #asked = 0;
  #isAnswered = false;
  #keptMs = performance.now();
  #keeping: Promise<void> = Promise.resolve();
  #overtaken: Overtaken | undefined;

  constructor(ports: LongStepPorts, checkpoint: Checkpoint) {
    this.#ports = ports;
    this.#checkpoint = checkpoint;
    this.#endMs = performance.now() + ports.callBounds.ms;
  }

  /** Reads what earlier calls have kept. What may have changed while nothing was answered for long is forgotten. @throws CopyError `GRAPH_TOO_LARGE` */
  async recallAll(): Promise<void> {
    let room: number = KEPT_ANSWERS_BYTES;
    for (const piece of this.#checkpoint.pieces) {
      const { answers, bytes } = await readAnswers(this.#ports, piece, room);
      room -= bytes;
      for (const { question, answer } of answers) {
        if (answer === null) this.#answers.delete(question);
        else this.#answers.set(question, answer);
      }
    }
    const last = this.#answers.get(LAST)?.at;
    if (last !== undefined && this.#nowMs - last >= STALE_MS) this.#forget(mayChange);
  }

  repository(registry: string, repository: string, round?: number): Repository {
    return rememberRepository(this.#ports.registries.repository(registry, repository), this, round);
  }

  async once<T>(what: string, work: () => Promise<T>): Promise<T> {
    const known = this.#answers.get(what);
    const { json } =
      known ??
      (await this.#passHolding(() => this.#ask(what, async (): Promise<KeptAnswer> => ({ json: await work() }))));
    // It is what `work` has returned, in this call or an earlier one.
    return json as T;
  }

  noted(what: string): unknown {
    return this.#answers.get(`note ${what}`)?.json;
  }

  note(what: string, json: unknown): void {
    this.#know(`note ${what}`, { json });
  }

  document(name: string): ReturnType<LongStep['document']> {
    const { documents } = this.#ports;
    const path = this.#checkpoint.documentOf(name);
    return {
      read: () => documents.get('documents', path),
      write: async (bytes) => {
        if (this.#overtaken !== undefined) throw this.#overtaken;
        await documents.put('documents', path, bytes);
        const progress = this.#keeping.then(() => this.#checkpoint.progress());
        this.#keeping = progress.catch(() => undefined);
        await progress;
      },
    };
  }

  get isTimeUp(): boolean {
    return performance.now() >= this.#endMs;
  }

  get #nowMs(): number {
    return this.#ports.now().getTime();
  }

  known(question: string): KeptAnswer | undefined {
    return this.#answers.get(question);
  }

  recall(question: string, ask: () => Promise<KeptAnswer>): Promise<KeptAnswer> {
    const known = this.#answers.get(question);
    if (known !== undefined) return Promise.resolve(known);
    const work = (): Promise<KeptAnswer> => this.#ask(question, ask);
    // A blob is read at the source while it is put.
    return question.startsWith('push-blob ') ? this.#passHolding(work) : this.pass(work);
  }

  async #ask(question: string, ask: () => Promise<KeptAnswer>): Promise<KeptAnswer> {
    const answer = await ask();
    this.#isAnswered = true;
    this.#know(question, answer);
    if (performance.now() - this.#keptMs >= KEEP_EVERY_MS) await this.keep();
    return answer;
  }

  since(what: string): number {
    const question = `since ${what}`;
    const at = this.#answers.get(question)?.at ?? this.#nowMs;
    this.#know(question, { at });
    return at;
  }

  /**
   * What is asked within something that was begun is a part of it, and never held back: it would wait for itself.
   * @throws CallOver where this call has done enough, and all that was begun has ended
   */
  async pass<T>(work: () => Promise<T>): Promise<T> {
    if (this.#overtaken !== undefined) throw this.#overtaken;
    // What a part asks for that has begun is not held back: the call ends when the part has.
    if (this.#isOver && this.#holding === 0) return this.goOnLater();
    this.#asked += 1;
    const doing = work();
    this.#doing.add(doing);
    try {
      return await doing;
    } finally {
      this.#doing.delete(doing);
    }
  }

  /** Does something that asks for more itself. @throws CallOver as {@link pass}, also while others do */
  async #passHolding<T>(work: () => Promise<T>): Promise<T> {
    if (this.#overtaken === undefined && this.#isOver) return this.goOnLater();
    return this.pass(async () => {
      this.#holding += 1;
      try {
        return await work();
      } finally {
        this.#holding -= 1;
      }
    });
  }

  get #knownBytes(): number {
    return [...this.#answers.values()].reduce((sum, answer) => sum + sizeOf(answer), 0);
  }

  /** How many answers are known. */
  get count(): number {
    return this.#answers.size;
  }

  /** One thing at least is asked in each call. */
  get #isOver(): boolean {
    const { requests, bytes } = this.#ports.callBounds;
    return this.#asked > 0 && (this.#asked >= requests || this.#bytes >= bytes || this.isTimeUp);
  }

  async goOnLater(): Promise<never> {
    while (this.#doing.size > 0) await Promise.allSettled(this.#doing);
    throw new CallOver();
  }

  #know(question: string, answer: KeptAnswer): void {
    this.#answers.set(question, answer);
    this.#freshen(question, answer);
  }

  #freshen(question: string, answer: KeptAnswer | null): void {
    // A note is written over and over, and kept once.
    if (!this.#fresh.has(question)) this.#bytes += sizeOf(answer);
    this.#fresh.set(question, answer);
  }

  #forget(which: (answered: Answered) => boolean): void {
    for (const answered of this.#answers) {
      if (!which(answered)) continue;
      const [question] = answered;
      this.#answers.delete(question);
      this.#freshen(question, null);
    }
  }

  /** One after the other: a piece is what came since the one before. @throws Overtaken */
  keep(): Promise<void> {
    const keeping = this.#keeping.then(() => this.#keepFresh());
    this.#keeping = keeping.catch(() => undefined);
    return keeping;
  }

  async #keepFresh(): Promise<void> {
    if (this.#fresh.size === 0) return;
    if (this.#isAnswered) this.#know(LAST, { at: this.#nowMs });
    this.#keptMs = performance.now();
    const isMerged = this.#checkpoint.pieces.length >= MOST_PIECES && this.#knownBytes <= MERGED_BYTES;
    const piece = new Map<string, KeptAnswer | null>(isMerged ? this.#answers : this.#fresh);
    this.#fresh.clear();
    try {
      const name = this.#checkpoint.newPiece();
      await keepAnswers(this.#ports, this.#checkpoint.documentOf(name), piece);
      await this.#checkpoint.advance(name, isMerged);
    } catch (error) {
      if (error instanceof Overtaken) this.#overtaken = error;
      // What came meanwhile is newer.
      for (const [question, answer] of piece) if (!this.#fresh.has(question)) this.#fresh.set(question, answer);
      throw error;
    }
  }

  endInOrder(): Promise<void> {
    return this.#checkpoint.endInOrder();
  }

  /**
   * Keeps what was found out before something failed, for the next call. A manifest that wasn't there may be there by then, and may
   * not be named any more by what has named it. Where something else wasn't there, or was lost, all that can change is forgotten.
   */
  async keepAfter(error: unknown): Promise<void> {
    if (error instanceof PolicyError || error instanceof InputError || error instanceof Overtaken) return;
    const gone = new Set([...this.#answers].filter(isGone).map(([question]) => subjectOf(question)));
    if (isTrouble(error)) this.#forget(isGone);
    else if (gone.size > 0) this.#forget(([, answer]) => answer.missing !== undefined || names(answer, gone));
    // A registry that refuses something lacks what it was said to have: manifests that are named by digest, too.
    else this.#forget(isRefusal(error) ? isOfItsTime : mayChange);
    try {
      await this.keep();
      // What is waited for is no attempt that came to nothing. A lease is lost if this process did nothing for most of a minute.
      if (!(error instanceof PromoterError && error.code === 'LEASE_LOST')) await this.endInOrder();
    } catch {
      // Without it, only this call is lost.
    }
  }
}

/**
 * Nothing was said of what was looked for: a registry is down, or too much was asked. A no is something else: a manifest whose blob is
 * not there is 404 at one registry, 400 at another.
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

/** What is found by its digest stays, too, as a rule. */
function mayChange(answered: Answered): boolean {
  const [question, { descriptor }] = answered;
  const isByDigest = isDigest(subjectOf(question));
  return isOfItsTime(answered) && (descriptor === undefined || !isByDigest || !question.startsWith('resolve '));
}

/** A registry has said no, and not for now. */
function isRefusal(error: unknown): boolean {
  return error instanceof RegistryError || (error instanceof PromoterError && isRefusal(error.cause));
}
