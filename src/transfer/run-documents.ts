import {
  ConfigurationError,
  parsePlan,
  type CopyPlan,
  LEFT_OUT_REASONS,
  type ArrivalReport,
  type CopyReport,
  type LeftOut,
} from '../oci/index.js';
import type { Ports } from '../ports/ports.js';
import { digest } from '../rows/step-contract.js';
import { z } from 'zod';

// What a run keeps as documents for its copy: the plan, what it attached, and the report.

/** The name of the document with the copy plan of a run. */
export function planNameOf(runId: string): string {
  return `plans/${runId}/plan.json`;
}

/**
 * Stores a plan unless there is one, so that two concurrent calls use the same plan.
 * @returns the stored plan
 */
export async function keepPlan(ports: Pick<Ports, 'documents'>, name: string, plan: CopyPlan): Promise<CopyPlan> {
  const bytes = Buffer.from(JSON.stringify(plan));
  const kept = await ports.documents.putIfAbsent('documents', name, bytes);
  if (bytes.equals(kept)) return plan;
  const first = parsePlan(kept);
  if (first === undefined) await ports.documents.put('documents', name, bytes);
  return first ?? plan;
}

/** The stored plan of a run. Undefined if there is none or another version wrote it. */
export async function findPlan(ports: Pick<Ports, 'documents'>, name: string): Promise<CopyPlan | undefined> {
  const bytes = await ports.documents.get('documents', name);
  return bytes && parsePlan(bytes);
}

/**
 * Reads a stored plan.
 * @throws ConfigurationError `PLAN_MISSING`
 */
export async function readPlan(ports: Pick<Ports, 'documents'>, name: string): Promise<CopyPlan> {
  const plan = await findPlan(ports, name);
  if (plan !== undefined) return plan;
  throw new ConfigurationError('PLAN_MISSING', `the plan ${name} no longer exists`, {
    remedy: 'Start the promotion again: the next run makes a new plan. Do not change the container "documents".',
  });
}

type DocumentPorts = Pick<Ports, 'documents'>;

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

/** An attachment that a run has made or found at its source. */
const attachmentSchema = z.object({
  digest,
  subject: digest,
  /** For messages: `SBOM of linux/amd64`. */
  what: z.string(),
});
export type AttachmentOfRun = z.infer<typeof attachmentSchema>;

const attachedNameOf = (runId: string): string => `plans/${runId}/attached.json`;

/**
 * Stores the attachments that a run has made or found at its source. Its copy needs them, because the source may list
 * them late.
 */
export async function keepAttached(
  ports: DocumentPorts,
  runId: string,
  attached: readonly AttachmentOfRun[],
): Promise<void> {
  if (attached.length > 0) await keep(ports, attachedNameOf(runId), attached);
}

/** The attachments that the run has made or found. */
export async function readAttached(ports: DocumentPorts, runId: string): Promise<AttachmentOfRun[]> {
  return (await readKept(ports, attachedNameOf(runId), z.array(attachmentSchema))) ?? [];
}

const reportNameOf = (runId: string): string => `plans/${runId}/copied.json`;
const arrivalNameOf = (runId: string): string => `plans/${runId}/arrived.json`;

/**
 * Stores the report of a job's copy, node by node. The first report is kept, because a repeated copy finds everything
 * there already.
 */
export async function keepReport({ documents }: DocumentPorts, runId: string, report: CopyReport): Promise<CopyReport> {
  const bytes = Buffer.from(JSON.stringify(report));
  const kept = await documents.putIfAbsent('documents', reportNameOf(runId), bytes);
  return reportSchema.parse(JSON.parse(Buffer.from(kept).toString('utf8')));
}

export function keepArrival(ports: DocumentPorts, runId: string, arrival: ArrivalReport): Promise<void> {
  return keep(ports, arrivalNameOf(runId), arrival);
}

/** The output of a `copy` job, which the `copy` verb prints as JSON. */
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
 * Assembles the receipt of a copy from the documents of its steps.
 * @returns undefined if the document of one step is missing
 */
export async function readReceipt(
  ports: DocumentPorts,
  runId: string,
): Promise<Pick<z.infer<typeof receiptSchema>, 'report' | 'leftOut' | 'arrival'> | undefined> {
  const plan = await findPlan(ports, planNameOf(runId));
  const arrival = await readKept(ports, arrivalNameOf(runId), arrivalSchema);
  const report = await readKept(ports, reportNameOf(runId), reportSchema);
  return plan && arrival && report && { report, leftOut: plan.leftOut, arrival };
}

/** Maximum characters of a referrer's artifact type in a receipt. The rest is cut off. */
const TYPE_CHARACTERS = 100;
/** Maximum referrers in a receipt that a promotion did not copy. Further ones are only counted. */
export const MOST_LEFT_BEHIND = 50;

/** Why a referrer was not copied. Referrers that the rule excludes are not reported. */
const WHY: Record<Exclude<LeftOut['reason'], 'excluded'>, { code: string; remedy?: string }> = {
  image: {
    code: 'REFERRER_IS_IMAGE',
    remedy:
      'If only the source needs it (for example a converted image), do nothing. To promote it, give it a tag that a rule matches; then it also gets an SBOM and signatures.',
  },
  unreadable: {
    code: 'REFERRER_UNREADABLE',
    remedy: 'Find out who attached it, and delete it, or attach it again with a current client.',
  },
  'not-its-subject': {
    code: 'REFERRER_MISLISTED',
    remedy:
      'The promotion is complete without it. A referrers list or a digest tag names it under an image that is not its subject. Correct the list, or move the tag.',
  },
  gone: { code: 'REFERRER_UNKNOWN' },
};

/** The referrers that a promotion did not copy: their number, and the first MOST_LEFT_BEHIND of them. */
export interface LeftBehind {
  count: number;
  referrers: { digest: string; artifactType?: string; code: string }[];
}

/** Sorted, images first and then by digest, so that the same referrers give the same receipt. */
export function leftBehindOf(leftOut: readonly LeftOut[]): LeftBehind {
  const order = Object.keys(WHY);
  const named = leftOut
    .flatMap(({ digest, artifactType, reason }) => (reason === 'excluded' ? [] : [{ digest, artifactType, reason }]))
    .toSorted((a, b) => order.indexOf(a.reason) - order.indexOf(b.reason) || (a.digest < b.digest ? -1 : 1));
  const referrers = named.slice(0, MOST_LEFT_BEHIND).map(({ digest, artifactType, reason }) => ({
    digest,
    ...(artifactType !== undefined && { artifactType: artifactType.slice(0, TYPE_CHARACTERS) }),
    code: WHY[reason].code,
  }));
  return { count: named.length, referrers };
}

/** A text for the step's progress: empty, or `; left out …` with the first three. */
export function formatLeftBehind({ count, referrers }: LeftBehind): string {
  if (count === 0) return '';
  const names = referrers.slice(0, 3).map(({ digest, code }) => `${digest} (${code})`);
  return `; left out ${names.join(', ')}${count > names.length ? ` and ${count - names.length} more` : ''}`;
}

/** The referrers that the run's plan leaves out. Undefined if the run has no plan or left out none. */
export async function readLeftBehind(ports: Pick<Ports, 'documents'>, runId: string): Promise<LeftBehind | undefined> {
  const plan = await findPlan(ports, planNameOf(runId));
  const left = plan && leftBehindOf(plan.leftOut);
  return left?.count === 0 ? undefined : left;
}
