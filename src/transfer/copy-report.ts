import { z } from 'zod';
import {
  LEFT_OUT_REASONS,
  isDigest,
  type ArrivalReport,
  type CopyProgress,
  type CopyReport,
  type Digest,
} from '../oci/index.js';
import { readPlan } from './kept-plan.js';
import { partName } from './part-name.js';
import type { Ports } from '../ports/ports.js';

type DocumentPorts = Pick<Ports, 'documents'>;

const digest = z.custom<Digest>((value) => typeof value === 'string' && isDigest(value), 'not a digest');
const node = z.object({
  kind: z.enum(['manifest', 'blob']),
  mediaType: z.string(),
  digest,
  size: z.number(),
  title: z.string().exactOptional(),
});
const reportSchema = z.object({
  copied: z.array(node),
  existed: z.array(node),
  mounted: z.array(node),
  tagged: z.array(z.string()),
  movedBytes: z.number(),
});
const arrivalSchema = z.object({
  manifests: z.number(),
  listed: z.number(),
  restored: z.array(z.object({ subject: digest, referrer: digest })),
});

function nothing(): CopyReport {
  return { copied: [], existed: [], mounted: [], tagged: [], movedBytes: 0 };
}

/** Reports as one: what one call moved, a later one found there. */
function joined(reports: readonly CopyReport[]): CopyReport {
  const known = new Set<Digest>();
  const all = (state: 'copied' | 'mounted' | 'existed'): CopyReport['copied'] =>
    reports.flatMap((report) => report[state]).filter(({ digest: each }) => !known.has(each) && known.add(each));
  return {
    copied: all('copied'),
    mounted: all('mounted'),
    existed: all('existed'),
    tagged: [...new Set(reports.flatMap(({ tagged }) => tagged))],
    movedBytes: reports.reduce((sum, { movedBytes }) => sum + movedBytes, 0),
  };
}

async function readKept<T>(ports: DocumentPorts, name: string, schema: z.ZodType<T>): Promise<T | undefined> {
  const bytes = await ports.documents.get('documents', name);
  return bytes && schema.parse(JSON.parse(Buffer.from(bytes).toString('utf8')));
}

/**
 * What a call of a copy has done, node by node, for what a job has to show. Kept beside the plan or part that it is of, also where
 * the call breaks off: the next one finds there what this one has moved.
 */
export class CopyNotes {
  readonly #report = nothing();

  tell({ state, node: arrived, movedBytes }: Pick<CopyProgress, 'state' | 'node' | 'movedBytes'>): void {
    this.#report.movedBytes = movedBytes;
    if (arrived !== undefined && state !== 'started' && state !== 'moving') this.#report[state].push(arrived);
  }

  /** @param tagged digest tags that were set */
  async keep(ports: DocumentPorts, of: string, tagged: readonly string[] = []): Promise<void> {
    const name = `${of}.report`;
    const before = (await readKept(ports, name, reportSchema)) ?? nothing();
    const report = joined([before, { ...this.#report, tagged: [...tagged] }]);
    await ports.documents.put('documents', name, Buffer.from(JSON.stringify(report)));
  }
}

/** Does what copies, and keeps what it did, broken off or not. */
export async function keepingNotes(
  ports: DocumentPorts,
  of: string,
  work: (notes: CopyNotes) => Promise<CopyReport>,
): Promise<CopyReport> {
  const notes = new CopyNotes();
  try {
    const report = await work(notes);
    await notes.keep(ports, of, report.tagged);
    return report;
  } catch (error) {
    // What is to be told is why it broke off.
    await notes.keep(ports, of).catch(() => undefined);
    throw error;
  }
}

export async function keepArrival(ports: DocumentPorts, plan: string, arrival: ArrivalReport): Promise<void> {
  await ports.documents.put('documents', `${plan}.arrival`, Buffer.from(JSON.stringify(arrival)));
}

/** What `copy` prints as JSON, and a job for one has to show. */
export const receiptSchema = z.object({
  source: z.string(),
  destination: z.string(),
  root: z.object({ mediaType: z.string(), digest, size: z.number() }),
  tags: z.array(z.string()),
  report: reportSchema,
  leftOut: z.array(
    z.object({
      digest,
      artifactType: z.string().exactOptional(),
      reason: z.enum(LEFT_OUT_REASONS),
    }),
  ),
  arrival: arrivalSchema,
});

/**
 * The receipt of a copy, out of what its steps have kept.
 * @returns undefined where one of them has kept nothing: it was done before there were receipts
 */
export async function readReceipt(
  ports: DocumentPorts,
  { plan: name, parts }: { plan: string; parts?: { folder: string; waves: readonly number[] } | undefined },
): Promise<Pick<z.infer<typeof receiptSchema>, 'report' | 'leftOut' | 'arrival'> | undefined> {
  const { leftOut } = await readPlan(ports, name);
  const arrival = await readKept(ports, `${name}.arrival`, arrivalSchema);
  const of = parts?.waves.flatMap((count, wave) =>
    Array.from({ length: count }, (_, at) => partName(parts.folder, wave, at)),
  );
  const reports: CopyReport[] = [];
  for (const each of of ?? [name]) {
    const report = await readKept(ports, `${each}.report`, reportSchema);
    if (report === undefined) return undefined;
    reports.push(report);
  }
  return arrival && { report: joined(reports), leftOut, arrival };
}
