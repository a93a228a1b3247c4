import type { Attachments } from '../ports/attachments.js';
import {
  mapConcurrently,
  parseReference,
  type Descriptor,
  type Digest,
  type ReadableRepository,
} from '../oci/index.js';
import { LAYER_TOO_SLOW } from '../sbom/index.js';
import type { SbomRule } from './find-sbom.js';
import { attachSbomStep } from './our-sbom.js';
import { attachSignatureStep } from './our-signature.js';
import { LOOKED_AT_ONCE, classifyGraph } from './classify.js';
import type { Image, attachContract } from './contracts.js';
import type { InputOf, ResultOf } from '../rows/step-contract.js';
import { awaitOurSboms, evidenceLost } from '../transfer/plan-copy.js';
import { keepAttached, type AttachmentOfRun } from '../transfer/run-documents.js';
import { Busy, longStep, type LongStep } from '../transfer/long-step.js';
import { openedBy } from '../rows/row-writes.js';
import type { Ports } from '../ports/ports.js';
import type { StepCall, StepReply } from '../ports/step.js';
import type { StorePort } from '../ports/store.js';
import { readAt, type Attaching } from '../transfer/registry-access.js';

/** Maximum SBOMs that one call makes at once. Each keeps a core busy. */
const SBOMS_AT_ONCE = 2;
/** Maximum signatures that one call makes at once. */
const SIGNATURES_AT_ONCE = 8;
/** Maximum lines about attachments. If there are more, only their numbers are reported. */
const MOST_LINES = 80;

export type AttachPorts = Pick<Ports, 'registries' | 'signer' | 'documents' | 'lease' | 'sbom' | 'callBounds' | 'now'> &
  StorePort<Attachments>;

/** What a run attaches, and where. */
interface AttachingOfRun extends Attaching {
  runId: string;
  rule: SbomRule;
}

export interface Attached {
  subject: Digest;
  digest: Digest;
  /** The app's signature of it, if it is a signed SBOM. */
  signature?: Digest;
  made: boolean;
  label: string;
}

/**
 * Attaches the missing SBOMs, and then the missing signatures, to all manifests of a graph. A call that crashes
 * attaches nothing twice.
 * @throws ConfigurationError `SOURCE_NOT_WRITABLE`, `SIGNING_KEY_MISSING`; PolicyError `DESTINATION_LOCKED`;
 * CopyError `EVIDENCE_LOST`; PromoterError `STEP_STUCK`
 */
export async function attachStep(
  ports: AttachPorts,
  input: InputOf<typeof attachContract>,
  call: StepCall,
): Promise<StepReply<ResultOf<typeof attachContract>>> {
  const { rule, source, destination } = openedBy(call);
  const { registry, repository } = rule.attachTo === 'source' ? source : parseReference(destination);
  const at = { registry, repository };
  const attaching = { runId: input.runId, rule, source, ...(rule.attachTo === 'destination' && { at }) };
  return longStep(ports, 'attach', input, call, async (step) => {
    const { images } = await readAt(attaching, async () => {
      const subjects = step.repository(registry, repository);
      const { descriptor } = await subjects.fetchManifest(input.root, { signal: call.signal });
      return classifyGraph(subjects, descriptor, call.signal);
    });
    const sboms = rule.sbom.formats.length === 0 ? [] : await attachSboms(ports, step, attaching, images, call);
    const signatures = rule.sign.length === 0 ? [] : await attachSignatures(ports, step, attaching, images, call);
    // Includes attachments that exist already: an earlier try of this call may have attached them and crashed.
    const attached = attachmentsOf(sboms, signatures);
    if (rule.attachTo === 'source') await keepAttached(ports, input.runId, attached);
    else await checkListed(step.repository(registry, repository), attached, call.signal);
    call.progress.text([...counted('SBOMs', sboms), ...counted('signatures', signatures)].join('; '));
    return { did: describe(sboms, signatures) };
  });
}

/**
 * Attaches the SBOMs of the rule to each of these images that gets one.
 * @throws Busy if another process holds the lease of a subject
 */
export function attachSboms(
  ports: AttachPorts,
  step: LongStep,
  attaching: AttachingOfRun,
  images: readonly Image[],
  call: StepCall,
): Promise<Attached[]> {
  const withSbom = images.filter(({ sbom }) => sbom);
  // Layers that are read at once share the connection, so a slow one is read alone.
  const isSlow = call.trouble?.code === LAYER_TOO_SLOW;
  return attachEach(step, 'attachSbom', withSbom, isSlow ? 1 : SBOMS_AT_ONCE, call, async (image, imageCall) => {
    const { registry, repository } = attaching.at ?? attaching.source;
    const manifests = step.repository(registry, repository);
    const place = { registry, repository, image: image.digest };
    const onLate = (sboms: Digest[]): Promise<void> => awaitOurSboms(ports, step, place, sboms, imageCall);
    const onRead = (bytes: number): void => step.reached(`layers of ${image.digest}`, bytes);
    const reading = { layers: step.layers, ...(isSlow && { layersAtOnce: 1 }), onRead };
    const reply = await attachSbomStep(ports, { ...attaching, ...reading, image, manifests, onLate }, imageCall);
    return 'done' in reply ? { done: reply.done.sboms } : reply;
  });
}

