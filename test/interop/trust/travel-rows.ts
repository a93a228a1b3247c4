import { expect } from '@jest/globals';
import { BlobServiceClient } from '@azure/storage-blob';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  OCI_IMAGE_MANIFEST,
  type Descriptor,
  type Digest,
  type RegistryRepository,
  type Repository,
} from '../../../src/oci/index.js';
import { findPeer } from '../../support/peers.js';
import { until } from '../../support/stack/everything.js';
import { must, notationVerify } from '../../support/stack/programs.js';
import { LINUX, pushArtifact, pushBlob, pushImage, pushIndex, pushText } from './push.js';
import type { Row } from './row.js';
import type { Pushed, Stage } from './stage.js';

/** Attack 5: with an image travel the artifacts that refer to it, never another image. */
const TAG = 'v1';
const contains = 'left-pad';
const TEXT = 'text/x-report';

const bare = ({ mediaType, digest, size }: Descriptor): Descriptor => ({ mediaType, digest, size });
const hexTag = ({ digest }: Descriptor, suffix = ''): string => `${digest.replace(':', '-')}${suffix}`;

type Place = { stage: Stage; at: RegistryRepository; name: string; image: Descriptor };

/** Pushes an image, then what refers to it, then the image's tag: so one run sees everything. */
function withImage(attach: (place: Place) => Promise<Partial<Pushed>>): Row['attack'] {
  return async (stage, at, name) => {
    const image = await pushImage(at, { contains });
    const more = await attach({ stage, at, name, image });
    const { bytes, descriptor } = await at.fetchManifest(image.digest);
    await at.pushManifest(bytes, descriptor.mediaType, { tag: TAG });
    return { tag: TAG, root: image, images: [{ image, contains }], ...more };
  };
}

const evilImage = (at: Repository, fields: Record<string, unknown> = {}, tag?: string): Promise<Descriptor> =>
  pushImage(at, { contains: 'evil', fields, ...(tag !== undefined && { tag }) });
const report = (at: Repository, fields: Record<string, unknown> = {}, tag?: string): Promise<Descriptor> =>
  pushArtifact(at, { type: TEXT, text: 'a report', fields, ...(tag !== undefined && { tag }) });

interface Receipt {
  data: { outcome: string; leftOut?: { count: number; referrers: { digest: Digest; code: string }[] } };
}

/** The receipt of the run that promoted a tag. */
async function receiptOf(stage: Stage, { repository, tag }: Pushed): Promise<Receipt['data']> {
  const connection = (await readFile(join(stage.up.dataDir, 'storage-connection-string.txt'), 'utf8')).trim();
  const container = BlobServiceClient.fromConnectionString(connection).getContainerClient('receipts');
  const query = new URLSearchParams({ repository, tag, state: 'promoted' });
  return until(`the receipt of ${repository}:${tag}`, async () => {
    const answer = await fetch(`${stage.up.hostUrl}/api/runs?${query.toString()}`);
    const { runs } = (await answer.json()) as { runs: { id: string }[] };
    const [run] = runs;
    if (run === undefined) return undefined;
    const blob = container.getBlockBlobClient(`${run.id}.json`);
    if (!(await blob.exists())) return undefined;
    return (JSON.parse((await blob.downloadToBuffer()).toString()) as Receipt).data;
  });
}

/** It was promoted; what must stay at the source is not in staging, under its digest or any tag, and its receipt says why. */
async function demandLeftOut(stage: Stage, pushed: Pushed): Promise<void> {
  await stage.expectPromoted(pushed);
  const staging = stage.staging(pushed.repository);
  const { leftOut = [], absent = [] } = pushed;
  for (const digest of [...leftOut.map(({ digest }) => digest), ...absent])
    await expect(staging.resolve(digest)).rejects.toMatchObject({ notFound: true });
  const tags: string[] = [];
  for await (const tag of staging.listTags()) if (!/^sha256-[0-9a-f]{64}$/.test(tag)) tags.push(tag);
  expect(tags).toEqual([pushed.tag]);
  const receipt = await receiptOf(stage, pushed);
  const named = receipt.leftOut?.referrers.map(({ digest, code }) => ({ digest, code }));
  expect([receipt.leftOut?.count, named]).toEqual([leftOut.length, leftOut]);
}

const isImage = ({ digest }: Descriptor): { digest: Digest; code: string } => ({ digest, code: 'REFERRER_IS_IMAGE' });

/** The same thing as an artifact: it must be in staging, under the same subject or tag. */
const travels = withImage(async ({ at, image }) => ({ unsigned: [await report(at, { subject: bare(image) })] }));

