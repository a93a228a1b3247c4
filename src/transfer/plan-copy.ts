import type { Attachments } from '../ports/attachments.js';
import type { Promotions } from '../ports/promotions.js';
import type { Runs } from '../ports/runs.js';
import {
  InputError,
  RegistryError,
  planGraph,
  type CopyPlan,
  type Descriptor,
  CopyError,
  type Digest,
  type LeftOut,
  type GraphOptions,
} from '../oci/index.js';
import { parsePlatform, selectPlatform } from '../oras/index.js';
import { type Looked, type News, lookFor } from '../rows/news.js';
import { openedBy, writeDigest } from '../rows/row-writes.js';
import type { InputOf } from '../rows/step-contract.js';
import type { copyContract } from './contracts.js';
import type { CopyRequest } from './copy.js';
import { type AttachmentOfRun, readAttached, findPlan, keepPlan, planNameOf } from './run-documents.js';
import { longStep, type LongStep } from './long-step.js';
import type { Ports } from '../ports/ports.js';
import type { StepCall, StepReply } from '../ports/step.js';
import type { StorePort } from '../ports/store.js';
import { readSourceTag } from './tag.js';
import { atSource } from './registry-access.js';

/** A plan, and which of the reported referrers it has. */
export interface PlannedCopy {
  plan: CopyPlan;
  looked: Looked;
}

/**
 * Plans the copy of a run's graph with its referrers, and stores the plan as a document. A run plans once; each call
 * checks the tag again.
 * @returns `superseded` if the tag of a promotion has moved
 * @throws InputError `DIGEST_MISMATCH`, `SOURCE_NOT_FOUND`; CopyError `REFERRER_UNKNOWN`, `EVIDENCE_LOST`,
 * `GRAPH_TOO_LARGE`; PromoterError `STEP_STUCK`
 */
export async function planCopy(
  ports: Pick<Ports, 'registries' | 'documents' | 'callBounds' | 'now'> & StorePort<Runs & Promotions>,
  request: CopyRequest,
  input: InputOf<typeof copyContract>,
  call: StepCall,
): Promise<StepReply<PlannedCopy | 'superseded'>> {
  const { signal, progress } = call;
  const { registry, repository } = request.source;
  // Only a promotion checks that its tag still names the root. A job copies everything, as `oras cp -r` does.
  const isPromotion = request.tag !== undefined;
  let root: Descriptor | undefined;
  let news: News | undefined;
  if (request.tag !== undefined) {
    const opened = openedBy(call);
    const row = (await ports.store.getPromotion(opened.promotionId))?.value;
    ({ read: root } = await readSourceTag(ports, opened, row, call));
    news = row?.news;
    if (root.digest !== input.root) return { done: 'superseded' };
  }
  const name = planNameOf(input.runId);
  const kept = await findPlan(ports, name);
  if (kept !== undefined) return { done: { plan: kept, looked: lookIn(walkedOf(kept), news) } };
  const attached = isPromotion ? await readAttached(ports, input.runId) : [];
  root ??= await resolveRoot(ports, request, input, signal);
  const reply = await longStep(ports, 'planCopy', input, call, async (step) => {
    const { recursive, excludeArtifactTypes } = request;
    const from = step.repository(registry, repository);
    const options: GraphOptions = {
      recursive,
      artifactsOnly: isPromotion,
      excludeArtifactTypes,
      attached: Map.groupBy(attached, ({ subject }) => subject),
      onWalked: (done, total) => progress.nodes(done, total),
      signal,
    };
    const planned = await atSource(() => planGraph(from, root, options));
    awaitReferrers(ports, step, walkedOf(planned), news, call);
    checkAttached(planned, attached);
    return planned;
  });
  if (!('done' in reply)) return reply;
  const plan = await keepPlan(ports, name, reply.done);
  const { blobCount, sizeBytes, manifests } = plan;
  progress.text(`${manifests.length} manifests, ${blobCount} blobs, ${sizeBytes} bytes`);
  return { done: { plan, looked: lookIn(walkedOf(plan), news) } };
}

function walkedOf({ source, manifests, leftOut }: CopyPlan): Walked {
  return { name: source, digests: new Set(manifests.map(({ descriptor }) => descriptor.digest)), leftOut };
}

/**
 * The root that a job copies.
 * @throws InputError `SOURCE_NOT_FOUND`, `DIGEST_MISMATCH`
 */
async function resolveRoot(
  ports: Pick<Ports, 'registries'> & StorePort<Runs>,
  request: CopyRequest,
  { runId }: InputOf<typeof copyContract>,
  signal: AbortSignal,
): Promise<Descriptor> {
  const source = ports.registries.repository(request.source.registry, request.source.repository);
  const asked = request.root;
  let named: Descriptor;
  try {
    named = await source.resolve(asked, { signal });
  } catch (error) {
    if (!(error instanceof RegistryError && error.notFound)) throw error;
    throw new InputError('SOURCE_NOT_FOUND', `${source.name} has no ${asked}`, {
      cause: error,
      remedy: 'Push it first, or correct the reference.',
    });
  }
  const root =
    request.platform === undefined
      ? named
      : await selectPlatform(source, named, parsePlatform(request.platform, ''), { signal });
  if (request.digest !== undefined && request.digest !== root.digest) {
    throw new InputError('DIGEST_MISMATCH', `${source.name} has ${root.digest}, not ${request.digest}`, {
      remedy: 'Copy to a tag, or to the digest that the source has.',
    });
  }
  await writeDigest(ports, runId, root.digest);
  return root;
}

/**
 * How long a run waits for referrers that are listed but missing, or reported but not listed, in milliseconds: a
 * replica may be stale.
 */
