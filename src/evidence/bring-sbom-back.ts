import type { Attachments } from '../ports/attachments.js';
import { copyGraph, parseReference, planGraph, type Descriptor } from '../oci/index.js';
import type { SourceRepository } from '../rules/rule.js';
import { readAt } from './attach-packed.js';
import { noteMadeSbom } from './made-sboms.js';
import { findOurSbom, type SigningRule } from './our-sbom.js';
import type { Ports } from '../ports/ports.js';
import type { StorePort } from '../ports/store.js';
import { writeAtSource } from '../transfer/refused-write.js';

interface Input {
  runId?: string;
  rule: SigningRule;
  source: SourceRepository;
  destination: string;
  image: Descriptor;
}

/**
 * Copies our SBOM of an image from the destination to the source, where a rule that attached there before attaches at the source now:
 * one that is made anew, by a later version perhaps, would come to stand beside it.
 * @param lasting for what is not left half made
 * @returns undefined where the destination has none either. @throws ConfigurationError `SOURCE_NOT_WRITABLE`
 */
export async function bringSbomBack(
  ports: Pick<Ports, 'registries' | 'signer' | 'documents' | 'now'> & StorePort<Attachments>,
  { runId, rule, source, destination, image }: Input,
  signal: AbortSignal,
  lasting: AbortSignal,
): Promise<Descriptor | undefined> {
  const at = parseReference(destination);
  const from = ports.registries.repository(at.registry, at.repository);
  const sbom = await findOurSbom(ports, rule, from, image, signal);
  if (sbom === undefined) return undefined;
  const { registry, repository } = source;
  const to = ports.registries.repository(registry, repository);
  // What is attached to a subject that is gone is never cleared away.
  await readAt({ source }, () => to.resolve(image.digest, { signal }));
  const plan = await planGraph(from, sbom, { signal });
  const { digest } = sbom;
  await noteMadeSbom(ports, image, sbom);
  await ports.store.markOurs({ registry, repository, digest }, runId);
  const mountFrom = at.registry === registry ? [at.repository] : [];
  signal.throwIfAborted();
  await writeAtSource(to.name, () => copyGraph(plan, from, to, { mountFrom, signal: lasting }));
  return plan.root;
}
