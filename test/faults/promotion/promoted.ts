import { expect } from '@jest/globals';
import { readFile } from 'node:fs/promises';
import { openImages, pushImage, userRegistries } from '../../../local/start/push.js';
import { parseManifest, type Descriptor, type Manifest, type ReadableRepository } from '../../../src/oci/index.js';
import { readCertificates, verifyNotary } from '../../../src/signing/index.js';
import { until, type Everything, type Promotion } from '../../support/stack/everything.js';

const SIGNATURE = 'application/vnd.cncf.notary.signature';
const SBOM = 'application/vnd.cyclonedx+json';

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
export async function tellPush(
  up: Everything,
  repository: string,
  digest: string,
  times: number,
  { tag = 'v1', at = new Date().toISOString() }: { tag?: string; at?: string } = {},
): Promise<void> {
  const event = {
    id: `again-${repository}`,
    topic: '/subscriptions/0/resourceGroups/r/providers/Microsoft.ContainerRegistry/registries/local',
    subject: `${repository}:${tag}`,
    eventType: 'Microsoft.ContainerRegistry.ImagePushed',
    eventTime: at,
    dataVersion: '1.0',
    metadataVersion: '1',
    data: {
      id: 'x',
      timestamp: at,
      action: 'push',
      target: { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest, repository, tag },
      request: { id: 'x', host: up.source, method: 'PUT', useragent: 'test' },
    },
  };
  const tell = (): Promise<true> =>
    until(
      'the host to take the event',
      async () => {
        const answer = await fetch(`${up.hostUrl}/runtime/webhooks/EventGrid?functionName=onRegistryEvent`, {
          method: 'POST',
          headers: { 'content-type': 'application/json', 'aeg-event-type': 'Notification' },
          body: JSON.stringify([event]),
        }).catch(() => undefined);
        return answer?.status === 202 ? true : undefined;
      },
      300_000,
    );
  await Promise.all(Array.from({ length: times }, tell));
}

/** Waits until nothing is wanted any more, and stays so. */
export async function settled(up: Everything, repository: string, tag = 'v1', withinMs = 180_000): Promise<Promotion> {
  let quiet = 0;
  return until(
    () => `${repository}:${tag} to settle\n${up.output().slice(-3000)}`,
    async () => {
      const row = await up.promotion(repository, tag);
      const rests = row?.last !== undefined && !row.runOpen && row.observedGeneration >= row.generation;
      quiet = rests ? quiet + 1 : 0;
      return quiet >= 4 ? row : undefined;
    },
    withinMs,
  );
}

/**
 * At both ends: the tag is the digest; every image has exactly one SBOM, and every manifest and SBOM one signature that verifies;
 * the destination has that one tag, and every byte of it is what its digest says.
 */
export async function expectPromotedOnce(up: Everything, repository: string, digest: string): Promise<void> {
  const registries = userRegistries(up);
  try {
    const [source, staging] = await Promise.all(
      [
        { registry: up.source, name: repository },
        { registry: up.staging, name: `staging/${repository}` },
      ].map(async ({ registry, name }) => {
        const at = registries.repository(registry, name);
        const root = await at.resolve('v1');
        expect(root.digest).toBe(digest);
        return readGraph(up, at, root, 'root');
      }),
    );
    expect(staging).toEqual(source);
    const tags: string[] = [];
    for await (const tag of registries.repository(up.staging, `staging/${repository}`).listTags()) tags.push(tag);
    expect(tags).toEqual(['v1']);
  } finally {
    await registries.close();
  }
}

/** A manifest with what is attached to it, by digests, the signatures' apart. */
interface Found {
  digest: string;
  attached: string[];
  below: Found[];
}

async function readGraph(
  up: Everything,
  repository: ReadableRepository,
  of: Descriptor,
  role: 'root' | 'child' | 'attestation' | 'sbom',
): Promise<Found> {
  const manifest = await manifestOf(repository, of);
  const listed = await repository.listReferrers(of.digest);
  const [signature, ...moreSignatures] = listed.filter(({ artifactType }) => artifactType === SIGNATURE);
  const sboms = listed.filter(({ artifactType }) => artifactType === SBOM);
  if (signature === undefined) throw new Error(`${repository.name}@${of.digest} is not signed`);
  expect(moreSignatures).toEqual([]);
  expect(listed).toHaveLength(1 + sboms.length);
  expect(sboms).toHaveLength(manifest.kind === 'image' && (role === 'root' || role === 'child') ? 1 : 0);
  await expectSigned(up, repository, of, signature);
  const below: Found[] = [];
  if (manifest.kind === 'index') {
    for (const child of manifest.manifests) {
      const isAttestation = child.annotations?.['vnd.docker.reference.type'] === 'attestation-manifest';
      below.push(await readGraph(up, repository, child, isAttestation ? 'attestation' : 'child'));
    }
  } else await readWhole(repository, of);
  for (const sbom of sboms) below.push(await readGraph(up, repository, sbom, 'sbom'));
  return { digest: of.digest, attached: listed.map(({ digest }) => digest).sort(), below };
}

async function manifestOf(repository: ReadableRepository, of: Descriptor): Promise<Manifest> {
  const { bytes, descriptor } = await repository.fetchManifest(of);
  return parseManifest(bytes, descriptor.mediaType, of.digest);
}

/** Reads all of an image or artifact: the client throws where a byte isn't what its digest says. */
async function readWhole(repository: ReadableRepository, of: Descriptor): Promise<{ layers: Layer[] }> {
  const manifest = await manifestOf(repository, of);
  if (manifest.kind !== 'image') throw new Error(`${of.digest} is no image manifest`);
  const layers: Layer[] = [];
  for (const blob of [manifest.config, ...manifest.layers]) {
    const chunks: Uint8Array[] = [];
    for await (const chunk of await repository.openBlob(blob)) chunks.push(chunk);
    if (blob !== manifest.config) layers.push({ mediaType: blob.mediaType, bytes: Buffer.concat(chunks) });
  }
  return { layers };
}

interface Layer {
  mediaType: string;
  bytes: Uint8Array;
}

async function expectSigned(
  up: Everything,
  repository: ReadableRepository,
  subject: Descriptor,
  signature: Descriptor,
): Promise<void> {
  const { layers } = await readWhole(repository, signature);
  const [layer] = layers;
  if (layer === undefined) throw new Error(`${signature.digest} has no envelope`);
  const certificates = readCertificates(await readFile(up.certificate, 'utf8'));
  await verifyNotary({
    envelope: layer.bytes,
    mediaType: layer.mediaType,
    subject,
    trust: { certificates, identities: ['*'] },
    now: new Date(),
  });
}
