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
 * Limits of one call of a long step: milliseconds of work, requests, and bytes of stored answers. After that, the step
 * asks for another call.
 */
export const CALL_MS = 5 * 60_000;
export const CALL_REQUESTS = 5_000;
export const CALL_BYTES = 32 * 1024 * 1024;
/** The maximum milliseconds of work if another long step of the process waits for its permit. */
export const TURN_MS = 10_000;

/** The pause after a call that another call has overtaken, in milliseconds. */
const OVERTAKEN_MS = 2_000;

/**
 * What a long step works with. Requests and work of an earlier call are not repeated: their results are read from the
 * checkpoint.
 */
export interface LongStep extends Registries {
  /** A repository whose answers are remembered. Another `round` asks the registry again. */
  repository(registry: string, repository: string, round?: number): Repository;
  /**
   * Does some work once over all calls. Its result must be JSON.
   * @param isValid false if the known result of an earlier call must be replaced. Default: never
   */
  once<T>(what: string, work: () => Promise<T>, isValid?: (known: T) => boolean): Promise<T>;
  /** When this was first called with `what`, by this call or an earlier one, in epoch milliseconds. */
  since(what: string): number;
  /** Writes the results so far to the checkpoint. Counts as progress. */
  keep(): Promise<void>;
  /**
   * Writes the results so far, for a later call with another input. This call does not count as an attempt without
   * progress.
   */
  endInOrder(): Promise<void>;
  /** The last note, or result of {@link once}, by this call or an earlier one. */
  noted(what: string): unknown;
  /** Notes a state as JSON. The next {@link keep} writes it to the checkpoint. */
  note(what: string, json: unknown): void;
  /** What layers contribute to SBOMs, by key. All runs share it. Writing counts as progress. */
  readonly layers: {
    read(key: string): Promise<Uint8Array | undefined>;
    write(key: string, bytes: Uint8Array): Promise<void>;
  };
  /** True if this call has reached its time limit, or the shorter one if another step waits. */
  readonly isTimeUp: boolean;
  /** Ends this call after all running work has ended. The next call continues. */
  goOnLater(): Promise<never>;
}

/**
 * Does work that grows with the graph, within the limits of one call. The work begins from the start in each call; the
 * checkpoint has the results of earlier calls. After a crash, only the results since the last checkpoint are lost. The
 * caller repeats the call with the same input until it returns `done`.
 * @param step the name of the step
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
      await answers.endInOrder();
      return { retryAfterMs: done.retryAfterMs };
    } catch (error) {
      if (error instanceof CallOver) {
        await answers.endInOrder();
        progress.text(`${answers.count} answers so far; the next call continues`);
        return { retryAfterMs: 0 };
      }
      // An aborted call counts as an attempt, for example if its time limit was reached.
      if (!signal.aborted) await answers.keepAfter(error);
      throw error;
    }
  } catch (error) {
    if (!(error instanceof Overtaken)) throw error;
    progress.text('another call continues this step');
    return { retryAfterMs: OVERTAKEN_MS };
  }
}

/** The result of a long step that waits, for example for a lease. */
export class Busy {
  readonly retryAfterMs: number;

  constructor(retryAfterMs: number) {
    this.retryAfterMs = retryAfterMs;
  }
}

/**
 * How often results are written to the checkpoint during a call, in milliseconds. After a crash, this much work is
 * repeated.
 */
const KEEP_EVERY_MS = 20_000;
/** After this time without any answer, in milliseconds, earlier answers may be outdated and are asked for again. */
const STALE_MS = 15 * 60_000;
/**
 * After this many documents, all results are merged into one, if they have at most MERGED_BYTES. A large upload writes
 * about a thousand notes.
 */
const MOST_PIECES = 32;
const MERGED_BYTES = 4 * 1024 * 1024;
/** The call has reached one of its limits. Never reported as an error. */
class CallOver extends Error {}

export type LongStepPorts = Pick<Ports, 'registries' | 'documents' | 'callBounds' | 'now'>;

