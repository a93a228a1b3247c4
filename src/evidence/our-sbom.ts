import type { Attachments } from '../ports/attachments.js';
import {
  packArtifact,
  type Descriptor,
  type Digest,
  type PackedArtifact,
  type ReadableRepository,
} from '../oci/index.js';
import type { Ports } from '../ports/ports.js';
import type { StepCall, StepReply } from '../ports/step.js';
import type { StorePort } from '../ports/store.js';
import {
  describeSbom,
  generateSboms,
  type Generated,
  type Sbom,
  type SbomFormat,
  type SbomInput,
} from '../sbom/index.js';
import {
  attachPacked,
  readAt,
  isThere,
  subjectLease,
  underLease,
  type Attaching,
} from '../transfer/registry-access.js';
import type { Image } from './contracts.js';
import {
  annotationsOf,
  findOurSbom,
  incompleteError,
  noteMadeSbom,
  refusedGaps,
  type OurSbom,
  type SbomRule,
} from './find-sbom.js';
import { signerOf, signSubject } from './our-signature.js';
import { sbomClaim } from './signature-checks.js';

interface Input extends Attaching {
  rule: SbomRule;
  image: Image;
  /** Stores what layers contribute. */
  layers?: SbomInput['layers'];
  /** Layers that are read at the same time. Default: the limit of the generator. */
  layersAtOnce?: number;
  /** Called with the bytes of the layers that were read so far. */
  onRead?: (bytes: number) => void;
  /** Returns the manifests that this run has read already. Default: the repository. */
  manifests?: Pick<ReadableRepository, 'fetchManifest'>;
  /** Called before a new SBOM is made, with SBOMs of this app for the image that are listed but missing. May throw. */
  onLate?: (sboms: Digest[]) => Promise<void>;
}

type SbomPorts = Pick<Ports, 'registries' | 'signer' | 'documents' | 'lease' | 'sbom' | 'now'> & StorePort<Attachments>;

/** An SBOM of one format at an image. */
export interface AttachedSbom {
  format: SbomFormat;
  digest: Digest;
  /** The app's signature of it, if the rule signs attachments. */
  signature?: Digest;
  /** False if it existed. */
  made: boolean;
}

/**
 * Makes the SBOMs that an image lacks, by streaming its layers once, attaches them and signs them. The same image of
 * the same source gives the same bytes in every repository, so a second call creates no second SBOM.
 * @returns the SBOMs in the order of the rule's formats
 * @throws ConfigurationError `SOURCE_NOT_WRITABLE`; PolicyError `DESTINATION_LOCKED`, or `SBOM_INCOMPLETE` if the rule
 * does not allow a gap: the SBOM, which names the gap, is attached nevertheless
 */
export async function attachSbomStep(
  ports: SbomPorts,
  input: Input,
  call: StepCall,
): Promise<StepReply<{ sboms: AttachedSbom[] }>> {
  const { signal, finish = signal, progress } = call;
  const { rule, image } = input;
  const { registry, repository: name } = input.at ?? input.source;
  const repository = ports.registries.repository(registry, name);
  return underLease(ports, subjectLease(registry, name, image.digest), signal, async (held, lease) => {
    const attached = new Map<SbomFormat, AttachedSbom>();
    const replaced = new Map<SbomFormat, Digest>();
    for (const format of rule.sbom.formats) {
      const found = await findOurSbom(ports, rule, repository, { image, format }, held, input.onLate);
      if (found?.isOutdated === true) replaced.set(format, found.digest);
      else if (found !== undefined) attached.set(format, thereAlready(found, format, rule, image));
    }
    const missing = rule.sbom.formats.filter((format) => !attached.has(format));
    if (missing.length === 0) {
      const digests = [...attached.values()].map(({ digest }) => digest);
      progress.text(`is there already: ${digests.join(', ')}`);
      return { sboms: [...attached.values()] };
    }
    // Fails before the SBOM is attached if there is no key to sign it.
    if (rule.sign.length > 0) signerOf(ports);
    const generated = await generate(ports, input, missing, held, (done, total) => {
      progress.bytes(done, total);
      input.onRead?.(done);
    });
    // From the push of an SBOM to the push of its signature, only the time limit stops the step: without a signature,
    // nobody can tell that the SBOM is by this app.
    const lasting = AbortSignal.any([finish, lease.signal]);
    const texts: string[] = [];
    for (const sbom of generated.sboms) {
      const made = await attach(ports, input, { ...generated, sbom }, replaced.get(sbom.format), held, lasting);
      texts.push(made.digest);
      attached.set(sbom.format, made);
    }
    const [first] = generated.sboms;
    if (first !== undefined) {
      progress.text(`${describeSbom(first)}: ${texts.join(', ')}`);
      const refused = refusedGaps({ gaps: first.gaps.map(({ cause }) => cause) }, rule.sbom);
      if (refused.length > 0) throw incompleteError(texts.join(', '), image.label, refused);
    }
    return { sboms: rule.sbom.formats.flatMap((format) => attached.get(format) ?? []) };
  });
}

/** @throws PolicyError `SBOM_INCOMPLETE` */
function thereAlready(
  { digest, signature, facts = {} }: OurSbom,
  format: SbomFormat,
  rule: SbomRule,
  { label }: Image,
): AttachedSbom {
  const refused = refusedGaps(facts, rule.sbom);
  if (refused.length > 0) throw incompleteError(digest, label, refused);
  return { format, digest, ...(signature !== undefined && { signature }), made: false };
}

async function generate(
  ports: Pick<Ports, 'registries' | 'sbom'>,
  input: Input,
  formats: readonly SbomFormat[],
  signal: AbortSignal,
  onProgress: (done: number, total: number) => void,
): Promise<Generated> {
  const { registry, repository: path } = input.at ?? input.source;
  const { image, source } = input;
  const named = {
    repository: ports.registries.repository(registry, path),
    name: `${source.registry}/${source.repository}`,
    image,
    formats,
    ...(input.layers && { layers: input.layers }),
    ...(input.layersAtOnce !== undefined && { layersAtOnce: input.layersAtOnce }),
    ...(input.manifests && { manifests: input.manifests }),
  };
  return readAt(input, () => generateSboms(ports.sbom, named, signal, onProgress));
}

/** @param replaced the SBOM by an older version that this one replaces */
export function packSbom(sbom: Sbom, subject: Descriptor, replaced?: Digest): PackedArtifact {
  const { mediaType, bytes, fileName } = sbom;
  return packArtifact({
    artifactType: mediaType,
    layers: [{ mediaType, bytes, annotations: { 'org.opencontainers.image.title': fileName } }],
    subject,
    annotations: annotationsOf(sbom, replaced),
  });
}

/** Attaches one SBOM and signs it. */
async function attach(
  ports: SbomPorts,
  input: Input,
  { subject, sbom }: { subject: Descriptor; sbom: Sbom },
  replaced: Digest | undefined,
  signal: AbortSignal,
  lasting: AbortSignal,
): Promise<AttachedSbom> {
  const { registry, repository: path } = input.at ?? input.source;
  const repository = ports.registries.repository(registry, path);
  const packed = packSbom(sbom, subject, replaced);
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
  const { format } = sbom;
  if (input.rule.sign.length === 0) return { format, digest, made };
  const signed = await signSubject(ports, input, sbomClaim(packed.descriptor, input.image), lasting);
  return { format, digest, signature: signed.signature, made: made || signed.made };
}
