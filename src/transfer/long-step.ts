import {
  type Registries,
  type Repository,
  InputError,
  PolicyError,
  PromoterError,
  rememberRepository,
  type Memory,
} from '../oci/index.js';
import {
  Checkpoint,
  Overtaken,
  KEPT_ANSWERS_BYTES,
  keepAnswers,
  readAnswers,
  sizeOf,
  type KeptAnswer,
} from './checkpoint.js';
import type { StepCall, StepReply } from '../ports/step.js';
import type { Ports } from '../ports/ports.js';
import { mayChange, staleAfter, type Answered } from './stale-answers.js';

/**
 * How long one call of a long step works, in milliseconds, how many requests it makes, and how many bytes it keeps of their answers,
 * before it asks for another call.
 */
export const CALL_MS = 5 * 60_000;
export const CALL_REQUESTS = 5_000;
export const CALL_BYTES = 32 * 1024 * 1024;
/** How long one works, in milliseconds, if another long step of its process waits for its permit. */
export const TURN_MS = 10_000;

/** The pause of a call that another one has overtaken, in milliseconds. */
const OVERTAKEN_MS = 2_000;

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
  /** True if this call has worked for as long as one may: a turn, if another step waits. */
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
  { signal, progress, isWaitedFor }: Pick<StepCall, 'signal' | 'progress' | 'isWaitedFor'>,
  work: (step: LongStep) => Promise<T | Busy>,
): Promise<StepReply<T>> {
  try {
    const checkpoint = await Checkpoint.begin(ports, `plans/${runId}/${step}`);
    const answers = new RecalledAnswers(ports, checkpoint, isWaitedFor);
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

/** How often what was found out is kept while a call works, in milliseconds: so much is done again after a crash. */
const KEEP_EVERY_MS = 20_000;
/** After so long without any answer, in milliseconds, what was answered before may have changed, and is asked for again. */
const STALE_MS = 15 * 60_000;
/** Documents after which all that is known is kept as one, if it has no more bytes: a large upload is noted a thousand times. */
const MOST_PIECES = 32;
const MERGED_BYTES = 4 * 1024 * 1024;
/** So much was done as one call may do; no error, and never told. */
class CallOver extends Error {}

export type LongStepPorts = Pick<Ports, 'registries' | 'documents' | 'callBounds' | 'now'>;

/** When the last answer came, among the answers. */
const LAST = 'last answer';

/** What earlier calls of a long step were answered and did, and what this one adds to it, kept piece by piece as documents. */
class RecalledAnswers implements Memory, LongStep {
  readonly #ports: LongStepPorts;
  readonly #checkpoint: Checkpoint;
  readonly #endMs: number;
  readonly #turnEndMs: number;
  readonly #isWaitedFor: () => boolean;
  readonly #answers = new Map<string, KeptAnswer>();
  /** Those that no document has yet; null: it holds no longer. */
  readonly #fresh = new Map<string, KeptAnswer | null>();
  readonly #doing = new Set<Promise<unknown>>();
  /** How many parts are at work that may send further requests. */
  #holding = 0;
  #bytes = 0;
  #asked = 0;
  #isAnswered = false;
  #keptMs = performance.now();
  #keeping: Promise<void> = Promise.resolve();
  #overtaken: Overtaken | undefined;

  constructor(ports: LongStepPorts, checkpoint: Checkpoint, isWaitedFor: () => boolean = () => false) {
    this.#ports = ports;
    this.#checkpoint = checkpoint;
    this.#isWaitedFor = isWaitedFor;
    this.#endMs = performance.now() + ports.callBounds.ms;
    this.#turnEndMs = performance.now() + ports.callBounds.turnMs;
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
        // What it holds is enough to go on from.
        if (this.isTimeUp) throw new CallOver();
      },
    };
  }

  get isTimeUp(): boolean {
    const nowMs = performance.now();
    return nowMs >= this.#endMs || (nowMs >= this.#turnEndMs && this.#isWaitedFor());
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
   * Asks for something. If this call has done enough, only what a part asks for that has begun: held back, the part would wait for itself.
   * @throws CallOver when all that was begun has ended
   */
  async pass<T>(work: () => Promise<T>): Promise<T> {
    if (this.#overtaken !== undefined) throw this.#overtaken;
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

  /** Begins a part, which asks for more itself; never from within another part. @throws CallOver as {@link pass} */
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

  /** Keeps for the next call what was found out before something failed, as far as it still holds. */
  async keepAfter(error: unknown): Promise<void> {
    if (error instanceof PolicyError || error instanceof InputError || error instanceof Overtaken) return;
    this.#forget(staleAfter(error, this.#answers));
    try {
      await this.keep();
      // What is waited for is no attempt that came to nothing. A lease is lost if this process did nothing for most of a minute.
      if (!(error instanceof PromoterError && error.code === 'LEASE_LOST')) await this.endInOrder();
    } catch {
      // Without it, only this call is lost.
    }
  }
}
