import { expect } from '@jest/globals';
import {
  copyGraph,
  parseManifest,
  planGraph,
  type Descriptor,
  type RegistryRepository,
} from '../../../src/oci/index.js';
import { SBOM_MEDIA_TYPES } from '../../../src/sbom/index.js';
import { isThere } from '../../../src/transfer/registry-access.js';
import { NOTARY_SIGNATURE } from '../../support/images.js';
import { until } from '../../support/stack/everything.js';
import { foreseeSbom } from './foresee.js';
import { pushImage, pushIndex } from './push.js';
import type { Row } from './row.js';
import type { Pushed, Stage } from './stage.js';

// Anybody who may push writes the tag schema's list of an image: it may name an SBOM that is not there, but that would be ours.

const TAG = 'v1';
const contains = 'left-pad';

async function pushTag(at: RegistryRepository, { digest }: Descriptor): Promise<void> {
  const { bytes, descriptor } = await at.fetchManifest(digest);
  await at.pushManifest(bytes, descriptor.mediaType, { tag: TAG });
}

/** Lists an SBOM that the repository does not have; a registry takes that of what says it is elsewhere. */
async function list(at: RegistryRepository, image: Descriptor, { mediaType, digest, size }: Descriptor): Promise<void> {
  const entry = {
    mediaType,
    digest,
    size,
    artifactType: SBOM_MEDIA_TYPES.cyclonedx,
    urls: ['https://example.invalid/sbom'],
  };
  await pushIndex(at, [entry], { tag: image.digest.replace(':', '-') });
}

/** Puts the signatures over what is in one repository into another, where their subject is not: a registry takes them. */
async function copySignatures(from: RegistryRepository, to: RegistryRepository, subject: Descriptor): Promise<void> {
  for (const { digest } of await from.listReferrers(subject.digest, { artifactType: NOTARY_SIGNATURE })) {
    const { bytes, descriptor } = await from.fetchManifest(digest);
    const manifest = parseManifest(bytes, descriptor.mediaType, digest);
    for (const blob of manifest.kind === 'image' ? [manifest.config, ...manifest.layers] : [])
      await to.pushBlob(blob, () => from.openBlob(blob));
    await to.pushManifest(bytes, descriptor.mediaType);
  }
}

/** The SBOM in staging names the package; whether anybody has signed it does not count. */
async function demandSbom(stage: Stage, pushed: Pushed): Promise<void> {
  const { last } = await stage.ended(pushed);
  expect(last).toMatchObject({ outcome: 'promoted', digest: pushed.root.digest });
  const staging = stage.staging(pushed.repository);
  const sboms = await staging.listReferrers(pushed.root.digest, { artifactType: SBOM_MEDIA_TYPES.cyclonedx });
  expect(sboms).toHaveLength(1);
  for (const { digest } of sboms) expect((await staging.resolve(digest)).digest).toBe(digest);
}

const foreseen: Row['attack'] = async (stage, at, name) => {
  const image = await pushImage(at, { contains });
  await list(at, image, (await foreseeSbom(at, `${stage.up.source}/${name}`, image)).descriptor);
  await pushTag(at, image);
  return { tag: TAG, root: image, images: [{ image, contains }] };
};

/** An image that was promoted from a repository of the attacker's, and then is from another, whose list names the SBOM of the first. */
const borrowed: Row['attack'] = async (stage, at, name) => {
  const own = `${name}/own`;
  const from = stage.source(own);
  const image = await pushImage(from, { contains, tag: TAG });
  await stage.ended({ repository: own, tag: TAG });
  const [sbom] = await from.listReferrers(image.digest, { artifactType: SBOM_MEDIA_TYPES.cyclonedx });
  if (sbom === undefined) throw new Error('the first has no SBOM');
  await copyGraph(await planGraph(from, image), from, at);
  await copySignatures(from, at, sbom);
  await list(at, image, sbom);
  await pushTag(at, image);
  return { tag: TAG, root: image, images: [{ image, contains }] };
};

const plain: Row['twin'] = async (_stage, at) => {
  const root = await pushImage(at, { contains, tag: TAG });
  return { tag: TAG, root, images: [{ image: root, contains }] };
};

/** The SBOM is at the source. The app waits two minutes for an SBOM of its own that is listed and not there. */
async function demandAtSource(stage: Stage, { repository, root }: Pushed): Promise<void> {
  const at = stage.source(repository);
  const isAttached = async (): Promise<true | undefined> => {
    for (const { digest } of await at.listReferrers(root.digest, { artifactType: SBOM_MEDIA_TYPES.cyclonedx }))
      if (await isThere(at, { digest }, new AbortController().signal)) return true;
    return undefined;
  };
  await until(`an SBOM in ${repository}`, isAttached, 240_000);
}

export const rows: Row[] = [
  {
    statement: 'a list that names the SBOM that the app will make keeps no image from getting it',
    attack: foreseen,
    demand: (stage, pushed) => stage.expectPromoted(pushed),
    twin: plain,
  },
  {
    statement: 'a list that names the SBOM of another repository, whose signature is there, saves no image its SBOM',
    attack: borrowed,
    demand: demandAtSource,
    twin: plain,
  },
  {
    statement: 'a list that names the SBOM that the app will make saves no image its SBOM if the rule signs nothing',
    rule: 'unsigned',
    attack: foreseen,
    demand: demandSbom,
    twin: plain,
    verifyTwin: demandSbom,
  },
];
