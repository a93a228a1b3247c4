import { expect } from '@jest/globals';
import { BlobServiceClient } from '@azure/storage-blob';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DOCKER_MANIFEST, digestOf, type Descriptor, type Repository } from '../../../src/oci/index.js';
import { SBOM_MEDIA_TYPES } from '../../../src/sbom/index.js';
import { NOTARY_SIGNATURE } from '../../../src/signing/index.js';
import { LINUX, pushArtifact, pushBlob, pushImage, pushText, pushIndex, tagManifest } from './push.js';
import type { Row } from './row.js';
import type { Pushed, Stage } from './stage.js';

/** Attacks 1 and 2: what we take for our own SBOM, and what our signature is over. */
const TAG = 'v1';
const contains = 'left-pad';
const FORGED = '{"bomFormat":"CycloneDX","specVersion":"1.6","version":1,"components":[]}';

const plain: Row['twin'] = async (_stage, at) => {
  const root = await pushImage(at, { tag: TAG, contains });
  return { tag: TAG, root, images: [{ image: root, contains }] };
};

/** The same bytes in each repository. */
let shared: { manifest: Uint8Array; blobs: { descriptor: Descriptor; bytes: Uint8Array }[] } | undefined;
async function sharedImage(at: Repository): Promise<Descriptor> {
  if (shared === undefined) {
    const image = await pushImage(at, { contains: 'shared' });
    const { bytes } = await at.fetchManifest(image.digest);
    const { config, layers } = JSON.parse(Buffer.from(bytes).toString()) as {
      config: Descriptor;
      layers: Descriptor[];
    };
    const blobs = await Promise.all(
      [config, ...layers].map(async (descriptor) => ({ descriptor, bytes: await readBlob(at, descriptor) })),
    );
    shared = { manifest: bytes, blobs };
    return image;
  }
  for (const { descriptor, bytes } of shared.blobs) await pushBlob(at, descriptor.mediaType, bytes);
  return pushText(at, Buffer.from(shared.manifest).toString());
}

async function readBlob(at: Repository, descriptor: Descriptor): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of await at.openBlob(descriptor)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** `notation verify --user-metadata` accepts our SBOM as that of its image, and nothing else as an SBOM. */
async function verifyRoles(stage: Stage, { repository, images = [] }: Pushed): Promise<void> {
  for (const { image } of images) {
    const role = (digest: string) => ({ 'io.acr-promoter.role': 'sbom', 'io.acr-promoter.image': digest });
    const sboms: boolean[] = [];
    const staging = stage.staging(repository);
    for (const { digest } of await staging.listReferrers(image.digest, { artifactType: SBOM_MEDIA_TYPES.cyclonedx })) {
      sboms.push(await stage.isSigned('staging', repository, digest, role(image.digest)));
      expect(await stage.isSigned('staging', repository, digest, role(digestOf(Buffer.from('another'))))).toBe(false);
    }
    expect(sboms.filter((isOurs) => isOurs)).toHaveLength(1);
    expect(await stage.isSigned('staging', repository, image.digest, role(image.digest))).toBe(false);
  }
}

/** Rewrites what the app has recorded of its signatures over a digest. */
async function spoilRecords(stage: Stage, { digest }: Descriptor): Promise<number> {
  const connection = (await readFile(join(stage.up.dataDir, 'storage-connection-string.txt'), 'utf8')).trim();
  const container = BlobServiceClient.fromConnectionString(connection).getContainerClient('documents');
  let spoilt = 0;
  for await (const { name } of container.listBlobsFlat({ prefix: `signatures/${digest.replace(':', '-')}/` })) {
    const text = (await container.getBlockBlobClient(name).downloadToBuffer()).toString();
    const changed = text.replace(/"envelope":"[^"]*"/, '"envelope":"AAAA"');
    await container.getBlockBlobClient(name).upload(changed, changed.length);
    spoilt += 1;
  }
  return spoilt;
}

export const rows: Row[] = [
  {
    statement:
      'an SBOM of somebody else that we signed as an artifact is not taken for ours, though it is listed for an image',
    attack: async (stage, at, name) => {
      // Without a subject: the app signs it as any artifact.
      const forged = await pushArtifact(at, { type: SBOM_MEDIA_TYPES.cyclonedx, text: FORGED, tag: 'forged' });
      await stage.ended({ repository: name, tag: 'forged' });
      const image = await pushImage(at, { contains });
      const entry = { ...forged, artifactType: SBOM_MEDIA_TYPES.cyclonedx };
      // The tag schema: anybody who may push writes such a list.
      await pushIndex(at, [entry], { tag: image.digest.replace(':', '-') });
      const root = await tagManifest(at, image, TAG);
      return { tag: TAG, root, images: [{ image, contains }], signed: [forged] };
    },
    demand: async (stage, pushed) => {
      await stage.expectPromoted(pushed);
      await verifyRoles(stage, pushed);
    },
    twin: plain,
    verifyTwin: verifyRoles,
  },
  {
    statement: 'a lie about an image that is told in another repository spoils no signature of it',
    attack: async (_stage, at) => {
      const image = await sharedImage(at);
      const root = await pushIndex(at, [{ ...image, mediaType: DOCKER_MANIFEST, platform: LINUX }], { tag: TAG });
      return { tag: TAG, root, unsigned: [image] };
    },
    demand: (stage, pushed) => stage.expectRefused(pushed, 'DESCRIPTOR_MISMATCH'),
    twin: async (stage, at, name) => {
      await stage.ended({ repository: name.replace(/twin$/, 'attack'), tag: TAG });
      const image = await sharedImage(at);
      const root = await pushIndex(at, [{ ...image, platform: LINUX }], { tag: TAG });
      return { tag: TAG, root, images: [{ image, contains: 'shared' }] };
    },
  },
  {
    statement: 'a recorded signature that was spoilt is replaced, not pushed',
    attack: async (stage, at, name) => {
      const image = await pushImage(at, { tag: 'v0', contains: 'spoilt' });
      await stage.ended({ repository: name, tag: 'v0' });
      expect(await spoilRecords(stage, image)).toBe(1);
      for (const place of [at, stage.staging(name)]) {
        for (const { digest } of await place.listReferrers(image.digest, { artifactType: NOTARY_SIGNATURE }))
          await place.deleteManifest(digest);
      }
      const root = await tagManifest(at, image, TAG);
      return { tag: TAG, root, images: [{ image, contains: 'spoilt' }] };
    },
    demand: (stage, pushed) => stage.expectPromoted(pushed),
    twin: plain,
  },
];
