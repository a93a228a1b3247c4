import { gzipSync } from 'node:zlib';
import {
  OCI_IMAGE_CONFIG,
  OCI_IMAGE_INDEX,
  OCI_IMAGE_MANIFEST,
  digestOf,
  type Descriptor,
  type Digest,
  type Repository,
} from '../../../src/oci/index.js';
import { npmPackage, tarOf } from '../../support/sbom-image.js';

export const TAR_GZIP = 'application/vnd.oci.image.layer.v1.tar+gzip';
export const IN_TOTO = 'application/vnd.in-toto+json';
export const LINUX = { os: 'linux', architecture: 'amd64' };
export const UNKNOWN = { os: 'unknown', architecture: 'unknown' };

export async function pushBlob(
  repository: Repository,
  mediaType: string,
  content: Uint8Array | string,
): Promise<Descriptor> {
  const bytes = Buffer.from(content);
  const descriptor = { mediaType, digest: digestOf(bytes), size: bytes.length };
  await repository.pushBlob(descriptor, () =>
    (async function* () {
      yield bytes;
    })(),
  );
  return descriptor;
}

/** Pushes a manifest exactly as it is written, whatever it says. */
export function pushText(
  repository: Repository,
  text: string,
  mediaType = OCI_IMAGE_MANIFEST,
  tag?: string,
): Promise<Descriptor> {
  return repository.pushManifest(Buffer.from(text), mediaType, tag === undefined ? {} : { tag });
}

export interface ImageOptions {
  tag?: string;
  /** Name of the one npm package in it. */
  contains: string;
  layerType?: string;
  configType?: string;
  /** Put into the manifest, over what is there. */
  fields?: Record<string, unknown>;
  /** Put into the config, over what is there. */
  config?: Record<string, unknown>;
}

/** Config and layer of an image with one npm package. */
async function pushImageParts(
  repository: Repository,
  options: ImageOptions,
): Promise<{ config: Descriptor; layers: Descriptor[] }> {
  const { contains, layerType = TAR_GZIP, configType = OCI_IMAGE_CONFIG } = options;
  const tar = await tarOf([npmPackage(`app/node_modules/${contains}`, contains, '1.0.0')]);
  const config = {
    created: '2026-01-02T03:04:05Z',
    ...LINUX,
    config: {},
    rootfs: { type: 'layers', diff_ids: [digestOf(tar)] },
    ...options.config,
  };
  return {
    config: await pushBlob(repository, configType, JSON.stringify(config)),
    layers: [await pushBlob(repository, layerType, gzipSync(tar))],
  };
}

/** An image that any runtime runs, with one npm package. */
export async function pushImage(repository: Repository, options: ImageOptions): Promise<Descriptor> {
  const manifest = {
    schemaVersion: 2,
    mediaType: OCI_IMAGE_MANIFEST,
    ...(await pushImageParts(repository, options)),
    ...options.fields,
  };
  return pushText(repository, JSON.stringify(manifest), manifest.mediaType, options.tag);
}

/** An image of one layer with these bytes, whose config says that it unpacks to `diffId`. */
export async function pushLayer(
  repository: Repository,
  bytes: Uint8Array,
  { diffId, layerType, tag }: { diffId: Digest; layerType: string; tag: string },
): Promise<Descriptor> {
  const config = { ...LINUX, config: {}, rootfs: { type: 'layers', diff_ids: [diffId] } };
  const manifest = {
    schemaVersion: 2,
    mediaType: OCI_IMAGE_MANIFEST,
    config: await pushBlob(repository, OCI_IMAGE_CONFIG, JSON.stringify(config)),
    layers: [await pushBlob(repository, layerType, bytes)],
  };
  return pushText(repository, JSON.stringify(manifest), OCI_IMAGE_MANIFEST, tag);
}

/** Gives a manifest that is there a tag. An image that is pushed again has other bytes: its layer holds the time. */
export async function tagManifest(repository: Repository, { digest }: Descriptor, tag: string): Promise<Descriptor> {
  const { bytes, descriptor } = await repository.fetchManifest(digest);
  return repository.pushManifest(bytes, descriptor.mediaType, { tag });
}

/** @param fields put into the index, over what is there */
export function pushIndex(
  repository: Repository,
  manifests: readonly object[],
  options: { tag?: string; fields?: Record<string, unknown> } = {},
): Promise<Descriptor> {
  const index = { schemaVersion: 2, mediaType: OCI_IMAGE_INDEX, manifests, ...options.fields };
  return pushText(repository, JSON.stringify(index), index.mediaType, options.tag);
}

/** A manifest with one layer and the empty config: a file, an SBOM, a signature. */
export async function pushArtifact(
  repository: Repository,
  options: { type: string; text: string; tag?: string; fields?: Record<string, unknown> },
): Promise<Descriptor> {
  const { type, text, tag, fields } = options;
  const config = await pushBlob(repository, 'application/vnd.oci.empty.v1+json', '{}');
  const layers = [await pushBlob(repository, type, text)];
  const manifest = { schemaVersion: 2, mediaType: OCI_IMAGE_MANIFEST, artifactType: type, config, layers, ...fields };
  return pushText(repository, JSON.stringify(manifest), OCI_IMAGE_MANIFEST, tag);
}

/** What BuildKit puts beside the image of an index; with a subject, as it does by default since it makes OCI artifacts of them. */
export async function pushAttestation(
  repository: Repository,
  of: Descriptor,
  options: { subject?: boolean } = {},
): Promise<Descriptor> {
  const statement = JSON.stringify({
    _type: 'https://in-toto.io/Statement/v0.1',
    predicateType: 'https://slsa.dev/provenance/v0.2',
    subject: [{ name: 'app', digest: { sha256: of.digest.slice('sha256:'.length) } }],
    predicate: {},
  });
  const layer = {
    ...(await pushBlob(repository, IN_TOTO, statement)),
    annotations: { 'in-toto.io/predicate-type': 'https://slsa.dev/provenance/v0.2' },
  };
  const { mediaType, digest, size } = of;
  const manifest = {
    schemaVersion: 2,
    mediaType: OCI_IMAGE_MANIFEST,
    ...(options.subject === true
      ? {
          artifactType: 'application/vnd.docker.attestation.manifest.v1+json',
          config: await pushBlob(repository, 'application/vnd.oci.empty.v1+json', '{}'),
          subject: { mediaType, digest, size },
        }
      : {
          config: await pushBlob(
            repository,
            OCI_IMAGE_CONFIG,
            JSON.stringify({ ...UNKNOWN, config: {}, rootfs: { type: 'layers', diff_ids: [layer.digest] } }),
          ),
        }),
    layers: [layer],
  };
  return {
    ...(await pushText(repository, JSON.stringify(manifest))),
    platform: UNKNOWN,
    annotations: { 'vnd.docker.reference.type': 'attestation-manifest', 'vnd.docker.reference.digest': digest },
  };
}
