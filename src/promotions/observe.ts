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
import type { InputOf, ResultOf } from '../rows/step-contract.js';
import type { observeContract } from './contracts.js';
import { claimDestination, type WithRules } from '../rows/claims.js';
import {
  attachedAt,
  attachmentDifferences,
  graphDifferences,
  withResolved,
  type GraphDifferences,
} from '../evidence/differences.js';
import { longStep, type LongStep } from '../transfer/long-step.js';
import { changeRun, openedBy, type OpenedPromotion, takePromotion } from '../rows/row-writes.js';
import { signerOf } from '../evidence/our-signature.js';
import { recordKey } from '../evidence/signature-checks.js';
import type { Ports } from '../ports/ports.js';
import type { StepCall, StepReply } from '../ports/step.js';
import type { StorePort } from '../ports/store.js';
import { resolveTag, readSourceTag } from '../transfer/tag.js';
import { atSource } from '../transfer/registry-access.js';
import { awaitReferrers } from '../transfer/plan-copy.js';
import type { PromotionRow } from '../rows/promotion-row.js';
import type { RunRow } from '../rows/run-row.js';
import { wasReplaced } from '../rows/news.js';
import { INTERRUPTED, endRunRow } from '../rows/run-end.js';

type Input = InputOf<typeof observeContract>;
type Result = ResultOf<typeof observeContract>;
/** Maximum differences that are reported. */
const DIFFERENCES = 50;

type Found = Extract<Result, { state: 'found' }>;

type ObservePorts = Pick<Ports, 'registries' | 'documents' | 'callBounds' | 'signer' | 'now'> &
  WithRules &
  StorePort<Promotions & Runs & Pick<SubjectIndex, 'addToSubjectIndex'> & Claims>;

/**
 * Takes the row, compares the source and the destination, and reports the differences. Writes the subject index before
 * it lists referrers, so that evidence that is pushed meanwhile triggers the promotion. A policy error
 * (`DESTINATION_TAKEN`) is reported with the digest, so that the schedule does not try again until the digest changes.
 * @throws ConfigurationError `SIGNING_KEY_MISSING`
 */
export async function observeStep(ports: ObservePorts, input: Input, call: StepCall): Promise<StepReply<Result>> {
  const begun = await beginRun(ports, input, call);
  if (begun === undefined) return { done: { state: 'gone' } };
  const opened = openedBy(call);
  const { root, row, generation } = await resolveAndWrite(ports, opened, begun, call);
  if (row === undefined) return { done: { state: 'gone' } };
  try {
    return await longStep(ports, 'observe', input, call, async (step) => ({
      ...(await look(ports, step, { ...opened, row }, root, call)),
      generation,
    }));
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error;
    const { code, message: reason, remedy } = describeError(error);
    call.progress.text(`${code}: ${reason}`);
    return { done: { state: 'refused', generation, code, reason, digest: root.digest, remedy } };
  }
}

/**
 * Reads the tag and writes its digest to the run's row, with the generation that the run answers. If the tag is stale,
 * it is read again; after a quarter of an hour its digest is believed.
 * @returns the promotion's row after that, undefined if another run owns it; and the generation that the run answers
 * @throws MissingAtSource; PromoterError `TAG_LATE`
 */
async function resolveAndWrite(
  ports: ObservePorts,
  opened: OpenedPromotion,
  row: PromotionRow,
  call: StepCall,
): Promise<{ root: Descriptor; row: PromotionRow | undefined; generation: number }> {
  const write = (root?: Descriptor): Promise<number> => writeBegun(ports, opened.runId, row.generation, root, call);
  try {
    const known = await readSourceTag(ports, opened, row, call);
    return { root: known.read, row: known.row, generation: await write(known.read) };
  } catch (error) {
    await write();
    throw error;
  }
}

/** The input of a run, and its promotion's row at the start of the call. */
type Looking = OpenedPromotion & { row: PromotionRow };

/** @param registries return remembered answers. Tags are read from `ports.registries`, which ask again. */
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
      remedy:
        'If this is intended, do nothing: the referrer is promoted with its subject. Otherwise push it without a subject.',
    });
  }
  // A rule in mode `observe` writes nothing, so it needs no claim.
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
  if (rule.sign.length > 0 && ports.signer !== undefined) await recordKey(ports, ports.signer);
  const at = attachedAt(rule, source, opened.destination);
  const destination = await destinationDifferences(ports, registries, opened, root, { signal, progress });
  const attached = withResolved(registries.repository(at.registry, at.repository), destination.walked?.onBothSides);
  const missing = await attachmentDifferences(ports, rule, attached, graph.images, signal);
  // Without a key nothing may be written. With `attachTo: destination`, the copy comes before the first signature.
  if (rule.mode === 'enforce' && rule.sign.length > 0 && missing.length > 0) signerOf(ports);
  const differences = [...destination.differences, ...missing];
  progress.text(differences.length === 0 ? 'nothing differs' : differences.join('; '));
  // If something differs, the copy looks for the reported referrers.
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
    attachTo: isAttached ? rule.attachTo : undefined,
    looked,
  };
}

/** Content that nobody can promote is refused and not tried again, because the content of a digest never changes. */
async function refusingContent<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (cause) {
    if (!(cause instanceof InputError)) throw cause;
    const { code, message, remedy } = cause;
    throw new PolicyError(code, message, { cause, remedy });
  }
}

/**
 * Passed if the rule requires nothing, or if the digest at the destination has passed before under the same rule:
 * expired evidence does not affect an image that is already promoted.
 * @param current the digest at the destination, if it was read
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
): Promise<{ isInPlace: boolean; differences: string[]; walked?: Omit<GraphDifferences, 'differences'> }> {
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
 * The first action of a run: takes its promotion's row and reads the generation to answer.
 * @returns undefined if the run has ended or another run owns the row; the run must then do nothing
 */
export async function beginRun(
  ports: BeginPorts,
  { promotionId, runId }: { promotionId: string; runId: string },
  { run }: Pick<StepCall, 'run'>,
): Promise<PromotionRow | undefined> {
  // A run that was ended as interrupted before it began.
  if (run?.input.kind !== 'promotion' || run.state === 'ended') return undefined;
  const row = await takePromotion(ports, promotionId, runId);
  // Another run owns the promotion, or it is closed. If this run has a row of its own, end it.
  if (row === undefined) await endRunRow(ports, runId, INTERRUPTED);
  return row;
}

/**
 * Writes to the run's row that it works, which generation it answers, and its digest if known. Can be repeated.
 * @returns the generation that the run answers: the one from its first read of the tag. A later call may find that the
 * tag has moved, but the lists that it remembers may lack what a later trigger reports.
 */
export async function writeBegun(
  ports: StorePort<Runs>,
  runId: string,
  generation: number,
  root: Pick<Descriptor, 'digest'> | undefined,
  { run, runVersion }: Pick<StepCall, 'run' | 'runVersion'> = {},
): Promise<number> {
  const known = run && runVersion !== undefined ? { value: run, version: runVersion } : undefined;
  const begin = (row: RunRow): RunRow | undefined => {
    if (row.state === 'ended' || (row.state === 'running' && (root === undefined || row.digest === root.digest)))
      return undefined;
    const answers = (row.digest === undefined ? undefined : row.generation) ?? generation;
    return { ...row, state: 'running', generation: answers, digest: root?.digest ?? row.digest };
  };
  const begun = await changeRun(ports.store, runId, begin, known);
  return (begun?.state === 'ended' || begun?.digest === undefined ? undefined : begun.generation) ?? generation;
}
