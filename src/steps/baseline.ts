import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { Rule } from '../promotion/rule.js';
import type { Ports } from './ports.js';
import { repositoriesOf, tagsOf } from './source-repositories.js';

const baselineSchema = z.record(z.string(), z.string());

/**
 * The tags and digests that a rule's source held when the rule was first read, by `repository:tag`: what a rule with
 * `existing: ignore` leaves alone. Made at the first call, kept as a document from then on.
 */
export async function readBaseline(
  ports: Pick<Ports, 'documents' | 'listing'>,
  rule: Rule,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, string>> {
  const name = `baselines/${rule.name}-${createHash('sha256').update(JSON.stringify(rule.source)).digest('hex').slice(0, 16)}.json`;
  let bytes = await ports.documents.get('documents', name);
  if (bytes === undefined) {
    const seen = await list(ports, rule, signal);
    bytes = await ports.documents.putIfAbsent('documents', name, Buffer.from(JSON.stringify(seen)));
  }
  return new Map(Object.entries(baselineSchema.parse(JSON.parse(Buffer.from(bytes).toString('utf8')))));
}

async function list(ports: Pick<Ports, 'listing'>, rule: Rule, signal: AbortSignal): Promise<Record<string, string>> {
  const seen: Record<string, string> = {};
  for (const repository of await repositoriesOf(ports, rule, signal)) {
    // One that can't be read fails it all: its tags would count as new once it can.
    for await (const { name, digest } of tagsOf(ports, rule, repository, { signal })) {
      seen[`${repository}:${name}`] = digest;
    }
  }
  return seen;
}
