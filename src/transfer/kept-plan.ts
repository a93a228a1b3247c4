import { ConfigurationError, InputError, parsePlan, type CopyPlan } from '../oci/index.js';
import type { Ports } from '../ports/ports.js';

/** The document with the copy plan of a run. */
export function planNameOf(runId: string): string {
  return `plans/${runId}/plan.json`;
}

/** Keeps a plan, unless there is one: two calls at the same time go on with the same. @returns the one that is kept */
export async function keepPlan(ports: Pick<Ports, 'documents'>, name: string, plan: CopyPlan): Promise<CopyPlan> {
  const bytes = Buffer.from(JSON.stringify(plan));
  const kept = await ports.documents.putIfAbsent('documents', name, bytes);
  if (bytes.equals(kept)) return plan;
  const first = parse(kept);
  if (first === undefined) await ports.documents.put('documents', name, bytes);
  return first ?? plan;
}

/** The plan of a run that has planned its copy; what another version wrote is none. */
export async function findPlan(ports: Pick<Ports, 'documents'>, name: string): Promise<CopyPlan | undefined> {
  const bytes = await ports.documents.get('documents', name);
  return bytes && parse(bytes);
}

function parse(bytes: Uint8Array): CopyPlan | undefined {
  try {
    return parsePlan(Buffer.from(bytes).toString('utf8'));
  } catch (error) {
    if (error instanceof InputError || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** Reads a kept plan. @throws ConfigurationError `PLAN_MISSING` */
export async function readPlan(ports: Pick<Ports, 'documents'>, name: string): Promise<CopyPlan> {
  const plan = await findPlan(ports, name);
  if (plan !== undefined) return plan;
  throw new ConfigurationError('PLAN_MISSING', `the plan ${name} is not kept any more`, {
    remedy: 'Ask for the promotion again: the next run plans anew. Leave the container "documents" to the app.',
  });
}
