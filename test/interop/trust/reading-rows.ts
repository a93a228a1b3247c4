import {
  OCI_IMAGE_INDEX,
  OCI_IMAGE_MANIFEST,
  type Descriptor,
  type RegistryRepository,
} from '../../../src/oci/index.js';
import { LINUX, TAR_GZIP, pushBlob, pushImage, pushIndex, pushText } from './push.js';
import type { Row } from './row.js';

/** Attack 4: names that Go's clients read and others do not, or that stand twice. */
const TAG = 'v1';

async function imageText(at: RegistryRepository, contains: string): Promise<string> {
  return Buffer.from((await at.fetchManifest(await pushImage(at, { contains }))).bytes).toString();
}

const fieldOf = (text: string, name: string): string =>
  JSON.stringify((JSON.parse(text) as Record<string, unknown>)[name]);

/** A manifest that is one image to us and another to Go. */
function twoImages(statement: string, write: (good: string, hidden: string) => string): Row {
  return {
    statement,
    attack: async (_stage, at) => {
      const [good, hidden] = [await imageText(at, 'left-pad'), await imageText(at, 'hidden')];
      return { tag: TAG, root: await pushText(at, write(good, hidden), OCI_IMAGE_MANIFEST, TAG) };
    },
    demand: (stage, pushed) => stage.expectRefused(pushed, 'MANIFEST_AMBIGUOUS'),
    twin: async (_stage, at) => {
      const root = await pushText(at, await imageText(at, 'left-pad'), OCI_IMAGE_MANIFEST, TAG);
      return { tag: TAG, root, images: [{ image: root, contains: 'left-pad' }] };
    },
  };
}

/** @param last put before the end of the object */
const adding = (last: (hidden: string) => string) => (good: string, hidden: string) =>
  good.replace(/\}$/, `,${last(hidden)}}`);

/** An index whose text says `name` beside `manifests`. */
function twoIndexes(statement: string, name: string): Row {
  return {
    statement,
    attack: async (_stage, at) => {
      const [good, hidden] = [
        await pushImage(at, { contains: 'left-pad' }),
        await pushImage(at, { contains: 'hidden' }),
      ];
      const list = (image: Descriptor): string => JSON.stringify([{ ...image, platform: LINUX }]);
      const text = `{"schemaVersion":2,"mediaType":"${OCI_IMAGE_INDEX}","manifests":${list(good)},"${name}":${list(hidden)}}`;
      return { tag: TAG, root: await pushText(at, text, OCI_IMAGE_INDEX, TAG), unsigned: [good, hidden] };
    },
    demand: (stage, pushed) => stage.expectRefused(pushed, 'MANIFEST_AMBIGUOUS'),
    twin: async (_stage, at) => {
      const image = await pushImage(at, { contains: 'left-pad' });
      const root = await pushIndex(at, [{ ...image, platform: LINUX }], { tag: TAG, fields: { x: [] } });
      return { tag: TAG, root, images: [{ image, contains: 'left-pad' }] };
    },
  };
}

export const rows: Row[] = [
  twoImages(
    'an image with Layers after layers is refused',
    adding((hidden) => `"Layers":${fieldOf(hidden, 'layers')}`),
  ),
  twoImages(
    'an image with layers twice is refused',
    adding((hidden) => `"layers":${fieldOf(hidden, 'layers')}`),
  ),
  twoImages(
    'an image with U+017F for the s of layers is refused',
    adding((hidden) => `"layer\u017F":${fieldOf(hidden, 'layers')}`),
  ),
  twoImages(
    'an image with an escaped U+017F for the s of layers is refused',
    adding((hidden) => String.raw`"layer\u017f":` + fieldOf(hidden, 'layers')),
  ),
  twoImages(
    'an image with CONFIG after config is refused',
    adding((hidden) => `"CONFIG":${fieldOf(hidden, 'config')}`),
  ),
  twoImages(
    'an image with MANIFESTS, an index to Go, is refused',
    adding((hidden) => `"MANIFESTS":${JSON.stringify([JSON.parse(fieldOf(hidden, 'config'))])}`),
  ),
  twoImages('an image with Digest in the descriptor of a layer is refused', (good, hidden) => {
    const [layer] = JSON.parse(fieldOf(hidden, 'layers')) as [Descriptor];
    return good.replace('"layers":[{', `"layers":[{"Digest":"${layer.digest}",`);
  }),
  twoIndexes('an index with MANIFESTS after manifests is refused', 'MANIFESTS'),
  twoIndexes('an index with manifests twice is refused', 'manifests'),
  twoIndexes('an index with U+017F for the s of manifests is refused', 'manife\u017Fts'),
  {
    statement: 'an image whose config says ROOTFS after rootfs is refused',
    attack: async (_stage, at) => {
      const text = await imageText(at, 'left-pad');
      const config = await pushBlob(
        at,
        'application/octet-stream',
        '{"rootfs":{"type":"layers","diff_ids":[]},"ROOTFS":{"type":"layers","diff_ids":["sha256:0"]}}',
      );
      const layers = JSON.parse(fieldOf(text, 'layers')) as Descriptor[];
      const manifest = { schemaVersion: 2, mediaType: OCI_IMAGE_MANIFEST, config, layers };
      return { tag: TAG, root: await pushText(at, JSON.stringify(manifest), OCI_IMAGE_MANIFEST, TAG) };
    },
    demand: (stage, pushed) => stage.expectRefused(pushed, 'MANIFEST_AMBIGUOUS'),
    twin: async (_stage, at) => {
      const config = await pushBlob(at, 'application/octet-stream', '{"name":"a folder, no image"}');
      const layers = [await pushBlob(at, TAR_GZIP, 'a folder')];
      const manifest = { schemaVersion: 2, mediaType: OCI_IMAGE_MANIFEST, config, layers };
      return { tag: TAG, root: await pushText(at, JSON.stringify(manifest), OCI_IMAGE_MANIFEST, TAG) };
    },
  },
];
