import { gzipSync, zstdCompressSync } from 'node:zlib';
import { pack, type Header } from 'tar-stream';
import {
  createStreamingSbomGenerator,
  type Sbom,
  type SbomInput,
  type StreamingSbomOptions,
} from '../../src/sbom/index.js';
import { IntegrityError, digestOf, type Descriptor } from '../../src/oci/index.js';

export const GZIP_LAYER = 'application/vnd.oci.image.layer.v1.tar+gzip';
export const ZSTD_LAYER = 'application/vnd.oci.image.layer.v1.tar+zstd';
export const PLAIN_LAYER = 'application/vnd.oci.image.layer.v1.tar';

/** An archive entry: content, or a header for what is no file. */
export type Entry = [name: string, content: string | Uint8Array | (Partial<Header> & { content?: Uint8Array })];

export async function tarOf(entries: Iterable<Entry>): Promise<Buffer> {
  const archive = pack();
  for (const [name, content] of entries) {
    if (typeof content === 'string' || content instanceof Uint8Array) archive.entry({ name }, Buffer.from(content));
    else if (content.content === undefined) archive.entry({ name, ...content });
    else archive.entry({ name, ...content }, Buffer.from(content.content));
  }
  archive.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of archive) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/**
 * Bytes that are a tar of `first` for who reads them as they are, and a zstd of `second` for who looks at the first four: the name of
 * the first entry begins a skippable frame, which ends with the tar.
 */
export async function twoArchives(first: readonly Entry[], second: Uint8Array): Promise<Buffer> {
  const plain = await tarOf([['x'.repeat(8), ''], ...first]);
  plain.writeUInt32LE(0x184d2a50, 0);
  plain.writeUInt32LE(plain.length - 8, 4);
  const header = plain.subarray(0, 512).fill(' ', 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return Buffer.concat([plain, zstdCompressSync(second)]);
}

export interface Layer {
  mediaType: string;
  bytes: Uint8Array;
  /** Bytes that the manifest states. Default: as many as there are. */
  size?: number;
}

export function gzipped(archive: Uint8Array): Layer {
  return { mediaType: GZIP_LAYER, bytes: gzipSync(archive) };
}

export async function layerOf(...entries: Entry[]): Promise<Layer> {
  return gzipped(await tarOf(entries));
}

/** As `cyclonedx` documents are shaped, of what the tests look at. */
export interface Document {
  serialNumber: string;
  metadata: {
    timestamp: string;
    component: { name: string; version: string; purl: string; 'bom-ref': string };
    properties?: { name: string; value: string }[];
  };
  components: {
    type: string;
    'bom-ref': string;
    name: string;
    group?: string;
    version: string;
    purl?: string;
    licenses?: unknown[];
    evidence: { occurrences: { location: string; additionalContext: string }[] };
  }[];
  dependencies: { ref: string; dependsOn?: string[] }[];
  compositions: { aggregate: string }[];
}

export interface Result extends Omit<Sbom, 'gaps'> {
  /** The examples of all gaps. */
  gaps: string[];
  gapCounts: Sbom['gaps'];
  document: Document;
  /** Package URLs, in the document's order. */
  purls: string[];
  /** The same SBOM in the other formats that were asked for. */
  others: Sbom[];
  /** Digests of the blobs that were opened, in order. */
  opened: string[];
}

export interface ImageOptions extends StreamingSbomOptions {
  config?: unknown;
  /** Bytes in one chunk of a blob's stream; all by default. */
  chunkBytes?: number;
  /** Layers fail with a wrong digest after this many bytes, as a verifying stream does at its end. */
  failAt?: number;
  /** What the registry says of foreign layers; nothing by default. */
  hasBlob?: boolean;
  /** Called when a blob's stream has been read to its end, or let go. */
  onClose?: () => void;
  signal?: AbortSignal;
  /** Called for each blob when it is opened; its bytes follow when the promise resolves. */
  beforeBlob?: () => Promise<void>;
  /** Called for each blob before it is opened; may throw. */
  onOpen?: (opened: readonly string[]) => void;
  layers?: SbomInput['layers'];
  layersAtOnce?: SbomInput['layersAtOnce'];
  formats?: SbomInput['formats'];
  onProgress?: (readBytes: number, totalBytes: number) => void;
}

/** Makes the SBOM of an image that has these layers, lowest first. */
export async function sbomOf(layers: readonly Layer[], options: ImageOptions = {}): Promise<Result> {
  const blobs = new Map<string, Uint8Array>();
  const opened: string[] = [];
  const add = (mediaType: string, bytes: Uint8Array, size = bytes.length): Descriptor => {
    const digest = digestOf(bytes);
    blobs.set(digest, bytes);
    return { mediaType, digest, size };
  };
  const config = add(
    'application/vnd.oci.image.config.v1+json',
    Buffer.from(JSON.stringify(options.config ?? { architecture: 'amd64', os: 'linux' })),
  );
  const described = layers.map(({ mediaType, bytes, size }) => add(mediaType, bytes, size));
  const manifest = {
    kind: 'image' as const,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config,
    layers: described,
  };
  const manifestBytes = Buffer.from(JSON.stringify(manifest));
  const {
    limits,
    chunkBytes = Infinity,
    failAt = Infinity,
    onClose,
    hasBlob,
    signal = new AbortController().signal,
    onProgress,
    formats,
    onOpen,
    beforeBlob,
    layers: store,
    layersAtOnce,
  } = options;
  const [sbom, ...others] = await createStreamingSbomGenerator(limits && { limits }).generate({
    name: 'registry.example:5000/samples/app',
    descriptor: { mediaType: manifest.mediaType, digest: digestOf(manifestBytes), size: manifestBytes.length },
    manifest,
    signal,
    ...(onProgress && { onProgress }),
    ...(formats && { formats }),
    ...(store && { layers: store }),
    ...(layersAtOnce !== undefined && { layersAtOnce }),
    ...(hasBlob !== undefined && { hasBlob: () => Promise.resolve(hasBlob) }),
    openBlob: async ({ digest }) => {
      opened.push(digest);
      onOpen?.(opened);
      await beforeBlob?.();
      const bytes = blobs.get(digest);
      if (bytes === undefined) throw new Error(`no blob ${digest}`);
      return chunksOf(bytes, chunkBytes, digest === config.digest ? Infinity : failAt, onClose);
    },
  });
  if (sbom === undefined) throw new Error('no SBOM');
  const document = JSON.parse(new TextDecoder().decode(sbom.bytes)) as Document;
  const gaps = sbom.gaps.flatMap(({ examples }) => examples);
  const purls = document.components.flatMap(({ type, purl }) => (type === 'operating-system' ? [] : [purl ?? '']));
  return { ...sbom, document, purls, opened, gaps, gapCounts: sbom.gaps, others };
}

async function* chunksOf(
  bytes: Uint8Array,
  chunkBytes: number,
  failAt: number,
  onClose?: () => void,
): AsyncGenerator<Uint8Array> {
  const step = Math.min(chunkBytes, bytes.length);
  try {
    for (let at = 0; at < bytes.length && at < failAt; at += step) yield bytes.subarray(at, at + step);
    if (failAt <= bytes.length) throw new IntegrityError('DIGEST_MISMATCH', 'the blob is not what its digest says');
  } finally {
    onClose?.();
  }
}

/** The file of a package that npm installed. */
export function npmPackage(folder: string, name: string, version: string, more: object = {}): Entry {
  return [`${folder}/package.json`, JSON.stringify({ name, version, ...more })];
}