const LATE_REFERRERS_MS = 2 * 60_000;

/** The graph and referrers that were found at the source. */
export interface Walked {
  /** The name of the repository. */
  name: string;
  digests: ReadonlySet<Digest>;
  leftOut: readonly LeftOut[];
}

/** Which of the reported referrers were found. */
function lookIn({ digests, leftOut }: Walked, news: News | undefined): Looked {
  const there = new Set<string>(leftOut.flatMap(({ digest, reason }) => (reason === 'gone' ? [] : [digest])));
  return lookFor(news, { copied: digests, leftOut: there });
}

/**
 * Waits for referrers that are listed but missing, and for reported referrers that are not found. After two minutes the
 * run continues without them; a later run looks for them again.
 * @throws CopyError `REFERRER_UNKNOWN`
 */
export function awaitReferrers(
  ports: Pick<Ports, 'now'>,
  step: Pick<LongStep, 'since'>,
  walked: Walked,
  news: News | undefined,
  { waitedMs }: Pick<StepCall, 'waitedMs'>,
): Looked {
  const gone = walked.leftOut.filter(({ reason }) => reason === 'gone').map(({ digest }) => digest);
  const looked = lookIn(walked, news);
  const unknown = [...new Set<string>([...gone, ...looked.unseen])];
  // The command line does not wait.
  if (unknown.length === 0 || waitedMs === undefined) return looked;
  waitForLate(ports, step, referrersUnknown(walked.name, unknown, gone.length));
  return looked;
}

/**
 * Waits two minutes for SBOMs of this app that are listed but missing. Without this wait, the image would get a second
 * SBOM. Anybody who may push can write a referrers tag, so an SBOM that only such a tag names counts only if this app
 * attached it there.
 * @throws CopyError `REFERRER_UNKNOWN`
 */
export async function awaitOurSboms(
  ports: Pick<Ports, 'registries' | 'now'> & StorePort<Attachments>,
  step: Pick<LongStep, 'since'>,
  { registry, repository, image }: { registry: string; repository: string; image: Digest },
  sboms: readonly Digest[],
  { waitedMs, signal }: Pick<StepCall, 'waitedMs' | 'signal'>,
): Promise<void> {
  // The command line does not wait.
  if (waitedMs === undefined) return;
  const from = ports.registries.repository(registry, repository);
  const listed = await from.listReferrers(image, { artifactTypes: false, tagSchema: false, signal });
  const late: Digest[] = [];
  for (const sbom of sboms) {
    const isListed = listed.some(({ digest }) => digest === sbom);
    if (isListed || (await ports.store.attachedBy({ registry, repository, digest: sbom })) !== undefined)
      late.push(sbom);
  }
  if (late.length > 0) waitForLate(ports, step, referrersUnknown(from.name, late, late.length));
}

/** Begins the wait for something late, or continues it. @throws the given error until two minutes have passed */
function waitForLate(ports: Pick<Ports, 'now'>, step: Pick<LongStep, 'since'>, error: CopyError): void {
  const forMs = ports.now().getTime() - step.since('referrers are unknown');
  // The clocks of two hosts may differ, so the time may be negative.
  if (Math.abs(forMs) < LATE_REFERRERS_MS) throw error;
}

/**
 * Some are listed but missing: a replica is stale, or the list is outdated. Others were reported but are not listed
 * yet.
 */
function referrersUnknown(source: string, unknown: readonly string[], listed: number): CopyError {
  const names = unknown.slice(0, 5).join(', ');
  const reported = unknown.length - listed;
  const what = [
    ...(listed > 0 ? [`lists ${listed} referrers that it does not know`] : []),
    ...(reported > 0 ? [`does not list ${reported} referrers whose push was reported`] : []),
  ];
  return new CopyError('REFERRER_UNKNOWN', `${source} ${what.join(', and ')}: ${names}`, {
    transient: true,
    details: { unknown: unknown.slice(0, 100) },
    remedy:
      'No action needed: after two minutes the run continues without them, and later runs look for them for a day.',
  });
}

/**
 * Checks that a plan has the attachments of its run, except those that the rule excludes. Anybody with delete or push
 * rights at the source could have removed them. What is in the plan is verified at the destination after the copy.
 * @throws CopyError `EVIDENCE_LOST`
 */
function checkAttached({ source, manifests, leftOut }: CopyPlan, attached: readonly AttachmentOfRun[]): void {
  const planned = new Set(manifests.map(({ descriptor }) => descriptor.digest));
  const excluded = new Set(leftOut.flatMap(({ digest, reason }) => (reason === 'excluded' ? [digest] : [])));
  const lost = attached.filter(
    ({ digest, subject }) => !planned.has(digest) && !excluded.has(digest) && !excluded.has(subject),
  );
  if (lost.length > 0) throw evidenceLost(source, lost);
}

/** Maximum missing attachments that a message names. Further ones are only counted. */
const NAMED = 5;

/** The error if attachments of a run are gone from the repository where it attached them. */
export function evidenceLost(repository: string, lost: readonly AttachmentOfRun[]): CopyError {
  const more = lost.length > NAMED ? `; and ${lost.length - NAMED} more` : '';
  const named = lost.slice(0, NAMED).map(({ digest, what }) => `${what} (${digest})`);
  return new CopyError(
    'EVIDENCE_LOST',
    `${repository} no longer has what this run attached: ${named.join('; ')}${more}`,
    {
      remedy:
        'Somebody deleted the attachment, or overwrote a list of referrers (a tag `sha256-…`): check who may push and delete there. The schedule retries.',
    },
  );
}
