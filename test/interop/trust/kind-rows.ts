import {
  DOCKER_MANIFEST,
  OCI_IMAGE_INDEX,
  OCI_IMAGE_MANIFEST,
  digestOf,
  type Descriptor,
} from '../../../src/oci/index.js';
import { SBOM_MEDIA_TYPES } from '../../../src/sbom/index.js';
import {
  IN_TOTO,
  LINUX,
  TAR_GZIP,
  UNKNOWN,
  pushArtifact,
  pushAttestation,
  pushBlob,
  pushImage,
  pushIndex,
  pushLayer,
  pushText,
} from './push.js';
import { npmPackage, tarOf, twoArchives } from '../../support/sbom-image.js';
import type { Row } from './row.js';

/** Attacks 1 and 3: content that was fetched decides what is a child, what is signed and what gets an SBOM. */
const TAG = 'v1';
const ATTESTATION = { 'vnd.docker.reference.type': 'attestation-manifest' };
const contains = 'left-pad';
const leftPad = (): Promise<Buffer> => tarOf([npmPackage('app/node_modules/left-pad', contains, '1.0.0')]);

type Bare = Pick<Descriptor, 'mediaType' | 'digest' | 'size'>;
const bare = ({ mediaType, digest, size }: Descriptor): Bare => ({ mediaType, digest, size });

/** An index of one image, described as `described` says. */
function indexOf(described: (image: Descriptor) => object, options: object = {}): Row['attack'] {
  return async (_stage, at) => {
    const image = await pushImage(at, { contains, ...options });
    const root = await pushIndex(at, [{ ...bare(image), platform: LINUX, ...described(image) }], { tag: TAG });
    return { tag: TAG, root, images: [{ image, contains }] };
  };
}
const plainIndex = indexOf(() => ({}));

/** However the index and the types describe it, an image gets an SBOM that names what is in it. */
function isAnImage(how: string, attack: Row['attack']): Row {
  return {
    statement: `an image gets an SBOM and a signature, ${how}`,
    attack,
    demand: (stage, pushed) => stage.expectPromoted(pushed),
    twin: plainIndex,
  };
}

/** An index that lists the image and one more manifest. */
function listing(more: (at: Parameters<Row['attack']>[1], image: Descriptor) => Promise<Descriptor>): Row['attack'] {
  return async (_stage, at) => {
    const image = await pushImage(at, { contains });
    const other = await more(at, image);
    const root = await pushIndex(at, [{ ...image, platform: LINUX }, other], { tag: TAG });
    return { tag: TAG, root, images: [{ image, contains }], unsigned: [other] };
  };
}

function isRefused(statement: string, code: string, attack: Row['attack'], twin: Row['twin'] = plainIndex): Row {
  return { statement, attack, demand: (stage, pushed) => stage.expectRefused(pushed, code), twin };
}

const withProvenance = listing((at, image) => pushAttestation(at, image, { subject: true }));
const sbomOf = (image: Descriptor): Parameters<typeof pushArtifact>[1] => ({
  type: SBOM_MEDIA_TYPES.cyclonedx,
  text: '{"bomFormat":"CycloneDX","specVersion":"1.6","version":1,"components":[]}',
  fields: { subject: bare(image) },
});

