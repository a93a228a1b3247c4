import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import {
  PromoterError,
  CopyError,
  digestAlgorithm,
  digestOf,
  isDigest,
  parseDescriptor,
  parseObject,
  type Answer,
  type Descriptor,
} from '../oci/index.js';
import { untilWritten } from '../rows/row-writes.js';
import type { Ports } from '../ports/ports.js';

/** Maximum attempts of a long step that end without progress. The next one is refused. `STEP_STUCK` */
const MOST_ATTEMPTS = 8;

const stateSchema = z.object({
  /** Attempts since the last progress. */
  attempts: z.number().int().nonnegative(),
  /**
   * The documents with the results so far. Any other document in the folder belongs to a call that crashed or was
   * overtaken.
   */
  pieces: z.array(z.string()),
  wasBrokenOff: z.boolean(),
});
type State = z.infer<typeof stateSchema>;

const NOTHING: State = { attempts: 0, pieces: [], wasBrokenOff: false };

/** Thrown in a call of a long step that another call has overtaken. The call stops. */
export class Overtaken extends Error {}

/**
 * The state of a long step: the document `checkpoint.json` in its folder. It is written only with If-Match, so of two
 * concurrent calls one stops. Each attempt is counted before it begins, so an attempt that crashes its process is
 * counted, too.
 */
export class Checkpoint {
  readonly #folder: string;
  readonly #ports: Pick<Ports, 'documents'>;
  #state: State = NOTHING;
  #version: string | undefined;

  private constructor(ports: Pick<Ports, 'documents'>, folder: string) {
    this.#ports = ports;
    this.#folder = folder;
  }

  /**
   * @param folder of this step's documents in its run
   * @throws PromoterError `STEP_STUCK`; Overtaken
   */
  static async begin(ports: Pick<Ports, 'documents'>, folder: string): Promise<Checkpoint> {
    const checkpoint = new Checkpoint(ports, folder);
    // Try to create the document first, without a read: this is usually the first attempt.
    if (await checkpoint.#write({ ...NOTHING, attempts: 1 })) return checkpoint;
    return untilWritten(folder, async () => {
      await checkpoint.#read();
      const { attempts } = checkpoint.#state;
      if (attempts >= MOST_ATTEMPTS) throw stuck(folder, attempts);
      const wasBrokenOff = checkpoint.wasBrokenOff || attempts > 0;
      const begun = { ...checkpoint.#state, attempts: attempts + 1, wasBrokenOff };
      return (await checkpoint.#write(begun)) ? checkpoint : undefined;
    });
  }

  /** True if a call before this one was broken off: its process died, or its time limit was reached. */
  get wasBrokenOff(): boolean {
    return this.#state.wasBrokenOff;
  }

  /** The documents with results, oldest first. */
  get pieces(): string[] {
    return this.#state.pieces.map((piece) => this.documentOf(piece));
  }

  /** A name for the next document, which no other call uses. */
  newPiece(): string {
    return `${this.#state.pieces.length}-${randomUUID().slice(0, 8)}.jsonl`;
  }

  /** The full name of a document in this step's folder. */
  documentOf(name: string): string {
    return `${this.#folder}/${name}`;
  }

  /**
   * Records that a document with results was written. Counts as progress.
   * @param isAll true if it also holds the results of all earlier documents
   * @throws Overtaken
   */
  async advance(piece: string, isAll: boolean): Promise<void> {
    await this.#writeOrStop({ attempts: 1, pieces: [...(isAll ? [] : this.#state.pieces), piece] });
  }

  /**
   * Records that something was stored elsewhere. Counts as progress.
   * @throws Overtaken
   */
  async progress(): Promise<void> {
    await this.#writeOrStop({ attempts: 1 });
  }

  /**
   * Records that the call ends normally, because it continues later or waits. Such a call does not count as an attempt.
   * @throws Overtaken
   */
  async endInOrder(): Promise<void> {
    await this.#writeOrStop({ attempts: Math.max(0, this.#state.attempts - 1) });
  }

  get #name(): string {
    return `${this.#folder}/checkpoint.json`;
  }

  async #read(): Promise<void> {
    const kept = await this.#ports.documents.getVersioned('documents', this.#name);
    this.#version = kept?.version;
    // A checkpoint of another version is ignored; the step starts over.
    this.#state = stateSchema.safeParse(parseObject(kept?.value ?? '')).data ?? NOTHING;
  }

  async #write(state: State): Promise<boolean> {
    const bytes = Buffer.from(JSON.stringify(state));
    const version = await this.#ports.documents.putVersioned('documents', this.#name, bytes, this.#version);
    if (version === undefined) return false;
    this.#version = version;
    this.#state = state;
    return true;
  }

