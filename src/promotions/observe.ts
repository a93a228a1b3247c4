import type { SubjectIndex } from '../ports/subject-index.js';
import type { Runs } from '../ports/runs.js';
import type { Promotions } from '../ports/promotions.js';
import type { Claims } from '../ports/claims.js';
import {
  InputError,
  PolicyError,
  describeError,
  formatReference,
  mapConcurrently,
  parseReference,
  type Descriptor,
  type Registries,
} from '../oci/index.js';
import { demandsEvidence, fingerprint } from '../rules/rule.js';
import { classifyGraph, LOOKED_AT_ONCE } from '../evidence/classify.js';
import type { InputOf, ResultOf } from '../rows/steps.js';
import type { observeContract } from './contracts.js';
import { claimDestination, type WithRules } from '../rows/claims.js';
import { attachedAt, attachmentDifferences, graphDifferences } from '../evidence/differences.js';
import { longStep, type LongStep } from '../transfer/long-step.js';
import { openedBy, type OpenedPromotion, takePromotion, untilWritten } from '../rows/row-writes.js';
import { noteKey } from '../evidence/signature-checks.js';
import type { Ports } from '../ports/ports.js';
import type { StepCall, StepReply } from '../ports/step.js';
import type { StorePort } from '../ports/store.js';
import { resolveTag, readSourceTag } from '../transfer/tag.js';
import { atSource } from '../transfer/registry-access.js';
import { awaitReferrers, type Walked } from '../transfer/plan-copy.js';
import type { PromotionRow } from '../rows/promotion-row.js';
import { wasReplaced } from '../rows/news.js';
import { INTERRUPTED, endRunRow } from '../rows/run-end.js';

type Input = InputOf<typeof observeContract>;
type Result = ResultOf<typeof observeContract>;
/** Differences that are told. */
const DIFFERENCES = 50;

type Found = Extract<Result, { state: 'found' }>;

type ObservePorts = Pick<Ports, 'registries' | 'documents' | 'callBounds' | 'signer' | 'now'> &
  WithRules &
  StorePort<Promotions & Runs & Pick<SubjectIndex, 'addToSubjectIndex'> & Claims>;

/**
 * Takes the row, looks at the source and the destination, and says what differs. Writes the subject index before it lists referrers, so
 * that evidence that comes while it looks finds its promotion. What a policy forbids (`DESTINATION_TAKEN`) is told with the
 * digest: the schedule leaves that outcome alone while the digest stands.
 */
export async function observeStep(ports: ObservePorts, input: Input, call: StepCall): Promise<StepReply<Result>> {
  const begun = await beginRun(ports, input, call);
  if (begun === undefined) return { done: { state: 'gone' } };
  const opened = openedBy(call);
  const { root, row } = await resolveAndWrite(ports, opened, begun, call);
  if (row === undefined) return { done: { state: 'gone' } };
  // What is wanted from now on may not be in what was listed: the first call's generation counts.
  let { generation } = row;
  try {
    return await longStep(ports, 'observe', input, call, async (step) => {
      // Whatever the tag is by now: lists that were read for another digest are recalled for this one too.
      generation = await step.once('generation', async () => row.generation);
      return { ...(await look(ports, step, { ...opened, row }, root, call)), generation };
    });
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error;
    const { code, message: reason, remedy } = describeError(error);
    call.progress.text(`${code}: ${reason}`);
    const why = { code, reason, digest: root.digest, ...(remedy !== undefined && { remedy }) };
    return { done: { state: 'refused', generation, ...why } };
  }
}

/**
 * What the tag stands on, noted in the run's row with what the run answers. A tag that reads as it was is asked again, and believed after a
 * quarter of an hour.
 * @returns the promotion's row after that; undefined if it is no longer the run's
 * @throws MissingAtSource; PromoterError `TAG_LATE`
 */
async function resolveAndWrite(
  ports: ObservePorts,
  opened: OpenedPromotion,
  row: PromotionRow,
  call: StepCall,
): Promise<{ root: Descriptor; row: PromotionRow | undefined }> {
  let root: Descriptor | undefined;
  try {
    const known = await readSourceTag(ports, opened, row, call);
    root = known.read;
    return { root, row: known.row };
  } finally {
    await writeBegun(ports, opened.runId, row.generation, root, call);
  }
}

/** A run that looks, and its promotion's row as it was when the call began. */
type Looking = OpenedPromotion & { row: PromotionRow };