export const rows: Row[] = [
  isRefused(
    'an SBOM with a subject, listed in an index, is refused and not signed',
    'REFERRER_IN_INDEX',
    listing((at, image) => pushArtifact(at, sbomOf(image))),
    withProvenance,
  ),
  isRefused(
    'an SBOM with a subject, listed as an attestation, is refused and not signed',
    'REFERRER_IN_INDEX',
    listing(async (at, image) => ({
      ...(await pushArtifact(at, sbomOf(image))),
      platform: UNKNOWN,
      annotations: ATTESTATION,
    })),
    withProvenance,
  ),
  isRefused(
    'an SBOM with a subject in an index of an index is refused and not signed',
    'REFERRER_IN_INDEX',
    async (_stage, at) => {
      const image = await pushImage(at, { contains });
      const forged = await pushArtifact(at, sbomOf(image));
      const inner = await pushIndex(at, [{ ...image, platform: LINUX }, forged]);
      const root = await pushIndex(at, [inner], { tag: TAG });
      return { tag: TAG, root, unsigned: [inner, image, forged] };
    },
    async (_stage, at) => {
      const image = await pushImage(at, { contains });
      const inner = await pushIndex(at, [{ ...image, platform: LINUX }, await pushAttestation(at, image)]);
      const root = await pushIndex(at, [inner], { tag: TAG });
      return { tag: TAG, root, images: [{ image, contains }], signed: [inner] };
    },
  ),
  isRefused(
    'an attestation of an image that the index does not list is refused',
    'REFERRER_IN_INDEX',
    async (_stage, at) => {
      const [image, other] = [await pushImage(at, { contains }), await pushImage(at, { contains: 'other' })];
      const provenance = await pushAttestation(at, other, { subject: true });
      const root = await pushIndex(at, [{ ...image, platform: LINUX }, provenance], { tag: TAG });
      return { tag: TAG, root, unsigned: [image, provenance] };
    },
    withProvenance,
  ),
  isRefused(
    'an image with a subject, listed in an index, is refused and not signed',
    'REFERRER_IN_INDEX',
    listing((at, image) => pushImage(at, { contains: 'other', fields: { subject: bare(image) } })),
  ),
  isRefused(
    'a tag that names an image with a subject is refused, and opens nothing by its push',
    'IS_REFERRER',
    async (_stage, at) => {
      const subject = await pushImage(at, { contains });
      const root = await pushImage(at, { tag: TAG, contains: 'other', fields: { subject: bare(subject) } });
      return { tag: TAG, root };
    },
    async (_stage, at) => {
      const image = await pushImage(at, { tag: TAG, contains });
      return { tag: TAG, root: image, images: [{ image, contains }] };
    },
  ),

  isAnImage(
    'if the index calls it an attestation',
    indexOf((image) => ({ annotations: { ...ATTESTATION, 'vnd.docker.reference.digest': image.digest } })),
  ),
  isAnImage(
    'if its platform is unknown/unknown',
    indexOf(() => ({ platform: UNKNOWN })),
  ),
  isAnImage(
    'if the index gives it the artifact type of an attestation',
    indexOf(() => ({ artifactType: 'application/vnd.docker.attestation.manifest.v1+json', platform: UNKNOWN })),
  ),
  isAnImage(
    'if its manifest has an artifact type',
    indexOf(() => ({}), { fields: { artifactType: 'application/vnd.cncf.helm.config.v1+json' } }),
  ),
  ...[
    'application/octet-stream',
    'application/json',
    'text/html',
    'application/vnd.oci.empty.v1+json',
    'application/vnd.docker.plugin.v1+json',
    'application/vnd.cncf.helm.config.v1+json',
  ].map((configType) =>
    isAnImage(
      `if its config is called ${configType}`,
      indexOf(() => ({}), { configType }),
    ),
  ),
  ...[
    'application/vnd.oci.image.layer.v1.tar+zstd',
    'application/vnd.oci.image.layer.v1.tar',
    'application/vnd.docker.image.rootfs.diff.tar.gzip',
    'application/x-tar',
    'application/tar+gzip',
    'application/octet-stream',
    'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip',
    'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
  ].map((layerType) =>
    isAnImage(
      `if its gzip layer is called ${layerType}`,
      indexOf(() => ({}), { layerType }),
    ),
  ),
  isAnImage(
    'if it is a Docker manifest with an unknown config',
    indexOf(() => ({}), { fields: { mediaType: DOCKER_MANIFEST }, configType: 'application/octet-stream' }),
  ),

  isRefused(
    'an image whose config lists no layer, which podman runs, is refused',
    'IMAGE_CONFIG_MISMATCH',
    async (_stage, at) => {
      const root = await pushImage(at, { tag: TAG, contains, config: { rootfs: undefined } });
      return { tag: TAG, root };
    },
  ),
  isRefused(
    'an image whose config lists a layer too many is refused',
    'IMAGE_CONFIG_MISMATCH',
    indexOf(() => ({}), {
      config: { rootfs: { type: 'layers', diff_ids: [`sha256:${'0'.repeat(64)}`, `sha256:${'1'.repeat(64)}`] } },
    }),
  ),
  {
    statement:
      'a layer that is one archive to containerd and another to the rest is signed with what containerd unpacks, or not at all',
    attack: async (_stage, at) => {
      const bytes = await twoArchives([npmPackage('app/node_modules/evil', 'evil', '6.6.6')], await leftPad());
      // The config lists what Docker unpacks: containerd refuses the image.
      const layer = {
        diffId: digestOf(await leftPad()),
        layerType: 'application/vnd.oci.image.layer.v1.tar',
        tag: TAG,
      };
      return { tag: TAG, root: await pushLayer(at, bytes, layer) };
    },
    demand: (stage, pushed) => stage.expectRefused(pushed, 'IMAGE_CONFIG_MISMATCH', 'failed'),
    twin: async (_stage, at) => {
      const bytes = await twoArchives([npmPackage('app/node_modules/evil', 'evil', '6.6.6')], await leftPad());
      // The config lists what containerd unpacks: the others refuse the image.
      const layer = { diffId: digestOf(bytes), layerType: 'application/vnd.oci.image.layer.v1.tar', tag: TAG };
      const root = await pushLayer(at, bytes, layer);
      return { tag: TAG, root, images: [{ image: root, contains: 'evil' }] };
    },
  },
  {
    statement: 'an in-toto layer beside a file system makes no attestation of an image',
    demand: (stage, pushed) => stage.expectRefused(pushed, 'LAYER_UNSUPPORTED', 'failed'),
    twin: plainIndex,
    attack: async (_stage, at) => {
      const statement = await pushBlob(at, IN_TOTO, '{"_type":"https://in-toto.io/Statement/v1"}');
      const image = await pushImage(at, { contains });
      const { config, layers } = JSON.parse(Buffer.from((await at.fetchManifest(image)).bytes).toString()) as {
        config: Descriptor;
        layers: Descriptor[];
      };
      const both = await pushBlob(
        at,
        config.mediaType,
        JSON.stringify({ ...LINUX, rootfs: { type: 'layers', diff_ids: [layers[0]?.digest, statement.digest] } }),
      );
      const manifest = {
        schemaVersion: 2,
        mediaType: OCI_IMAGE_MANIFEST,
        config: both,
        layers: [...layers, statement],
      };
      const root = await pushText(at, JSON.stringify(manifest), OCI_IMAGE_MANIFEST, TAG);
      return { tag: TAG, root };
    },
  },

  ...(['application/json', 'application/octet-stream', 'text/html'] as const).map((configType): Row => {
    return {
      statement: `an image whose layer is called text and whose config ${configType}, as Docker runs it, is not promoted`,
      attack: async (_stage, at) => {
        const root = await pushImage(at, { tag: TAG, contains, configType, layerType: 'text/plain' });
        return { tag: TAG, root };
      },
      demand: (stage, pushed) => stage.expectRefused(pushed, 'LAYER_UNSUPPORTED', 'failed'),
      twin: async (_stage, at) => ({
        tag: TAG,
        root: await pushArtifact(at, { tag: TAG, type: 'text/plain', text: 'x' }),
      }),
    };
  }),

  isRefused(
    'an index that calls an image an index is refused',
    'DESCRIPTOR_MISMATCH',
    indexOf(() => ({ mediaType: OCI_IMAGE_INDEX })),
  ),
  isRefused(
    'an index that calls an OCI image a Docker image is refused',
    'DESCRIPTOR_MISMATCH',
    indexOf(() => ({ mediaType: DOCKER_MANIFEST })),
  ),
  isRefused(
    'an index that calls an image a layer, which podman runs all the same, is refused',
    'DESCRIPTOR_MISMATCH',
    indexOf(() => ({ mediaType: TAR_GZIP })),
  ),
  isRefused(
    'an index that calls an image something unknown is refused',
    'DESCRIPTOR_MISMATCH',
    indexOf(() => ({ mediaType: 'application/x-unknown' })),
  ),
  isRefused(
    'an index that lists an image twice, once under another type, is refused',
    'DESCRIPTOR_MISMATCH',
    async (_stage, at) => {
      const image = await pushImage(at, { contains });
      const lie = { ...bare(image), mediaType: DOCKER_MANIFEST, platform: LINUX };
      const root = await pushIndex(at, [{ ...image, platform: LINUX }, lie], { tag: TAG });
      return { tag: TAG, root, unsigned: [image] };
    },
    async (_stage, at) => {
      const image = await pushImage(at, { contains });
      const twice = { ...image, platform: LINUX };
      const root = await pushIndex(at, [twice, twice], { tag: TAG });
      return { tag: TAG, root, images: [{ image, contains }] };
    },
  ),
  isRefused(
    'an index with a wrong size of an image is refused',
    'DESCRIPTOR_MISMATCH',
    indexOf(({ size }) => ({ size: size + 1 })),
  ),
  isRefused(
    'an index that claims an image of 5 MiB is refused',
    'DESCRIPTOR_MISMATCH',
    indexOf(() => ({ size: 5 * 1024 * 1024 })),
  ),
];
