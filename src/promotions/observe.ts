import type { SubjectIndex } from '../ports/subject-index.js';
import type { Runs } from '../ports/runs.js';
import type { Promotions } from '../ports/promotions.js';
import type { Claims } from '../ports/claims.js';
import {
  InputError,
  PolicyError,
  describeError,
  mapConcurrently,
  parseReference,
  type Descriptor,
  type Registries,
} from '../oci/index.js';
import { classifyGraph, LOOKED_AT_ONCE } from '../evidence/classify.js';
import type { InputOf, ResultOf } from '../rows/step-contract.js';
import type { observeContract } from './contracts.js';
import { writeDigest } from '../rows/run-digest.js';
import { claimDestination, type WithRules } from '../rows/claims.js';
import { attachedAt, attachmentDifferences, graphDifferences } from '../evidence/differences.js';
import { noteKey } from '../evidence/our-keys.js';
import type { Ports } from '../ports/ports.js';
import type { StepCall } from '../ports/step.js';
import type { StorePort } from '../ports/store.js';
import { resolveTag } from '../transfer/resolve-tag.js';
import { atSource, missingTag } from '../transfer/source-gone.js';
import { inStretches } from '../transfer/stretch.js';

type Input = InputOf<typeof observeContract>;
type Result = ResultOf<typeof observeContract>;

type ObservePorts = Pick<Ports, 'registries' | 'documents' | 'stretch' | 'signer' | 'now'> &
  WithRules &
  StorePort<Promotions & Runs & Pick<SubjectIndex, 'addStanding'> & Claims>;

/**
 * Looks at the source and the destination, in stretches, and says what differs. Writes the rows of the digests before it lists referrers, so
 * that evidence that comes while it looks finds its promotion. What a policy forbids (`DESTINATION_TAKEN`) is told with the
 * digest: the schedule leaves that outcome alone while the digest stands.
 */
export async function observeStep(ports: ObservePorts, input: Input, call: StepCall): Promise<Result> {
  const reference = `${input.source.registry}/${input.source.repository}:${input.source.tag}`;
  const root = await resolveTag(ports, input.source, call.signal);
  if (root === undefined) throw missingTag(input.source);
  await writeDigest(ports, input.runId, root.digest);
  try {
    return await inStretches(ports, 'observe', input, call, (registries) =>
      look(ports, registries, input, reference, root, call),
    );
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error;
    const { code, message: reason, remedy } = describeError(error);
    call.progress.text(`${code}: ${reason}`);
    return { state: 'refused', code, reason, digest: root.digest, ...(remedy !== undefined && { remedy }) };
  }
}

/** @param registries that recall what they were asked before; `ports.registries` are asked for what tags mean now. */
async function look(
  ports: ObservePorts,
  registries: Registries,
  input: Input,
  reference: string,
  root: Descriptor,
  { signal, progress }: StepCall,
): Promise<Result> {
  const { source } = input;
  const repository = registries.repository(source.registry, source.repository);
  const graph = await refusingContent(() => atSource(() => classifyGraph(repository, root, signal)));
  if (graph.root.subject !== undefined) {
    throw new PolicyError('IS_REFERRER', `${reference} refers to ${graph.root.subject.digest}, and is copied with it`, {
      remedy: 'Do nothing if that is meant: it is promoted with its subject. Otherwise push it without a subject.',
    });
  }
  // A rule that observes writes nothing, and so owns nothing.
  if (input.rule.mode === 'enforce') await claimDestination(ports, input);
  const seen = { root: root.digest, at: ports.now().toISOString() };
  await mapConcurrently(graph.digests, LOOKED_AT_ONCE, (digest) =>
    ports.store.addStanding(
      { registry: source.registry, repository: source.repository, digest },
      input.promotionId,
      seen,
    ),
  );
  progress.text(`${reference} is ${root.digest}`);
  if (input.rule.sign.length > 0 && ports.signer !== undefined) await noteKey(ports, ports.signer);
  const at = attachedAt(input.rule, source, input.destination);
  const attached = registries.repository(at.registry, at.repository);
  const destination = await destinationDifferences(ports, registries, input, root, { signal, progress });
  const differences = [
    ...destination.differences,
    ...(await attachmentDifferences(ports, input.rule, attached, graph.images, signal)),
  ];
  progress.text(differences.length === 0 ? 'nothing differs' : differences.join('; '));
  const { mediaType, size } = graph.images[0] ?? root;
  return {
    state: 'found',
    root: { mediaType, digest: root.digest, size },
    images: graph.images,
    differences: differences.slice(0, 50),
    gatePassed: destination.isInPlace ? await gatePassedBy(ports, input.promotionId, root.digest) : null,
  };
}

/** Content that nobody can promote is refused, not tried again: a digest never changes what it means. */
async function refusingContent<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (cause) {
    if (!(cause instanceof InputError)) throw cause;
    const { code, message, remedy } = cause;
    throw new PolicyError(code, message, { cause, ...(remedy !== undefined && { remedy }) });
  }
}

/** The evidence policy under which this digest has passed the gate. */
async function gatePassedBy(ports: StorePort<Promotions>, promotionId: string, digest: string): Promise<string | null> {
  const gate = (await ports.store.getPromotion(promotionId))?.value.gate;
  return gate?.digest === digest ? gate.policy : null;
}

async function destinationDifferences(
  ports: Pick<Ports, 'registries'>,
  registries: Registries,
  input: Input,
  root: Descriptor,
  { signal, progress }: StepCall,
): Promise<{ isInPlace: boolean; differences: string[] }> {
  const { registry, repository, tag = '' } = parseReference(input.destination);
  const standing = await resolveTag(ports, { registry, repository, tag }, signal);
  if (standing?.digest !== root.digest) {
    return { isInPlace: false, differences: [`${input.destination} is ${standing?.digest ?? 'not there'}`] };
  }
  const source = registries.repository(input.source.registry, input.source.repository);
  const to = registries.repository(registry, repository);
  const differences = await atSource(() =>
    graphDifferences(input.rule, source, to, root, signal, (done, total) => progress.nodes(done, total)),
  );
  return { isInPlace: true, differences };
}