/**
 * Attaches the app's signature to each of these manifests.
 * @throws Busy if another process holds the lease of a subject
 */
export function attachSignatures(
  ports: AttachPorts,
  step: LongStep,
  attaching: AttachingOfRun,
  images: readonly Image[],
  call: StepCall,
): Promise<Attached[]> {
  const { rule: _rule, ...where } = attaching;
  return attachEach(step, 'attachSignature', images, SIGNATURES_AT_ONCE, call, async (image, imageCall) => {
    const subject = subjectOf(image);
    const reply = await attachSignatureStep(ports, { ...where, subject }, imageCall);
    return 'done' in reply ? { done: [{ digest: reply.done.signature, made: reply.done.made }] } : reply;
  });
}

function subjectOf({ mediaType, digest, size }: Image): Descriptor {
  return { mediaType, digest, size };
}

/**
 * Attaches something to each manifest, once over all calls. A subject whose lease is held does not delay the others.
 */
async function attachEach(
  step: LongStep,
  kind: string,
  images: readonly Image[],
  atOnce: number,
  call: StepCall,
  attach: (image: Image, call: StepCall) => Promise<StepReply<Omit<Attached, 'subject' | 'label'>[]>>,
): Promise<Attached[]> {
  const busy: Busy[] = [];
  const attached = await mapConcurrently(images, atOnce, async (image): Promise<Attached[]> => {
    const { label, digest } = image;
    try {
      const done = await step.once(`${kind} ${digest}`, () =>
        call.progress.part(kind, { label, digest }, async (progress) => {
          const reply = await attach(image, { ...call, progress });
          if ('done' in reply) return reply.done;
          throw new Busy(reply.retryAfterMs);
        }),
      );
      await step.keep();
      return done.map((each) => ({ ...each, subject: digest, label }));
    } catch (error) {
      if (!(error instanceof Busy)) throw error;
      busy.push(error);
      return [];
    }
  });
  const [held] = busy;
  if (held !== undefined) throw held;
  return attached.flat();
}

/** All attachments: SBOMs, their signatures, and the signatures of the manifests. */
function attachmentsOf(sboms: readonly Attached[], signatures: readonly Attached[]): AttachmentOfRun[] {
  return [
    ...sboms.map(({ digest, subject, label }) => ({ digest, subject, what: `SBOM of ${label}` })),
    ...sboms.flatMap(({ digest: subject, signature: digest, label }) =>
      digest === undefined ? [] : [{ digest, subject, what: `signature of the SBOM of ${label}` }],
    ),
    ...signatures.map(({ digest, subject, label }) => ({ digest, subject, what: `signature of ${label}` })),
  ];
}

/**
 * Checks that the destination lists what was attached there: another writer may have overwritten a list.
 * @throws CopyError `EVIDENCE_LOST`
 */
async function checkListed(
  at: ReadableRepository,
  attached: readonly AttachmentOfRun[],
  signal: AbortSignal,
): Promise<void> {
  const subjects = [...new Set(attached.map(({ subject }) => subject))];
  const lists = await mapConcurrently(subjects, LOOKED_AT_ONCE, (subject) =>
    at.listReferrers(subject, { artifactTypes: false, signal }),
  );
  const listed = new Map(
    subjects.map((subject, index) => [subject, new Set(lists[index]?.map(({ digest }) => digest))]),
  );
  const lost = attached.filter(({ subject, digest }) => listed.get(subject)?.has(digest) !== true);
  if (lost.length > 0) throw evidenceLost(at.name, lost);
}

function describe(sboms: readonly Attached[], signatures: readonly Attached[]): string[] {
  if (sboms.length + signatures.length > MOST_LINES)
    return [...counted('SBOMs', sboms), ...counted('signatures', signatures)];
  const lineOf =
    (kind: string) =>
    ({ digest, made, label }: Attached): string =>
      `${made ? 'attached' : 'found'} ${kind} ${digest} of ${label}`;
  return [...sboms.map(lineOf('SBOM')), ...signatures.map(lineOf('signature'))];
}

/** One line with the number of attachments, or none if there are no attachments. */
export function counted(kind: string, attached: readonly Attached[]): string[] {
  const made = attached.filter((each) => each.made).length;
  return attached.length === 0 ? [] : [`${kind}: ${made} attached, ${attached.length - made} were there`];
}
