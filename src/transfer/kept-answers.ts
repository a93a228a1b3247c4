import { z } from 'zod';
import {
  CopyError,
  digestAlgorithm,
  digestOf,
  isDigest,
  parseDescriptor,
  type Answer,
  type Descriptor,
} from '../oci/index.js';
import type { Ports } from '../ports/ports.js';

/** Bytes of the document that keeps them. */
const STRETCH_DOCUMENT_BYTES = 60 * 1024 * 1024;
/** Bytes that the answers of all stretches may take together. `GRAPH_TOO_LARGE` */
export const KEPT_ANSWERS_BYTES = 192 * 1024 * 1024;

// A document for each stretch, of lines of JSON: questions that were answered in it, and those whose answers no longer hold.

const descriptor = z.unknown().transform((value): Descriptor => parseDescriptor(value, 'a kept answer'));
const lineSchema = z.object({
  question: z.string(),
  /** Null: it is forgotten. */
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

function lineOf(question: string, answer: Answer | null): string {
  const bytes = answer?.bytes && Buffer.from(answer.bytes).toString('base64');
  return JSON.stringify({ question, answer: answer && { ...answer, bytes } });
}

/** About as many bytes as a line of it has. */
export function sizeOf(answer: Answer | null): number {
  const { bytes, referrers = [], tags = [] } = answer ?? {};
  return 300 + ((bytes?.length ?? 0) * 4) / 3 + referrers.length * 500 + tags.length * 100;
}

/** Undefined where another version wrote it, or bytes are not what they were asked for: then it is asked anew. */
function readLine(line: string): Line | undefined {
  try {
    const read = lineSchema.parse(JSON.parse(line));
    const { question, answer } = read;
    if (answer?.bytes === undefined) return read;
    // A question for bytes ends in their digest.
    const digest = question.slice(question.lastIndexOf(' ') + 1);
    return isDigest(digest) && digestOf(answer.bytes, digestAlgorithm(digest)) === digest ? read : undefined;
  } catch {
    return undefined;
  }
}

const nameOf = (folder: string, stretch: number): string => `${folder}/${stretch}.jsonl`;

/** Keeps what one stretch has found out; what there is no room for is asked anew. */
export async function keepAnswers(
  { documents }: Pick<Ports, 'documents'>,
  folder: string,
  stretch: number,
  answers: ReadonlyMap<string, Answer | null>,
): Promise<void> {
  let room: number = STRETCH_DOCUMENT_BYTES;
  const kept: Buffer[] = [];
  for (const [question, answer] of answers) {
    const line = Buffer.from(`${lineOf(question, answer)}\n`);
    if (line.length > room) continue;
    room -= line.length;
    kept.push(line);
  }
  await documents.put('documents', nameOf(folder, stretch), Buffer.concat(kept));
}

/**
 * What one stretch has kept.
 * @param room bytes that are read at most
 * @throws CopyError `GRAPH_TOO_LARGE`
 */
export async function readAnswers(
  { documents }: Pick<Ports, 'documents'>,
  folder: string,
  stretch: number,
  room: number,
): Promise<{ answers: Line[]; bytes: number }> {
  const kept = await documents.get('documents', nameOf(folder, stretch));
  if (kept === undefined) return { answers: [], bytes: 0 };
  if (kept.length > room) {
    throw new CopyError('GRAPH_TOO_LARGE', `what is known of the graph takes more than ${KEPT_ANSWERS_BYTES} bytes`, {
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