/** `cosign`, with one key for each stage. */
async function cosign(stage: Stage, args: readonly string[]): Promise<string> {
  const program = findPeer('cosign') ?? 'cosign';
  const env = { COSIGN_PASSWORD: '', HOME: stage.folder };
  try {
    await readFile(join(stage.folder, 'cosign.pub'));
  } catch {
    await must(program, ['generate-key-pair'], env, stage.folder);
    await writeFile(join(stage.folder, 'predicate.json'), '{"reviewed":true}');
  }
  const { name, password } = stage.up.user;
  const login = ['--allow-http-registry', '--registry-username', name, '--registry-password', password];
  return must(program, [...args, ...login], env, stage.folder);
}

const OFFLINE = ['-y', '--key', 'cosign.key', '--use-signing-config=false', '--tlog-upload=false'];

/** Signs and attests with the real cosign: in tags, or as referrers. */
async function signWithCosign({ stage, name, image }: Place, bundle: boolean): Promise<void> {
  const reference = `${stage.up.source}/${name}@${image.digest}`;
  const format = `--new-bundle-format=${bundle}`;
  await cosign(stage, ['sign', ...OFFLINE, format, reference]);
  await cosign(stage, ['attest', ...OFFLINE, format, '--type', 'custom', '--predicate', 'predicate.json', reference]);
}

/** The real cosign verifies signature and attestation in staging. */
const verifiedByCosign =
  (bundle: boolean): NonNullable<Row['verifyTwin']> =>
  async (stage, { repository, root }) => {
    const reference = `${stage.up.staging}/staging/${repository}@${root.digest}`;
    const key = ['--key', 'cosign.pub', '--insecure-ignore-tlog', `--new-bundle-format=${bundle}`];
    await cosign(stage, ['verify', ...key, reference]);
    await cosign(stage, ['verify-attestation', ...key, '--type', 'custom', reference]);
  };

/** As SOCI makes it: tables of contents of layers, whose media type says nothing. */
async function pushSoci(at: Repository, image: Descriptor): Promise<Descriptor> {
  const artifactType = 'application/vnd.amazon.soci.index.v1+json';
  const manifest = {
    schemaVersion: 2,
    mediaType: OCI_IMAGE_MANIFEST,
    artifactType,
    config: await pushBlob(at, artifactType, '{}'),
    layers: [
      {
        ...(await pushBlob(at, 'application/octet-stream', 'ztoc')),
        annotations: { 'com.amazon.soci.image-layer-mediaType': 'application/vnd.oci.image.layer.v1.tar+gzip' },
      },
    ],
    subject: bare(image),
    annotations: { 'com.amazon.soci.build-tool-identifier': 'AWS SOCI CLI v0.1' },
  };
  return pushText(at, JSON.stringify(manifest));
}

