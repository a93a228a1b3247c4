import { signerOf, signSubject, findOurSignature } from './our-signature.js';
import type { Attachments } from '../ports/attachments.js';
import {
  InputError,
  packArtifact,
  parseManifest,
  type Descriptor,
  type Digest,
  type ReadableRepository,
  isDigest,
  mapConcurrently,
} from '../oci/index.js';
import type { SourceRepository, Rule } from '../rules/rule.js';
import { type Sbom, type SbomInput, SBOM_MEDIA_TYPES } from '../sbom/index.js';
import { attachPacked, readAt, isThere, subjectLease, underLease } from '../transfer/registry-access.js';
import type { Image } from './contracts.js';
import type { Ports } from '../ports/ports.js';
import type { StepCall, StepReply } from '../ports/step.js';
import type { StorePort } from '../ports/store.js';
import { sbomClaim } from './signature-checks.js';
import { z } from 'zod';
import { untilWritten } from '../rows/row-writes.js';
import { LOOKED_AT_ONCE } from './classify.js';

interface Input {
  /** Absent on the command line. */
  runId?: string;
  rule: SigningRule;
  source: SourceRepository;
  image: Image;
  /** The repository where the image is read and its SBOM is attached. Default: the source. */
  at?: SourceRepository;
  /** Stores what layers contribute. */
  layers?: SbomInput['layers'];
  /** Returns the manifests that this run has read already. Default: the repository. */
  manifests?: Pick<ReadableRepository, 'fetchManifest'>;
  /** Called before a new SBOM is made, with SBOMs of this app for the image that are listed but missing. May throw. */
  onLate?: (sboms: Digest[]) => Promise<void>;
}

type SbomPorts = Pick<Ports, 'registries' | 'signer' | 'documents' | 'lease' | 'sbom' | 'now'> & StorePort<Attachments>;

/**
 * Makes an image's SBOM by streaming its layers, attaches it and signs it, unless the image has one by this app. The
 * same image of the same source gives the same bytes in every repository, so a second call creates no second SBOM.
 * @throws ConfigurationError `SOURCE_NOT_WRITABLE`; PolicyError `DESTINATION_LOCKED`
 */
export async function attachSbomStep(
  ports: SbomPorts,
  input: Input,
  call: StepCall,
): Promise<StepReply<{ sbom: Digest; signature?: Digest; made: boolean }>> {
  const { signal, finish = signal, progress } = call;
  const at = input.at ?? input.source;
  const { registry, repository: name } = at;
  const repository = ports.registries.repository(registry, name);
  return underLease(ports, subjectLease(registry, name, input.image.digest), signal, async (held, lease) => {
    const existing = await findOurSbom(ports, input.rule, repository, input.image, held, input.onLate);
    if (existing !== undefined) {
      progress.text(`is there already: ${existing.digest}`);
      const { digest: sbom, signature } = existing;
      return { sbom, ...(signature !== undefined && { signature }), made: false };
    }
    // Fails before the SBOM is attached if there is no key to sign it.
    if (input.rule.sign.length > 0) signerOf(ports);
    // From the push of the SBOM to the push of its signature, only the time limit stops the step: without a signature,
    // nobody can tell that the SBOM is by this app.
    const lasting = AbortSignal.any([finish, lease.signal]);
    const { sbom, text, made } = await attach(ports, input, held, lasting, (done, total) =>
      progress.bytes(done, total),
    );
    progress.text(text);
    const signed =
      input.rule.sign.length > 0 ? await signSubject(ports, input, sbomClaim(sbom, input.image), lasting) : undefined;
    if (signed === undefined) return { sbom: sbom.digest, made };
    return { sbom: sbom.digest, signature: signed.signature, made: made || signed.made };
  });
}

/**
 * Makes the SBOM of one image by streaming its layers.
 * @param name of the root component
 * @throws InputError `NOT_AN_IMAGE`; as the generator
 */