  async #writeOrStop(changes: Partial<State>): Promise<void> {
    if (!(await this.#write({ ...this.#state, ...changes })))
      throw new Overtaken(`another call goes on with ${this.#folder}`);
  }
}

function stuck(folder: string, attempts: number): PromoterError {
  const step = folder.slice(folder.lastIndexOf('/') + 1);
  return new PromoterError('STEP_STUCK', `${step} was begun ${attempts} times, and each time ended without progress`, {
    remedy:
      'The process ended each time, or was too slow. Check the log of the host for that time, its memory above all. Move the app closer to the registry, or give its instances more memory. Then start the promotion again.',
  });
}

/** Maximum bytes of all results of a long step. `GRAPH_TOO_LARGE` */
export const KEPT_ANSWERS_BYTES = 192 * 1024 * 1024;
/** Maximum bytes of one document. */
const PIECE_BYTES = 60 * 1024 * 1024;

/** A stored result: the answer of a registry, or the return value of work that is done once. */
export interface KeptAnswer extends Answer {
  json?: unknown;
}

// Each document has lines of JSON: a question with its answer, or a question whose answer is no longer valid.

const descriptor = z.unknown().transform((value): Descriptor => parseDescriptor(value, 'a checkpoint'));
const lineSchema = z.object({
  question: z.string(),
  /** Null if the answer is no longer valid. */
  answer: z
    .object({
      descriptor: descriptor.optional(),
      bytes: z
        .string()
        .transform((text) => Buffer.from(text, 'base64'))
        .optional(),
      referrers: z.array(descriptor).optional(),
      tags: z.array(z.string()).optional(),
      yes: z.boolean().optional(),
      at: z.number().optional(),
      json: z.unknown().optional(),
      missing: z
        .object({
          code: z.string(),
          message: z.string(),
          info: z.object({
            method: z.string(),
            url: z.string(),
            status: z.number(),
            registryCodes: z.array(z.string()),
          }),
          remedy: z.string().optional(),
        })
        .optional(),
    })
    .nullable(),
});

type Line = z.infer<typeof lineSchema>;

function lineOf(question: string, answer: KeptAnswer | null): string {
  const bytes = answer?.bytes && Buffer.from(answer.bytes).toString('base64');
  return JSON.stringify({ question, answer: answer && { ...answer, bytes } });
}

/** Approximate bytes of its line. */
export function sizeOf(answer: KeptAnswer | null): number {
  const { bytes, referrers = [], tags = [] } = answer ?? {};
  return 300 + ((bytes?.length ?? 0) * 4) / 3 + referrers.length * 500 + tags.length * 100;
}

/**
 * Undefined if another version wrote the line, or if its bytes do not match the digest in the question. The registry is
 * then asked again.
 */
function readLine(line: string): Line | undefined {
  try {
    const read = lineSchema.parse(JSON.parse(line));
    const { question, answer } = read;
    if (answer?.bytes === undefined) return read;
    // A question for bytes ends with their digest.
    const digest = question.slice(question.lastIndexOf(' ') + 1);
    return isDigest(digest) && digestOf(answer.bytes, digestAlgorithm(digest)) === digest ? read : undefined;
  } catch {
    return undefined;
  }
}

/** Writes results as one document. Results that do not fit are left out, and the registry is asked again. */
export async function keepAnswers(
  { documents }: Pick<Ports, 'documents'>,
  piece: string,
  answers: ReadonlyMap<string, KeptAnswer | null>,
): Promise<void> {
  let room: number = PIECE_BYTES;
  const kept: Buffer[] = [];
  for (const [question, answer] of answers) {
    const line = Buffer.from(`${lineOf(question, answer)}\n`);
    if (line.length > room) continue;
    room -= line.length;
    kept.push(line);
  }
  await documents.put('documents', piece, Buffer.concat(kept));
}

/**
 * Reads the results in one document.
 * @param room maximum bytes to read
 * @throws CopyError `GRAPH_TOO_LARGE`
 */
export async function readAnswers(
  { documents }: Pick<Ports, 'documents'>,
  piece: string,
  room: number,
): Promise<{ answers: Line[]; bytes: number }> {
  const kept = await documents.get('documents', piece);
  if (kept === undefined) return { answers: [], bytes: 0 };
  if (kept.length > room) {
    throw new CopyError('GRAPH_TOO_LARGE', `the recorded registry answers take more than ${KEPT_ANSWERS_BYTES} bytes`, {
      details: { limit: KEPT_ANSWERS_BYTES },
      remedy: 'Copy a part of it: one platform, or without referrers.',
    });
  }
  return { answers: [...linesOf(Buffer.from(kept.buffer, kept.byteOffset, kept.length))], bytes: kept.length };
}

function* linesOf(kept: Buffer): Generator<Line> {
  for (let [from, end] = [0, 0]; from < kept.length; from = end + 1) {
    end = kept.indexOf(0x0a, from);
    if (end < 0) end = kept.length;
    const line = readLine(kept.toString('utf8', from, end));
    if (line !== undefined) yield line;
  }
}
