import type { Attachments } from '../ports/attachments.js';
import {
  ConfigurationError,
  InputError,
  IntegrityError,
  RegistryError,
  type ReadableRepository,
  PolicyError,
  type Descriptor,
  type Digest,
  type Repository,
  packArtifact,
  parseObject,
  type PackedArtifact,
} from '../oci/index.js';
import { type Signer, thumbprintsOf, NOTARY_SIGNATURE, notaryAnnotations, signNotary } from '../signing/index.js';
import {
  attachPacked,
  readAt,
  type Attaching,
  isThere,
  subjectLease,
  underLease,
} from '../transfer/registry-access.js';
import {
  recordKey,
  listSignatures,
  fetchSignature,
  type FetchedSignature,
  plainClaim,
  type SignedClaim,
  isSignedByUs,
  leafThumbprint,
} from './signature-checks.js';
import type { Ports } from '../ports/ports.js';
import type { StepCall, StepReply } from '../ports/step.js';
import type { StorePort } from '../ports/store.js';
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { untilWritten } from '../rows/row-writes.js';

/** The subject to sign, and its repository. */
interface Input extends Attaching {
  subject: SignedClaim['subject'];
}

interface Signed {
  signature: Digest;
  made: boolean;
}

type SigningPorts = Pick<Ports, 'registries' | 'signer' | 'documents' | 'now'> & StorePort<Attachments>;

/**
 * Attaches the app's Notary signature to one manifest, unless it has one that verifies.
 * @throws ConfigurationError `SIGNING_KEY_MISSING`, `SOURCE_NOT_WRITABLE`; PolicyError `DESTINATION_LOCKED`
 */
export async function attachSignatureStep(
  ports: SigningPorts & Pick<Ports, 'lease'>,
  input: Input,
  call: StepCall,
): Promise<StepReply<Signed>> {
  const { signal, finish = signal, progress } = call;
  const { registry, repository: name } = input.at ?? input.source;
  return underLease(ports, subjectLease(registry, name, input.subject.digest), signal, async (held, lease) => {
    const lasting = AbortSignal.any([finish, lease.signal]);
    const signed = await signSubject(ports, input, plainClaim(input.subject), held, lasting);
    progress.text(`${signed.made ? 'signed' : 'was signed already'}: ${signed.signature}`);
    return signed;
  });
}

/** The key that signs. @throws ConfigurationError `SIGNING_KEY_MISSING` */
export function signerOf(ports: Pick<Ports, 'signer'>): Signer {
  if (ports.signer !== undefined) return ports.signer;
  throw new ConfigurationError(
    'SIGNING_KEY_MISSING',
    'the rule demands signatures by this app, but no signing key is set',
    {
      remedy:
        'Set SIGNING_KEY and SIGNING_CERTIFICATE_CHAIN (docs/reference/settings.md), or give the rule "sign": [].',
    },
  );
}

/**
 * Signs a subject unless the app's signature with this claim exists. The caller holds the subject's lease. The registry
 * must return the subject with the media type and size of the claim.
 * @throws PolicyError `DESCRIPTOR_MISMATCH`; as {@link recordSignature}
 */
export async function signSubject(
  ports: SigningPorts,
  where: Attaching,
  claim: SignedClaim,
  signal: AbortSignal,
  /** The signal for the push, which must not stop between the manifest and its index entry. */
  lasting = signal,
): Promise<Signed> {
  const signer = signerOf(ports);
  const { subject } = claim;
  const { registry, repository: repositoryName } = where.at ?? where.source;
  const repository: Repository = ports.registries.repository(registry, repositoryName);
  await recordKey(ports, signer);
  const existing = await findOurSignature(ports, repository, claim, signer, signal);
  if (existing !== undefined) return { signature: existing.digest, made: false };
  // If the subject is gone, a signature attached to it would never be removed.
  checkIsSame(repository.name, subject, await readAt(where, () => repository.resolve(subject.digest, { signal })));
  const packed = await recordSignature(ports, claim, signer, signal);
  await ports.store.markOurs({ registry, repository: repositoryName, digest: packed.descriptor.digest }, where.runId);
  signal.throwIfAborted();
  await attachPacked(where, repository, packed, lasting);
  return { signature: packed.descriptor.digest, made: true };
}

function checkIsSame(name: string, subject: SignedClaim['subject'], found: Descriptor): void {
  if (found.mediaType === subject.mediaType && found.size === subject.size) return;
  throw new PolicyError(
    'DESCRIPTOR_MISMATCH',
    `${name}@${subject.digest} is ${found.mediaType} of ${found.size} bytes, not ${subject.mediaType} of ${subject.size} bytes`,
    { remedy: 'Build the index again from the manifests that it lists.' },
  );
}

type RecordPorts = Pick<Ports, 'documents' | 'now'>;

/** The stored form of a signature, written before it is pushed. */
const keptSchema = z.object({
  created: z.iso.datetime(),
  mediaType: z.string(),
  envelope: z.base64(),
  annotations: z.record(z.string(), z.string()),
});
type Kept = z.infer<typeof keptSchema>;

/**
 * The name includes media type, digest, size, format, certificate and metadata, so that a signature of another
 * descriptor is never found.
 */
