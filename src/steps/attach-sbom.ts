import { InputError, packArtifact, parseManifest, type Descriptor } from '../oci/index.js';
import type { SourceRepository } from '../promotion/rule.js';
import { attachPacked } from './attach-packed.js';
import { signSubject } from './attach-signature.js';
import type { InputOf, ResultOf, attachSbomContract } from './contracts.js';
import { findOurSbom, type SigningRule } from './our-sbom.js';
import type { Ports, StepCall, StepReply } from './ports.js';
import { subjectLease, underLease } from './under-lease.js';

/** What it needs of a step's input: a job has no rule. */
type Input = Pick<InputOf<typeof attachSbomContract>, 'image' | 'at'> & {
  rule: SigningRule;
  source: SourceRepository;
};

/**
 * Makes an image's SBOM by streaming its layers, attaches it and signs it, where the image has none of ours. The same image gives
 * the same bytes, so doing it twice makes one.
 * @throws ConfigurationError `SOURCE_NOT_WRITABLE`; PolicyError `DESTINATION_LOCKED`
 */
export async function attachSbomStep(
  ports: Pick<Ports, 'registries' | 'store' | 'signer' | 'documents' | 'lease' | 'sbom' | 'now'>,
  input: Input,
  { signal, finish = signal, progress }: StepCall,
): Promise<StepReply<ResultOf<typeof attachSbomContract>>> {
  const at = input.at ?? input.source;
  const { registry, repository: name } = at;
  const repository = ports.registries.repository(registry, name);
  return underLease(ports, subjectLease(registry, name, input.image.digest), signal, async (held, lease) => {
    const existing = await findOurSbom(ports, input.rule, at, repository, input.image, held);
    if (existing !== undefined) {
      progress.text(`is there already: ${existing.digest}`);
      return { sbom: existing.digest, made: false };
    }
    // From the SBOM's push to its signature's nothing stops it but time: an SBOM that isn't signed is nobody's.
    const lasting = AbortSignal.any([finish, lease.signal]);
    const { sbom, text } = await attach(ports, input, held, lasting, (done, total) => progress.bytes(done, total));
    progress.text(text);
    if (input.rule.sign.length > 0) await signSubject(ports, input, sbom, lasting);
    return { sbom: sbom.digest, made: true };
  });
}

async function attach(
  ports: Pick<Ports, 'registries' | 'store' | 'sbom'>,
  input: Input,
  signal: AbortSignal,
  lasting: AbortSignal,
  onProgress: (done: number, total: number) => void,
): Promise<{ sbom: Descriptor; text: string }> {
  const { registry, repository: name } = input.at ?? input.source;
  const repository = ports.registries.repository(registry, name);
  const reference = `${registry}/${name}@${input.image.digest}`;
  const { bytes, descriptor } = await repository.fetchManifest(input.image, { signal });
  const manifest = parseManifest(bytes, descriptor.mediaType, reference);
  if (manifest.kind !== 'image') {
    throw new InputError('NOT_AN_IMAGE', `${reference} is no image`, {
      remedy: 'Name one of the images of the index: only an image has layers to look into.',
    });
  }
  const sbom = await ports.sbom.generate({
    name: `${registry}/${name}`,
    descriptor,
    manifest,
    openBlob: (blob, blobSignal) => repository.openBlob(blob, { signal: blobSignal }),
    signal,
    onProgress,
  });
  const packed = packArtifact({
    artifactType: sbom.mediaType,
    layers: [
      {
        mediaType: sbom.mediaType,
        bytes: sbom.bytes,
        annotations: { 'org.opencontainers.image.title': 'sbom.cdx.json' },
      },
    ],
    subject: descriptor,
    annotations: { 'org.opencontainers.image.created': sbom.created },
  });
  await ports.store.markOurs({ registry, repository: name, digest: packed.descriptor.digest });
  signal.throwIfAborted();
  await attachPacked(input, repository, packed, lasting);
  const counted = Object.entries(sbom.counts).map(([type, count]) => `${count} ${type}`);
  const text = [counted.length === 0 ? 'no components' : counted.join(', '), ...sbom.gaps].join('; ');
  return { sbom: packed.descriptor, text: `${text}: ${packed.descriptor.digest}` };
}
