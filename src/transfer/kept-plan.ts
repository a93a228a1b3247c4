import { createHash } from 'node:crypto';
import { ConfigurationError, parsePart, parsePlan, type CopyPart, type CopyPlan, type CopyWave } from '../oci/index.js';
import { partName } from './part-name.js';
import type { Ports } from '../ports/ports.js';

/** Parts' documents that are written at once. */
const PART_WRITES = 8;

export async function keepPlan(ports: Pick<Ports, 'documents'>, name: string, plan: CopyPlan): Promise<void> {
  await ports.documents.put('documents', name, Buffer.from(JSON.stringify(plan)));
}

/**
 * Keeps each part as a document. The folder's name holds a hash of all of them: what another try of this step planned, over a
 * source that had moved on, is not mixed with it.
 */
export async function keepParts(
  ports: Pick<Ports, 'documents'>,
  runId: string,
  waves: readonly CopyWave[],
): Promise<{ folder: string; waves: number[] }> {
  const hash = createHash('sha256');
  const texts = waves.map((wave) => wave.map((part) => JSON.stringify(part)));
  for (const text of texts.flat()) hash.update(text);
  const folder = `plans/${runId}/${hash.digest('hex').slice(0, 16)}`;
  const open = texts.flatMap((wave, at) => wave.map((text, index) => ({ name: partName(folder, at, index), text })));
  for (let from = 0; from < open.length; from += PART_WRITES) {
    const some = open.slice(from, from + PART_WRITES);
    await Promise.all(some.map(({ name, text }) => ports.documents.put('documents', name, Buffer.from(text))));
  }
  return { folder, waves: waves.map((wave) => wave.length) };
}

/** Reads a kept plan. @throws ConfigurationError `PLAN_MISSING` */
export async function readPlan(ports: Pick<Ports, 'documents'>, name: string): Promise<CopyPlan> {
  return parsePlan(await readText(ports, name));
}

/** Reads a kept part of a plan. @throws ConfigurationError `PLAN_MISSING`; InputError `PLAN_INVALID` */
export async function readPart(ports: Pick<Ports, 'documents'>, name: string): Promise<CopyPart> {
  return parsePart(await readText(ports, name));
}

async function readText(ports: Pick<Ports, 'documents'>, name: string): Promise<string> {
  const bytes = await ports.documents.get('documents', name);
  if (bytes !== undefined) return Buffer.from(bytes).toString('utf8');
  throw new ConfigurationError('PLAN_MISSING', `the plan ${name} is not kept any more`, {
    remedy: 'Ask for the promotion again: the next run plans anew. Leave the container "documents" to the app.',
  });
}
