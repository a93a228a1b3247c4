import { z } from 'zod';
import { LEFT_OUT_REASONS, isDigest, type ArrivalReport, type CopyReport, type Digest } from '../oci/index.js';
import { findPlan, planNameOf } from './kept-plan.js';
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

async function readKept<T>(ports: DocumentPorts, name: string, schema: z.ZodType<T>): Promise<T | undefined> {
  const bytes = await ports.documents.get('documents', name);
  return bytes && schema.parse(JSON.parse(Buffer.from(bytes).toString('utf8')));
}

async function keep(ports: DocumentPorts, name: string, value: unknown): Promise<void> {
  await ports.documents.put('documents', name, Buffer.from(JSON.stringify(value)));
}

const reportNameOf = (runId: string): string => `plans/${runId}/copied.json`;
const arrivalNameOf = (runId: string): string => `plans/${runId}/arrived.json`;

/** Keeps what a job's copy has done, node by node. The first report stays: a copy that is done again finds that all is there. */
export async function keepReport({ documents }: DocumentPorts, runId: string, report: CopyReport): Promise<CopyReport> {
  const bytes = Buffer.from(JSON.stringify(report));
  const kept = await documents.putIfAbsent('documents', reportNameOf(runId), bytes);
  return reportSchema.parse(JSON.parse(Buffer.from(kept).toString('utf8')));
}

export function keepArrival(ports: DocumentPorts, runId: string, arrival: ArrivalReport): Promise<void> {
  return keep(ports, arrivalNameOf(runId), arrival);
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

/** The receipt of a copy, out of what its steps have kept. @returns undefined if one of them has kept nothing */
export async function readReceipt(
  ports: DocumentPorts,
  runId: string,
): Promise<Pick<z.infer<typeof receiptSchema>, 'report' | 'leftOut' | 'arrival'> | undefined> {
  const plan = await findPlan(ports, planNameOf(runId));
  const arrival = await readKept(ports, arrivalNameOf(runId), arrivalSchema);
  const report = await readKept(ports, reportNameOf(runId), reportSchema);
  return plan && arrival && report && { report, leftOut: plan.leftOut, arrival };
}
