import {
  InputError,
  PolicyError,
  PromoterError,
  rememberRepository,
  type Memory,
  type Repository,
} from '../oci/index.js';
import {
  type Checkpoint,
  Overtaken,
  KEPT_ANSWERS_BYTES,
  keepAnswers,
  readAnswers,
  sizeOf,
  type KeptAnswer,
} from './checkpoint.js';
import type { Ports } from '../ports/ports.js';
import { mayChange, staleAfter, type Answered } from './stale-answers.js';

/**
 * How often results are written to the checkpoint during a call, in milliseconds. After a crash, this much work is
 * repeated.
 */
const KEEP_EVERY_MS = 20_000;
/** After this time without any answer, in milliseconds, earlier answers may be outdated and are asked for again. */
const STALE_MS = 15 * 60_000;
/**
 * After this many documents, all results are merged into one, if they have at most MERGED_BYTES. A large upload writes
 * its progress about a thousand times.
 */
const MOST_PIECES = 32;
const MERGED_BYTES = 4 * 1024 * 1024;
/** The call has reached one of its limits. Never reported as an error. */
export class CallOver extends Error {}

export type LongStepPorts = Pick<Ports, 'registries' | 'documents' | 'callBounds' | 'now'>;

/** The name under which the time of the last answer is stored. */
const LAST = 'last answer';

/**
 * What the work of a long step gets: the results of earlier calls, and the new ones of this call,
 * written as documents. It knows when the call has reached a limit.
 */
export class RecalledAnswers implements Memory {
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

  stateOf(what: string): unknown {
    return this.#answers.get(what)?.json;
  }

  setState(what: string, json: unknown): void {
    this.#know(what, { json });
  }

  reached(what: string, amount: number): void {
    const question = `reached ${what}`;
    const before = this.#answers.get(question)?.json;
    if (performance.now() - this.#keptMs < KEEP_EVERY_MS || (typeof before === 'number' && amount <= before)) return;
    this.setState(question, amount);
    // If another call has overtaken this one, its next request or write stops it.
    void this.keep().catch(() => undefined);
  }

  readonly layers = {
    read: (key: string): Promise<Uint8Array | undefined> => this.#ports.documents.get('layers', key),
    write: async (key: string, bytes: Uint8Array): Promise<void> => {
      // The same layer has the same bytes, whichever call writes them.
      await this.#ports.documents.put('layers', key, bytes);
      await this.#inTurn(() => this.#checkpoint.progress());
      // The next call can continue with this layer.
      if (this.isTimeUp) throw new CallOver();
    },
  };

  get wasBrokenOff(): boolean {
    return this.#checkpoint.wasBrokenOff;
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
    // A state may change many times, but it is stored once.
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
      // A result that arrived during the write is newer, so it stays.
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