export async function generateSbom(
  { sbom }: Pick<Ports, 'sbom'>,
  {
    repository,
    name,
    image,
    layers,
    manifests = repository,
  }: { repository: ReadableRepository; name: string; image: Descriptor } & Pick<Input, 'layers' | 'manifests'>,
  signal: AbortSignal,
  onProgress: (done: number, total: number) => void,
): Promise<{ subject: Descriptor; sbom: Sbom }> {
  const reference = `${name}@${image.digest}`;
  const { bytes, descriptor } = await manifests.fetchManifest(image, { signal });
  const manifest = parseManifest(bytes, descriptor.mediaType, reference);
  if (manifest.kind !== 'image') {
    throw new InputError('NOT_AN_IMAGE', `${reference} is not an image`, {
      remedy: 'Name one of the images of the index: only an image has layers to look into.',
    });
  }
  const [made] = await sbom.generate({
    name,
    descriptor,
    manifest,
    openBlob: (blob, blobSignal) => repository.openBlob(blob, { signal: blobSignal }),
    hasBlob: (blob, blobSignal) => repository.hasBlob(blob, { signal: blobSignal }),
    signal,
    onProgress,
    ...(layers && { layers }),
  });
  if (made === undefined) throw new Error('no SBOM was made');
  return { subject: descriptor, sbom: made };
}

interface Attached {
  sbom: Descriptor;
  text: string;
  made: boolean;
}

async function attach(
  ports: Pick<Ports, 'registries' | 'sbom' | 'documents'> & StorePort<Attachments>,
  input: Input,
  signal: AbortSignal,
  lasting: AbortSignal,
  onProgress: (done: number, total: number) => void,
): Promise<Attached> {
  const { registry, repository: path } = input.at ?? input.source;
  const repository = ports.registries.repository(registry, path);
  const { image, source } = input;
  const named = {
    repository,
    name: `${source.registry}/${source.repository}`,
    image,
    ...(input.layers && { layers: input.layers }),
    ...(input.manifests && { manifests: input.manifests }),
  };
  const { subject, sbom } = await readAt(input, () => generateSbom(ports, named, signal, onProgress));
  const packed = packArtifact({
    artifactType: sbom.mediaType,
    layers: [
      {
        mediaType: sbom.mediaType,
        bytes: sbom.bytes,
        annotations: { 'org.opencontainers.image.title': sbom.fileName },
      },
    ],
    subject,
    annotations: { 'org.opencontainers.image.created': sbom.created },
  });
  const { digest } = packed.descriptor;
  // The registry lists the same SBOM, but there is no valid signature and no record of it. Either it was made with
  // another store, or the list is wrong: anybody can compute the digest.
  const isListed = async (): Promise<boolean> =>
    (await repository.listReferrers(subject.digest, { artifactType: sbom.mediaType, signal })).some(
      (referrer) => referrer.digest === digest,
    );
  const made = !(await isThere(repository, { digest }, signal)) || !(await isListed());
  await noteMadeSbom(ports, subject, packed.descriptor);
  await ports.store.markOurs({ registry, repository: path, digest }, input.runId);
  signal.throwIfAborted();
  if (made) await attachPacked(input, repository, packed, lasting);
  return { sbom: packed.descriptor, text: `${describeSbom(sbom)}: ${digest}`, made };
}

/** One line: the packages that were found and the files that could not be read. */
export function describeSbom({ counts, gaps }: Pick<Sbom, 'counts' | 'gaps'>): string {
  const counted = Object.entries(counts).map(([type, count]) => `${count} ${type}`);
  const missing = gaps.map(({ cause, count, examples: [example = ''] }) => `${count} ${cause}: ${example}`);
  return [counted.length === 0 ? 'no components' : counted.join(', '), ...missing].join('; ');
}

/** Maximum recorded SBOMs of one image: one for each repository that it was promoted from. */
const MOST_MADE_SBOMS = 1_000;

const digest = z.custom<Digest>((value) => typeof value === 'string' && isDigest(value), 'not a digest');
const madeSchema = z.object({
  sboms: z.array(z.object({ mediaType: z.string(), digest, size: z.number().int().nonnegative() })),
});
type Made = z.infer<typeof madeSchema>['sboms'];

function nameOf(image: Pick<Descriptor, 'digest'>): string {
  return `sboms/${image.digest.replace(':', '-')}.json`;
}

/** An unreadable record counts as empty. The SBOMs are then made again, with the same bytes. */
function parse(bytes: Uint8Array | undefined): Made {
  try {
    return madeSchema.parse(JSON.parse(Buffer.from(bytes ?? []).toString('utf8'))).sboms;
  } catch {
    return [];
  }
}

