import { createHash } from 'node:crypto';
import { z } from 'zod';
import { packArtifact, type PackedArtifact } from '../oci/index.js';
import { untilWritten } from '../rows/until-written.js';
import { NOTARY_SIGNATURE, notaryAnnotations, signNotary, type Signer } from '../signing/index.js';
import { isSignedByUs, leafThumbprint } from './our-signature-check.js';
import type { Ports } from '../ports/ports.js';
import type { SignedClaim } from './signed-claim.js';

type RecordPorts = Pick<Ports, 'documents' | 'now'>;

/** What is kept of a signature before it is pushed. */
const keptSchema = z.object({
  created: z.iso.datetime(),
  mediaType: z.string(),
  envelope: z.base64(),
  annotations: z.record(z.string(), z.string()),
});
type Kept = z.infer<typeof keptSchema>;

/** Media type, digest, size, format, certificate and metadata name it: what was made for another descriptor is never found. */
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

interface Recorded {
  /** Undefined where it could not be read. */
  kept: Kept | undefined;
  version: string;
}

async function readRecord(
  { documents }: Pick<Ports, 'documents'>,
  claim: SignedClaim,
  signer: Signer,
): Promise<Recorded | undefined> {
  const found = await documents.getVersioned('documents', nameOf(claim, signer));
  if (found === undefined) return undefined;
  let json: unknown;
  try {
    json = JSON.parse(Buffer.from(found.value).toString('utf8'));
  } catch {
    // Spoilt: it is replaced.
  }
  return { kept: keptSchema.safeParse(json).data, version: found.version };
}

/** True while it verifies, and would be packed as the signer packs it now. */
async function isGood(kept: Kept, claim: SignedClaim, signer: Signer, now: Date): Promise<boolean> {
  const expected = notaryAnnotations(signer);
  const { annotations, mediaType, envelope } = kept;
  const isPackedSo = JSON.stringify(annotations) === JSON.stringify(expected);
  const signature = { mediaType, envelope: Buffer.from(envelope, 'base64') };
  return isPackedSo && (await isSignedByUs(claim, signature, signer, now));
}

/** The digest of the signature that is recorded, whether it verifies or not; undefined where there is none. */
export async function recordedDigest(
  ports: Pick<Ports, 'documents'>,
  claim: SignedClaim,
  signer: Signer,
): Promise<string | undefined> {
  const { kept } = (await readRecord(ports, claim, signer)) ?? {};
  return kept && pack(kept, claim).descriptor.digest;
}

/** The signature that is recorded and verifies. */
export async function recordedSignature(
  ports: RecordPorts,
  claim: SignedClaim,
  signer: Signer,
): Promise<PackedArtifact | undefined> {
  const { kept } = (await readRecord(ports, claim, signer)) ?? {};
  return kept && (await isGood(kept, claim, signer, ports.now())) ? pack(kept, claim) : undefined;
}

/**
 * The signature to push. A signature made with ECDSA differs each time, so it is recorded first, and the recorded one is what
 * everybody pushes: a crash or a late second holder of the lease makes no second signature. One that no longer verifies is replaced.
 * @throws as {@link signNotary}; PromoterError `ROW_CONTENDED` (transient)
 */
export async function recordSignature(
  ports: RecordPorts,
  claim: SignedClaim,
  signer: Signer,
  signal: AbortSignal,
): Promise<PackedArtifact> {
  const { subject, metadata } = claim;
  return untilWritten(subject.digest, async () => {
    const record = await readRecord(ports, claim, signer);
    const now = ports.now();
    if (record?.kept !== undefined && (await isGood(record.kept, claim, signer, now))) return pack(record.kept, claim);
    const made = await signNotary(subject, signer, { signingTime: now, metadata, signal });
    const fresh: Kept = {
      created: now.toISOString(),
      mediaType: made.layer.mediaType,
      envelope: Buffer.from(made.layer.bytes).toString('base64'),
      annotations: made.annotations,
    };
    const bytes = Buffer.from(JSON.stringify(fresh));
    const isWritten = await ports.documents.putVersioned('documents', nameOf(claim, signer), bytes, record?.version);
    return isWritten ? pack(fresh, claim) : undefined;
  });
}
