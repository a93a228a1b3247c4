import { expect } from '@jest/globals';
import { readFile } from 'node:fs/promises';
import { openImages, pushImage, userRegistries } from '../../../local/start/push.js';
import {
  parseManifest,
  type Descriptor,
  type Manifest,
  type ReadableRepository,
  type RegistryClient,
} from '../../../src/oci/index.js';
import { readCertificates, verifyNotary } from '../../../src/signing/index.js';
import { until, type Everything, type Promotion } from '../../interop/promotion/everything.js';

export const SIGNATURE = 'application/vnd.cncf.notary.signature';
export const SBOM = 'application/vnd.cyclonedx+json';

/** Pushes the layout's image as any client would. */
export async function push(up: Everything, layout: string, repository: string): Promise<void> {
  const registries = userRegistries(up);
  try {
    const { layout: from, images } = await openImages(layout);
    for (const image of images) {
      await pushImage(
        up,
        registries,
        { layout: from, image, repository },
        { signal: AbortSignal.timeout(60_000), onBytes: () => undefined },
      );
    }
  } finally {
    await registries.close();
  }
}

/** The event of a push, told so often, at once; again where the host is down. */
export async function tellPush(up: Everything, repository: string, digest: string, times: number): Promise<void> {
  const event = {
    id: `again-${repository}`,
    topic: '/subscriptions/0/resourceGroups/r/providers/Microsoft.ContainerRegistry/registries/local',
    subject: `${repository}:v1`,
    eventType: 'Microsoft.ContainerRegistry.ImagePushed',
    eventTime: new Date().toISOString(),
    dataVersion: '1.0',
    metadataVersion: '1',
    data: {
      id: 'x',
      timestamp: new Date().toISOString(),
      action: 'push',
      target: { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest, repository, tag: 'v1' },
      request: { id: 'x', host: up.source, method: 'PUT', useragent: 'test' },
    },
  };
  const tell = (): Promise<true> =>
    until('the host to take the event', async () => {
      const answer = await fetch(`${up.hostUrl}/runtime/webhooks/EventGrid?functionName=onRegistryEvent`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'aeg-event-type': 'Notification' },
        body: JSON.stringify([event]),
      }).catch(() => undefined);
      return answer?.status === 202 ? true : undefined;
    });
  await Promise.all(Array.from({ length: times }, tell));
}

/** Waits until nothing is wanted any more, and stays so. */
export async function settled(up: Everything, repository: string, tag = 'v1'): Promise<Promotion> {
  let quiet = 0;
  return until(
    `${repository}:${tag} to settle\n${up.output().slice(-3000)}`,
    async () => {
      const row = await up.promotion(repository, tag);
      const rests = row?.last !== undefined && !row.runOpen && row.answered >= row.wanted;
      quiet = rests ? quiet + 1 : 0;
      return quiet >= 4 ? row : undefined;
    },
    180_000,
  );
}

/**
 * At both ends: the tag is the digest, with exactly one SBOM of ours and one signature on each; the destination has that one tag;
 * every byte of it is what its digest says; the signatures verify.
 */
export async function expectPromotedOnce(up: Everything, repository: string, digest: string): Promise<void> {
  const registries = userRegistries(up);
  try {
    const [source, staging] = await Promise.all([
      read(registries, up, up.source, repository, digest),
      read(registries, up, up.staging, `staging/${repository}`, digest),
    ]);
    expect(staging).toEqual(source);
    const tags: string[] = [];
    for await (const tag of registries.repository(up.staging, `staging/${repository}`).listTags()) tags.push(tag);
    expect(tags).toEqual(['v1']);
  } finally {
    await registries.close();
  }
}

interface Found {
  digest: string;
  sbom: string;
  signatures: string[];
}

async function read(
  registries: RegistryClient,
  up: Everything,
  registry: string,
  name: string,
  digest: string,
): Promise<Found> {
  const repository = registries.repository(registry, name);
  const root = await repository.resolve('v1');
  expect(root.digest).toBe(digest);
  const [sbom, ...moreSboms] = await referrers(repository, root, SBOM);
  const [signature, ...moreSignatures] = await referrers(repository, root, SIGNATURE);
  expect({ moreSboms, moreSignatures }).toEqual({ moreSboms: [], moreSignatures: [] });
  if (sbom === undefined || signature === undefined) throw new Error(`${name} has no SBOM or no signature`);
  const [sbomSignature, ...more] = await repository.listReferrers(sbom.digest);
  expect(more).toEqual([]);
  if (sbomSignature === undefined) throw new Error(`the SBOM of ${name} is not signed`);
  expect(await repository.listReferrers(root.digest)).toHaveLength(2);
  for (const each of [root, sbom]) await readWhole(repository, each);
  await expectSigned(up, repository, root, signature);
  await expectSigned(up, repository, sbom, sbomSignature);
  return { digest, sbom: sbom.digest, signatures: [signature.digest, sbomSignature.digest] };
}

function referrers(
  repository: ReadableRepository,
  { digest }: Descriptor,
  artifactType: string,
): Promise<Descriptor[]> {
  return repository.listReferrers(digest, { artifactType });
}

async function manifestOf(repository: ReadableRepository, of: Descriptor): Promise<Manifest & { kind: 'image' }> {
  const { bytes, descriptor } = await repository.fetchManifest(of);
  const manifest = parseManifest(bytes, descriptor.mediaType, of.digest);
  if (manifest.kind !== 'image') throw new Error(`${of.digest} is no image manifest`);
  return manifest;
}

/** Reads all of it: the client throws where a byte isn't what its digest says. */
async function readWhole(repository: ReadableRepository, of: Descriptor): Promise<Uint8Array[]> {
  const { config, layers } = await manifestOf(repository, of);
  const read: Uint8Array[] = [];
  for (const blob of [config, ...layers]) {
    const chunks: Uint8Array[] = [];
    for await (const chunk of await repository.openBlob(blob)) chunks.push(chunk);
    read.push(Buffer.concat(chunks));
  }
  return read;
}

async function expectSigned(
  up: Everything,
  repository: ReadableRepository,
  subject: Descriptor,
  signature: Descriptor,
): Promise<void> {
  const [, envelope] = await readWhole(repository, signature);
  const { layers } = await manifestOf(repository, signature);
  const certificates = readCertificates(await readFile(up.certificate, 'utf8'));
  await verifyNotary({
    envelope: envelope ?? new Uint8Array(),
    mediaType: layers[0]?.mediaType ?? '',
    subject,
    trust: { certificates, identities: ['*'] },
    now: new Date(),
  });
}
