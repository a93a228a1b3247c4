import { mkdtemp, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import {
  DOCKER_IMAGE_CONFIG,
  DOCKER_MANIFEST,
  DOCKER_MANIFEST_LIST,
  OCI_IMAGE_CONFIG,
  digestOf,
  type RegistryRepository,
} from '../../../src/oci/index.js';
import { npmPackage, tarOf } from '../../support/sbom-image.js';
import { findPeer } from '../../support/peers.js';
import { must } from '../../support/stack/programs.js';
import {
  LINUX,
  TAR_GZIP,
  UNKNOWN,
  pushArtifact,
  pushAttestation,
  pushBlob,
  pushImage,
  pushIndex,
  pushText,
} from './push.js';
import type { Pushed, Stage } from './stage.js';

/** Something that people push today, which must be promoted as it is. */
export interface Shape {
  /** The end of the test's name. */
  name: string;
  push(stage: Stage, at: RegistryRepository, repository: string): Promise<Omit<Pushed, 'repository'>>;
}

const TAG = 'v1';
const contains = 'left-pad';
const ARM = { os: 'linux', architecture: 'arm64', variant: 'v8' };

/** `oras push` of what `files` are, in a folder of its own. */
function orasPush(args: readonly string[], files: Record<string, string>): Shape['push'] {
  return async (stage, at, repository) => {
    const folder = await mkdtemp(join(stage.folder, 'oras-'));
    for (const [path, text] of Object.entries(files)) {
      await mkdir(join(folder, path, '..'), { recursive: true });
      await writeFile(join(folder, path), text);
    }
    const { name, password } = stage.up.user;
    const login = ['--plain-http', '-u', name, '-p', password];
    const [oras = 'oras', reference] = [findPeer('oras'), `${stage.up.source}/${repository}:${TAG}`];
    await must(oras, ['push', ...login, reference, ...args], {}, folder);
    return { tag: TAG, root: await at.resolve(TAG) };
  };
}

/** An artifact of one manifest with these types, config and layer. */
function artifactOf(
  config: [type: string, text: string],
  layer: [type: string, bytes: Uint8Array | string],
): Shape['push'] {
  return async (_stage, at) => {
    const manifest = {
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      config: await pushBlob(at, ...config),
      layers: [await pushBlob(at, ...layer)],
    };
    return { tag: TAG, root: await pushText(at, JSON.stringify(manifest), manifest.mediaType, TAG) };
  };
}

function buildx(subject: boolean): Shape['push'] {
  return async (_stage, at) => {
    const amd = await pushImage(at, { contains });
    const arm = await pushImage(at, { contains: 'right-pad' });
    const provenance = [await pushAttestation(at, amd, { subject }), await pushAttestation(at, arm, { subject })];
    const root = await pushIndex(at, [{ ...amd, platform: LINUX }, { ...arm, platform: ARM }, ...provenance], {
      tag: TAG,
    });
    return {
      tag: TAG,
      root,
      images: [
        { image: amd, contains },
        { image: arm, contains: 'right-pad' },
      ],
      // What has a subject is part of its image's evidence, and not signed by itself.
      ...(subject ? { unsigned: provenance } : { signed: provenance }),
    };
  };
}

export const shapes: Shape[] = [
  { name: 'an index of buildx with attestations that have a subject', push: buildx(true) },
  { name: 'an index of buildx with attestations that have none', push: buildx(false) },
  {
    name: 'a Docker image, and a list of two',
    push: async (_stage, at) => {
      const docker = {
        layerType: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
        configType: DOCKER_IMAGE_CONFIG,
        fields: { mediaType: DOCKER_MANIFEST },
      };
      const amd = await pushImage(at, { contains, ...docker });
      const arm = await pushImage(at, { contains: 'right-pad', ...docker });
      const root = await pushIndex(
        at,
        [
          { ...amd, platform: LINUX },
          { ...arm, platform: ARM },
        ],
        {
          tag: TAG,
          fields: { mediaType: DOCKER_MANIFEST_LIST },
        },
      );
      return {
        tag: TAG,
        root,
        images: [
          { image: amd, contains },
          { image: arm, contains: 'right-pad' },
        ],
      };
    },
  },
  {
    name: 'a folder, by oras push ./folder',
    push: orasPush(['./folder'], { 'folder/a.txt': 'a', 'folder/b/c.txt': 'c' }),
  },
  {
    name: 'files and a folder with a config of their own, by oras push',
    push: orasPush(['--config', 'config.json:application/vnd.example.config.v1+json', 'a.txt', './folder'], {
      'config.json': '{"name":"a","rootfs":"no image"}',
      'a.txt': 'a',
      'folder/b.txt': 'b',
    }),
  },
  {
    name: 'a Helm chart with its provenance, by oras push',
    push: orasPush(
      [
        '--config',
        'chart.json:application/vnd.cncf.helm.config.v1+json',
        'chart.tgz:application/vnd.cncf.helm.chart.content.v1.tar+gzip',
        'chart.prov:application/vnd.cncf.helm.chart.provenance.v1.prov',
      ],
      {
        'chart.json': '{"name":"chart","version":"0.1.0","apiVersion":"v2","type":"application"}',
        'chart.tgz': 'not unpacked by anybody',
        'chart.prov': 'signed',
      },
    ),
  },
  {
    name: 'a file under a config that is called JSON, by oras push',
    push: orasPush(['--config', 'config.json:application/json', 'a.txt:text/plain'], {
      'config.json': '{}',
      'a.txt': 'a',
    }),
  },
  {
    name: 'a Wasm component',
    push: artifactOf(
      ['application/vnd.wasm.config.v0+json', '{"architecture":"wasm","os":"wasip2","layerDigests":["sha256:0"]}'],
      ['application/wasm', '\0asm'],
    ),
  },
  {
    name: 'a Wasm module under the config of an image, as buildah makes it',
    push: artifactOf(
      [OCI_IMAGE_CONFIG, '{"architecture":"wasm","os":"wasi","rootfs":{"type":"layers","diff_ids":["sha256:0"]}}'],
      ['application/vnd.wasm.content.layer.v1+wasm', '\0asm'],
    ),
  },
  {
    name: 'a source of Flux, whose config lists its one layer',
    push: async (stage, at, repository) => {
      const tar = await tarOf([npmPackage('node_modules/left-pad', contains, '1.0.0')]);
      const config = JSON.stringify({ rootfs: { type: 'layers', diff_ids: [digestOf(tar)] }, config: {} });
      const pushed = await artifactOf(
        ['application/vnd.cncf.flux.config.v1+json', config],
        ['application/vnd.cncf.flux.content.v1.tar+gzip', gzipSync(tar)],
      )(stage, at, repository);
      return { ...pushed, images: [{ image: pushed.root, contains }] };
    },
  },
  {
    name: 'an index of an image and its SOCI index (version 2)',
    push: async (_stage, at) => {
      const image = await pushImage(at, { contains });
      const type = 'application/vnd.amazon.soci.index.v2+json';
      const ztoc = await pushBlob(at, 'application/octet-stream', 'a table of contents');
      const manifest = {
        schemaVersion: 2,
        mediaType: 'application/vnd.oci.image.manifest.v1+json',
        artifactType: type,
        config: await pushBlob(at, type, '{}'),
        layers: [ztoc],
      };
      const soci = await pushText(at, JSON.stringify(manifest));
      const annotations = { 'com.amazon.soci.image-manifest-digest': image.digest };
      const root = await pushIndex(
        at,
        [
          { ...image, platform: LINUX },
          { ...soci, artifactType: type, annotations },
        ],
        {
          tag: TAG,
        },
      );
      return { tag: TAG, root, images: [{ image, contains }], signed: [soci] };
    },
  },
  {
    name: 'a build cache of BuildKit, an index whose children are blobs',
    push: async (_stage, at) => {
      const layer = await pushBlob(at, TAR_GZIP, gzipSync(await tarOf([['a.txt', 'a']])));
      const config = await pushBlob(at, 'application/vnd.buildkit.cacheconfig.v0', '{"layers":[],"records":[]}');
      return { tag: TAG, root: await pushIndex(at, [layer, config], { tag: TAG }) };
    },
  },
  {
    name: 'an index of artifacts of no platform',
    push: async (_stage, at) => {
      const one = await pushArtifact(at, { type: 'text/plain', text: 'one' });
      const root = await pushIndex(at, [{ ...one, platform: UNKNOWN }], { tag: TAG });
      return { tag: TAG, root, signed: [one] };
    },
  },
  {
    name: 'an image without layers',
    push: async (_stage, at) => ({
      tag: TAG,
      root: await pushImage(at, {
        tag: TAG,
        contains,
        fields: { layers: [] },
        config: { rootfs: { type: 'layers', diff_ids: [] } },
      }),
    }),
  },
];