/** The name under which the time of the last answer is stored. */
const LAST = 'last answer';

/** The results of earlier calls of a long step, and the new ones of this call, written as documents. */
class RecalledAnswers implements Memory, LongStep {
  readonly #ports: LongStepPorts;
  readonly #checkpoint: Checkpoint;
  readonly #endMs: number;
  readonly #turnEndMs: number;
  readonly #isWaitedFor: () => boolean;
  readonly #answers = new Map<string, KeptAnswer>();
  /** Results that no document has yet. Null: the stored result is no longer valid. */
  readonly #fresh = new Map<string, KeptAnswer | null>();
  readonly #doing = new Set<Promise<unknown>>();
  /** How many pieces of work are running that may send further requests. */
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

  /**
   * Reads the results of earlier calls. If there was no answer for long, drops those that may be outdated.
   * @throws CopyError `GRAPH_TOO_LARGE`
   */
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

  async once<T>(what: string, work: () => Promise<T>, isValid: (known: T) => boolean = () => true): Promise<T> {
    const known = this.#answers.get(what);
    // The value is what `work` has returned in this call or an earlier one.
    if (known !== undefined && isValid(known.json as T)) return known.json as T;
    const { json } = await this.#passHolding(() =>
      this.#ask(what, async (): Promise<KeptAnswer> => ({ json: await work() })),
    );
    return json as T;
  }

  noted(what: string): unknown {
    return this.#answers.get(what)?.json;
  }

  note(what: string, json: unknown): void {
    this.#know(what, { json });
  }

  readonly layers: LongStep['layers'] = {
    read: (key) => this.#ports.documents.get('layers', key),
    write: async (key, bytes) => {
      // The same layer has the same bytes, whichever call writes them.
      await this.#ports.documents.put('layers', key, bytes);
      await this.#inTurn(() => this.#checkpoint.progress());
      // The next call can continue with this layer.
      if (this.isTimeUp) throw new CallOver();
    },
  };

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
    // While a blob is pushed, it is read at the source, which sends further requests.
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
   * Sends a request. If this call has reached a limit, only running work may send more requests: it would wait for
   * itself otherwise.
   * @throws CallOver after all running work has ended
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

  /**
   * Starts work that sends requests itself. Must not be called from within such work.
   * @throws CallOver as {@link pass}
   */
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

  /** The number of known results. */
  get count(): number {
    return this.#answers.size;
  }

  /** Each call sends at least one request. */
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
    // A note may change many times, but it is stored once.
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

  /** Each document has the results since the one before. @throws Overtaken */
  keep(): Promise<void> {
    return this.#inTurn(() => this.#keepFresh());
  }

  /** Writes are done one after the other. After the first one that is refused, this call does nothing more. */
  #inTurn(write: () => Promise<void>): Promise<void> {
    const writing = this.#keeping.then(async () => {
      if (this.#overtaken !== undefined) throw this.#overtaken;
      try {
        await write();
      } catch (error) {
        if (error instanceof Overtaken) this.#overtaken = error;
        throw error;
      }
    });
    this.#keeping = writing.catch(() => undefined);
    return writing;
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
      // A result that came meanwhile is newer.
      for (const [question, answer] of piece) if (!this.#fresh.has(question)) this.#fresh.set(question, answer);
      throw error;
    }
  }

  async endInOrder(): Promise<void> {
    await this.keep();
    await this.#checkpoint.endInOrder();
  }

  /** After an error, writes the results that are still valid to the checkpoint. */
  async keepAfter(error: unknown): Promise<void> {
    if (error instanceof PolicyError || error instanceof InputError || error instanceof Overtaken) return;
    this.#forget(staleAfter(error, this.#answers));
    try {
      // Waiting does not count as an attempt without progress. A lost lease does: this process did nothing for most of
      // a minute.
      await (error instanceof PromoterError && error.code === 'LEASE_LOST' ? this.keep() : this.endInOrder());
    } catch {
      // If the write fails, only the results of this call are lost.
    }
  }
}