/** @param registries that recall what they were asked before; `ports.registries` are asked for what tags mean now. */
async function look(
  ports: ObservePorts,
  registries: LongStep,
  opened: Looking,
  root: Descriptor,
  call: StepCall,
): Promise<Omit<Found, 'generation'>> {
  const { signal, progress } = call;
  const { source, rule, promotionId } = opened;
  const reference = formatReference(source);
  const repository = registries.repository(source.registry, source.repository);
  const graph = await refusingContent(() => atSource(() => classifyGraph(repository, root, signal)));
  if (graph.root.subject !== undefined) {
    throw new PolicyError('IS_REFERRER', `${reference} refers to ${graph.root.subject.digest}, and is copied with it`, {
      remedy: 'Do nothing if that is meant: it is promoted with its subject. Otherwise push it without a subject.',
    });
  }
  // A rule that observes writes nothing, and so owns nothing.
  if (rule.mode === 'enforce') await claimDestination(ports, opened);
  const seen = { root: root.digest, at: ports.now().toISOString() };
  await mapConcurrently(graph.digests, LOOKED_AT_ONCE, (digest) =>
    ports.store.addToSubjectIndex(
      { registry: source.registry, repository: source.repository, digest },
      promotionId,
      seen,
    ),
  );
  progress.text(`${reference} is ${root.digest}`);
  if (rule.sign.length > 0 && ports.signer !== undefined) await noteKey(ports, ports.signer);
  const at = attachedAt(rule, source, opened.destination);
  const attached = registries.repository(at.registry, at.repository);
  const destination = await destinationDifferences(ports, registries, opened, root, { signal, progress });
  const differences = [
    ...destination.differences,
    ...(await attachmentDifferences(ports, rule, attached, graph.images, signal)),
  ];
  progress.text(differences.length === 0 ? 'nothing differs' : differences.join('; '));
  // If something differs, the copy looks for them.
  const looked =
    differences.length > 0 || destination.walked === undefined
      ? undefined
      : awaitReferrers(ports, registries, { name: repository.name, ...destination.walked }, opened.row.news, call);
  const { mediaType, size } = graph.images[0] ?? root;
  const isAttached = rule.sign.length > 0 || (rule.sbom.formats.length > 0 && graph.images.some(({ sbom }) => sbom));
  return {
    state: 'found',
    root: { mediaType, digest: root.digest, size },
    differences: differences.slice(0, DIFFERENCES),
    mode: rule.mode,
    gate: await gateOf(ports, opened, destination.isInPlace ? root.digest : undefined),
    ...(isAttached && { attachTo: rule.attachTo }),
    ...(looked && { looked }),
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

/**
 * Passed if the rule demands nothing, and if what stands at the destination has passed before by the same rule: evidence that
 * expires later does not take a promoted image back.
 * @param standing the digest at the destination, if that is what was observed
 */
async function gateOf(
  ports: StorePort<Promotions>,
  { rule, promotionId }: OpenedPromotion,
  current: string | undefined,
): Promise<Found['gate']> {
  if (!demandsEvidence(rule)) return 'passed';
  if (current === undefined) return 'closed';
  const gate = (await ports.store.getPromotion(promotionId))?.value.gate;
  return gate?.digest === current && gate.fingerprint === fingerprint(rule) ? 'passed' : 'closed';
}

async function destinationDifferences(
  ports: Pick<Ports, 'registries' | 'now'>,
  registries: Registries,
  input: Looking,
  root: Descriptor,
  { signal, progress }: Pick<StepCall, 'signal' | 'progress'>,
): Promise<{ isInPlace: boolean; differences: string[]; walked?: Omit<Walked, 'name'> }> {
  const { registry, repository, tag = '' } = parseReference(input.destination);
  const current = await resolveTag(ports, { registry, repository, tag }, signal);
  if (current?.digest !== root.digest) {
    return { isInPlace: false, differences: [`${input.destination} is ${current?.digest ?? 'not there'}`] };
  }
  const { news } = input.row;
  if (news !== undefined && wasReplaced(news, root.digest, ports.now())) {
    return { isInPlace: false, differences: [`${input.destination} was moved away from ${root.digest} lately`] };
  }
  const source = registries.repository(input.source.registry, input.source.repository);
  const to = registries.repository(registry, repository);
  const { differences, ...walked } = await atSource(() =>
    graphDifferences(input.rule, source, to, root, signal, {
      isRootThere: true,
      onWalked: (done, total) => progress.nodes(done, total),
    }),
  );
  return { isInPlace: true, differences, walked };
}

type BeginPorts = Pick<Ports, 'now'> & StorePort<Promotions & Runs>;

/**
 * The first thing that a run does: takes its promotion's row, and reads there what it is to answer.
 * @returns undefined if the run has ended, or the row is another run's: then it is to do nothing
 */
export async function beginRun(
  ports: BeginPorts,
  { promotionId, runId }: { promotionId: string; runId: string },
  { run }: Pick<StepCall, 'run'>,
): Promise<PromotionRow | undefined> {
  // One that was given up before it began has ended.
  if (run?.input.kind !== 'promotion' || run.state === 'ended') return undefined;
  const row = await takePromotion(ports, promotionId, runId);
  // Another's, or at rest, before this one had a row of its own to be ended.
  if (row === undefined) await endRunRow(ports, runId, INTERRUPTED);
  return row;
}

/** Writes into the run's row that it works, what it answers, and what its tag stands on, as far as that is known. May be done twice. */
export async function writeBegun(
  ports: StorePort<Runs>,
  runId: string,
  generation: number,
  root: Pick<Descriptor, 'digest'> | undefined,
  { run, runVersion }: Pick<StepCall, 'run' | 'runVersion'> = {},
): Promise<void> {
  // The row as the step has read it, if it is still the same; otherwise it is read again.
  let known = run && runVersion !== undefined ? { value: run, version: runVersion } : undefined;
  await untilWritten(runId, async () => {
    const current = known ?? (await ports.store.getRun(runId));
    known = undefined;
    if (current === undefined || current.value.state === 'ended') return true;
    const { state, digest } = current.value;
    if (state === 'running' && (root === undefined || digest === root.digest)) return true;
    const begun = { ...current.value, state: 'running' as const, generation, ...(root && { digest: root.digest }) };
    return (await ports.store.replaceRun(begun, current.version)) ? true : undefined;
  });
}