/** The SBOMs that this app made of an image, in any repository, newest first. */
export async function sbomsMadeOf(
  { documents }: Pick<Ports, 'documents'>,
  image: Pick<Descriptor, 'digest'>,
): Promise<Made> {
  return parse(await documents.get('documents', nameOf(image)));
}

/** Records an SBOM as made by this app, before it is pushed. */
async function noteMadeSbom(
  { documents }: Pick<Ports, 'documents'>,
  image: Pick<Descriptor, 'digest'>,
  { mediaType, digest: made, size }: Descriptor,
): Promise<void> {
  await untilWritten(image.digest, async () => {
    const found = await documents.getVersioned('documents', nameOf(image));
    const before = parse(found?.value);
    if (before.some((sbom) => sbom.digest === made)) return true;
    const sboms = [{ mediaType, digest: made, size }, ...before].slice(0, MOST_MADE_SBOMS);
    const bytes = Buffer.from(JSON.stringify({ sboms }));
    return documents.putVersioned('documents', nameOf(image), bytes, found?.version);
  });
}

/** Maximum SBOMs of one image without a record that are checked. Further ones are skipped. */
const MOST_FOREIGN_SBOMS = 100;

/** Whether the rule signs attachments. */
export interface SigningRule {
  sign: readonly Rule['sign'][number][];
}

/**
 * Finds the SBOM of an image by this app: this app's signature of it verifies and says that it is the SBOM of this
 * image. If the rule signs nothing, the record that was written before the push decides. SBOMs by others are left
 * alone. An SBOM that is listed but missing does not count.
 * @param onLate called if there is none, with the recorded SBOMs that are listed but missing
 */
export async function findOurSbom(
  ports: Pick<Ports, 'signer' | 'documents' | 'now'>,
  rule: SigningRule,
  repository: ReadableRepository,
  image: Pick<Descriptor, 'digest'>,
  signal: AbortSignal,
  onLate: (sboms: Digest[]) => Promise<void> = async () => {},
): Promise<(Descriptor & { signature?: Digest }) | undefined> {
  const options = { artifactType: SBOM_MEDIA_TYPES.cyclonedx, artifactTypes: false, signal };
  const listed = await repository.listReferrers(image.digest, options);
  if (listed.length === 0) return undefined;
  const made = await sbomsMadeOf(ports, image);
  const digests = new Set<string>(listed.map(({ digest }) => digest));
  // Use the recorded descriptors: a list may have a wrong size or type.
  const ours: Descriptor[] = made.filter(({ digest }) => digests.has(digest));
  const { signer } = ports;
  if (signer === undefined || rule.sign.length === 0) {
    const found = await firstThere(repository, ours, signal);
    if (found === undefined && ours.length > 0) await onLate(ours.map(({ digest }) => digest));
    return found;
  }
  const noted = new Set<string>(ours.map(({ digest }) => digest));
  // Anybody can attach any number of SBOMs. The recorded ones come first, and the number of others is limited.
  const others = listed.filter(({ digest }) => !noted.has(digest)).slice(0, MOST_FOREIGN_SBOMS);
  for (const some of [ours, others]) {
    const signed = await mapConcurrently(some, LOOKED_AT_ONCE, (sbom) =>
      findOurSignature(ports, repository, sbomClaim(sbom, image), signer, signal),
    );
    const found = await firstThere(
      repository,
      some.filter((_, index) => signed[index] !== undefined),
      signal,
    );
    const signature = found && signed[some.indexOf(found)];
    if (found !== undefined) return { ...found, ...(signature !== undefined && { signature: signature.digest }) };
  }
  const late: Digest[] = [];
  for (const sbom of ours) if (!(await isThere(repository, sbom, signal))) late.push(sbom.digest);
  if (late.length > 0) await onLate(late);
  return undefined;
}

async function firstThere(
  repository: ReadableRepository,
  sboms: readonly Descriptor[],
  signal: AbortSignal,
): Promise<Descriptor | undefined> {
  for (const sbom of sboms) if (await isThere(repository, sbom, signal)) return sbom;
  return undefined;
}