function nameOf({ subject: { mediaType, digest, size }, metadata }: SignedClaim, signer: Signer): string {
  const claim = JSON.stringify([mediaType, digest, size, 'notary', leafThumbprint(signer), metadata]);
  const hash = createHash('sha256').update(claim).digest('hex');
  return `signatures/${digest.replace(':', '-')}/${hash}.json`;
}

function pack(kept: Kept, { subject }: SignedClaim): PackedArtifact {
  return packArtifact({
    artifactType: NOTARY_SIGNATURE,
    layers: [{ mediaType: kept.mediaType, bytes: Buffer.from(kept.envelope, 'base64') }],
    subject,
    annotations: { ...kept.annotations, 'org.opencontainers.image.created': kept.created },
  });
}

/** Reads the record of a signature. `packed` is undefined if the signature does not verify. */
async function readRecord(
  { documents, now }: RecordPorts,
  claim: SignedClaim,
  signer: Signer,
): Promise<{ packed?: PackedArtifact | undefined; version?: string | undefined }> {
  const found = await documents.getVersioned('documents', nameOf(claim, signer));
  const kept = keptSchema.safeParse(parseObject(found?.value ?? '')).data;
  const isUsable = kept !== undefined && (await isGood(kept, claim, signer, now()));
  return { packed: isUsable ? pack(kept, claim) : undefined, version: found?.version };
}

/** True if the signature verifies and has the annotations that this version writes. */
async function isGood(kept: Kept, claim: SignedClaim, signer: Signer, now: Date): Promise<boolean> {
  const expected = notaryAnnotations(signer);
  const { annotations, mediaType, envelope } = kept;
  const isPackedSo = JSON.stringify(annotations) === JSON.stringify(expected);
  const signature = { mediaType, envelope: Buffer.from(envelope, 'base64') };
  return isPackedSo && (await isSignedByUs(claim, signature, signer, now));
}

/**
 * Returns the signature to push. Each ECDSA signature has other bytes, so it is recorded first and every caller pushes
 * the recorded one. After a crash, or if two holders of the lease overlap, there is still only one signature. A
 * recorded signature that no longer verifies is replaced.
 * @throws as {@link signNotary}; PromoterError `ROW_CONTENDED` (transient)
 */
async function recordSignature(
  ports: RecordPorts,
  claim: SignedClaim,
  signer: Signer,
  signal: AbortSignal,
): Promise<PackedArtifact> {
  const { subject, metadata } = claim;
  return untilWritten(subject.digest, async () => {
    const { packed, version } = await readRecord(ports, claim, signer);
    if (packed !== undefined) return packed;
    const now = ports.now();
    const made = await signNotary(subject, signer, { signingTime: now, metadata, signal });
    const fresh: Kept = {
      created: now.toISOString(),
      mediaType: made.layer.mediaType,
      envelope: Buffer.from(made.layer.bytes).toString('base64'),
      annotations: made.annotations,
    };
    const bytes = Buffer.from(JSON.stringify(fresh));
    const written = await ports.documents.putVersioned('documents', nameOf(claim, signer), bytes, version);
    return written !== undefined ? pack(fresh, claim) : undefined;
  });
}

/** Maximum signatures of one subject that are read to find the app's own, if there is no record. */
const MOST_OWN_SIGNATURES = 100;

/**
 * Finds the signature of a claim that was made with the app's current certificate and verifies. A recorded signature is
 * looked up by its digest, so any number of other signatures cannot hide it. Without a record (it was made with another
 * store or by the command line), a limited number of signatures is read: those that name the current certificate or
 * none. If none is found, a new one is made and recorded.
 */
export async function findOurSignature(
  ports: Pick<Ports, 'documents' | 'now'>,
  repository: ReadableRepository,
  claim: SignedClaim,
  signer: Signer,
  signal: AbortSignal,
): Promise<Pick<Descriptor, 'digest'> | undefined> {
  const { subject } = claim;
  const listed = await listSignatures(repository, subject, signal);
  if (listed.length === 0) return undefined;
  const recorded = (await readRecord(ports, claim, signer)).packed?.descriptor;
  if (recorded !== undefined && listed.some(({ digest }) => digest === recorded.digest)) {
    if (await isThere(repository, recorded, signal)) return recorded;
  }
  const own = leafThumbprint(signer);
  const rankOf = (entry: Descriptor): number => (thumbprintsOf(entry).length === 0 ? 1 : 0);
  const candidates = listed
    .filter((entry) => rankOf(entry) === 1 || thumbprintsOf(entry)[0] === own)
    .sort((a, b) => rankOf(a) - rankOf(b));
  for (const descriptor of candidates.slice(0, MOST_OWN_SIGNATURES)) {
    const signature = await fetchReadable(repository, subject, descriptor, signal);
    if (signature !== undefined && (await isSignedByUs(claim, signature, signer, ports.now()))) return descriptor;
  }
  return undefined;
}

/**
 * Undefined for a signature that is malformed, does not match its digest, or is gone since it was listed. The search
 * continues with the next one.
 */
async function fetchReadable(
  repository: ReadableRepository,
  subject: Pick<Descriptor, 'digest'>,
  descriptor: Descriptor,
  signal: AbortSignal,
): Promise<FetchedSignature | undefined> {
  try {
    return await fetchSignature(repository, subject, descriptor, signal);
  } catch (error) {
    const isUnreadable = error instanceof InputError || error instanceof IntegrityError;
    if (isUnreadable || (error instanceof RegistryError && error.notFound)) return undefined;
    throw error;
  }
}