export const rows: Row[] = [
  {
    statement: 'an image that refers to the promoted one stays at the source, whatever it calls itself',
    attack: withImage(async ({ at, image }) => {
      const converted = await evilImage(at, { subject: bare(image), artifactType: 'application/vnd.cyclonedx+json' });
      const about = await report(at, { subject: bare(converted) });
      return { leftOut: [isImage(converted)], absent: [about.digest] };
    }),
    demand: demandLeftOut,
    twin: withImage(async ({ stage, at, name, image }) => {
      const oras = findPeer('oras') ?? 'oras';
      await writeFile(join(stage.folder, 'report.txt'), 'a report');
      const { name: user, password } = stage.up.user;
      await must(
        oras,
        [
          'attach',
          '--plain-http',
          '-u',
          user,
          '-p',
          password,
          '--artifact-type',
          TEXT,
          `${stage.up.source}/${name}@${image.digest}`,
          'report.txt',
        ],
        {},
        stage.folder,
      );
      return { unsigned: await at.listReferrers(image.digest) };
    }),
  },
  {
    statement: 'an image under a .sig tag stays at the source; signatures of cosign under tags travel and verify',
    attack: withImage(async ({ at, image }) => ({
      leftOut: [isImage(await evilImage(at, {}, hexTag(image, '.sig')))],
    })),
    demand: demandLeftOut,
    twin: withImage(async (place) => {
      await signWithCosign(place, false);
      const { at, image } = place;
      return { unsigned: [await at.resolve(hexTag(image, '.sig')), await at.resolve(hexTag(image, '.att'))] };
    }),
    verifyTwin: verifiedByCosign(false),
  },
  {
    statement: 'an image that calls itself a sigstore bundle stays at the source; bundles of cosign travel and verify',
    attack: withImage(async ({ at, image }) => {
      const artifactType = 'application/vnd.dev.sigstore.bundle.v0.3+json';
      return { leftOut: [isImage(await evilImage(at, { subject: bare(image), artifactType }))] };
    }),
    demand: demandLeftOut,
    twin: withImage(async (place) => {
      await signWithCosign(place, true);
      return { unsigned: await place.at.listReferrers(place.image.digest) };
    }),
    verifyTwin: verifiedByCosign(true),
  },
  {
    statement: 'an index that holds an image in an index stays at the source; an index of artifacts travels',
    attack: withImage(async ({ at, image }) => {
      const [evil, text] = [await evilImage(at), await report(at)];
      const inner = await pushIndex(at, [text, { ...evil, platform: LINUX }]);
      const outer = await pushIndex(at, [inner], { fields: { subject: bare(image), artifactType: TEXT } });
      const tagged = await pushIndex(at, [evil], { tag: hexTag(image, '.att') });
      const leftOut = [outer, tagged].map(isImage).toSorted((a, b) => (a.digest < b.digest ? -1 : 1));
      return { leftOut, absent: [inner, evil, text].map(({ digest }) => digest) };
    }),
    demand: demandLeftOut,
    twin: withImage(async ({ at, image }) => {
      const text = await report(at);
      const inner = await pushIndex(at, [text]);
      const outer = await pushIndex(at, [inner], { fields: { subject: bare(image), artifactType: TEXT } });
      const tagged = await pushIndex(at, [text], { tag: hexTag(image, '.att') });
      return { unsigned: [text, inner, outer, tagged] };
    }),
  },
  {
    statement:
      'a referrers-tag index is a list: images in it stay at the source, signatures that notation lists there travel',
    attack: withImage(async ({ at, image }) => {
      const evil = await evilImage(at);
      await pushIndex(at, [{ ...evil, artifactType: TEXT }], { tag: hexTag(image) });
      return { leftOut: [{ digest: evil.digest, code: 'REFERRER_MISLISTED' }] };
    }),
    demand: demandLeftOut,
    twin: withImage(async ({ stage, at, name, image }) => {
      await stage.signAsThem(name, image.digest, ['--force-referrers-tag=true']);
      expect((await at.resolve(hexTag(image))).mediaType).toContain('index');
      return { unsigned: await at.listReferrers(image.digest) };
    }),
    verifyTwin: async (stage, { repository, root }) => {
      const certificate = join(stage.folder, 'notation/notation/localkeys/them.crt');
      const reference = `${stage.up.staging}/staging/${repository}@${root.digest}`;
      expect(await notationVerify(findPeer('notation') ?? '', reference, certificate, stage.up.user)).toMatchObject({
        code: 0,
      });
    },
  },
  {
    statement: 'an artifact takes no image along as its subject; a SOCI index travels',
    attack: withImage(async ({ at, image }) => {
      const evil = await evilImage(at);
      const signature = await report(at, { subject: bare(evil) }, hexTag(image, '.sig'));
      return { leftOut: [{ digest: signature.digest, code: 'REFERRER_MISLISTED' }], absent: [evil.digest] };
    }),
    demand: demandLeftOut,
    twin: withImage(async ({ at, image }) => ({ unsigned: [await pushSoci(at, image)] })),
  },
  {
    statement: 'what cannot be read for certain stays at the source, and keeps nothing else from it',
    attack: withImage(async ({ at, image }) => {
      const layer = await pushBlob(at, 'application/vnd.oci.image.layer.v1.tar', 'no archive');
      const config = await pushBlob(at, 'application/vnd.oci.image.config.v1+json', '{}');
      const manifest = { schemaVersion: 2, mediaType: OCI_IMAGE_MANIFEST, config, layers: [layer] };
      const doubtful = await pushText(at, JSON.stringify({ ...manifest, subject: bare(image) }));
      // Go reads the second list.
      const text = JSON.stringify({ schemaVersion: 2, config, layers: [], subject: bare(image) });
      const folded = await pushText(at, `${text.slice(0, -1)},"Layers":${JSON.stringify([layer])}}`);
      const digests = [doubtful, folded].map(({ digest }) => digest).toSorted();
      return { leftOut: digests.map((digest) => ({ digest, code: 'REFERRER_UNREADABLE' })) };
    }),
    demand: demandLeftOut,
    twin: travels,
  },
  {
    statement: 'an image whose layers are called a signature, as podman runs it, stays at the source',
    attack: withImage(async ({ at, image }) => {
      const layerType = 'application/vnd.dev.cosign.simplesigning.v1+json';
      const tagged = await pushImage(at, { contains: 'evil', layerType, tag: hexTag(image, '.sig') });
      const layerIn = { contains: 'evil', layerType: 'application/vnd.in-toto+json' };
      const attached = await pushImage(at, { ...layerIn, fields: { subject: bare(image) } });
      return { leftOut: [tagged, attached].map(isImage).toSorted((a, b) => (a.digest < b.digest ? -1 : 1)) };
    }),
    demand: demandLeftOut,
    twin: travels,
  },
  {
    statement: 'an image whose layers are called text is no artifact, and is not signed without an SBOM',
    attack: async (_stage, at) => ({
      tag: TAG,
      root: await pushImage(at, { tag: TAG, contains, layerType: 'text/plain' }),
    }),
    demand: (stage, pushed) => stage.expectRefused(pushed, 'LAYER_UNSUPPORTED', 'failed'),
    twin: travels,
  },
];
