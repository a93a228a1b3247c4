import { buffer } from 'node:stream/consumers';
import { Catalog } from './catalog.js';
import { CATALOGERS } from './catalogers/index.js';
import { makeSboms } from './documents/make.js';
import type { Sbom, SbomGenerator, SbomInput } from './generator.js';
import { parseImageConfig } from './image-config.js';
import type { Digest } from '../oci/index.js';
import { overLimit } from './sbom-errors.js';
import { checkLayerMediaType, isForeignLayer } from './layers/unpack.js';
import { SBOM_LIMITS, type SbomLimits } from './limits.js';
import { LayerKeeper } from './kept-layers.js';
import { Turns } from './turns.js';

/** Options of {@link createStreamingSbomGenerator}. */
export interface StreamingSbomOptions {
  /** Limits that differ from SBOM_LIMITS. */
  limits?: Partial<SbomLimits>;
}

/**
 * Makes SBOMs by streaming the layers of an image from their registry, without temporary files. Memory does not depend
 * on the size of the layers.
 */
export function createStreamingSbomGenerator(options: StreamingSbomOptions = {}): SbomGenerator {
  const limits: SbomLimits = { ...SBOM_LIMITS, ...options.limits };
  return { generate: (input) => generate(input, limits) };
}

async function generate(input: SbomInput, limits: SbomLimits): Promise<Sbom[]> {
  const { manifest, signal } = input;
  if (manifest.layers.length > limits.layers) throw overLimit('layers', 'the image has more layers', limits.layers);
  const elsewhere = await layersElsewhere(input);
  const here = manifest.layers.filter(({ digest }) => !elsewhere.has(digest));
  for (const layer of here) checkLayerMediaType(layer);
  if (manifest.config.size > limits.configBytes) {
    throw overLimit('configBytes', 'the config has more bytes', limits.configBytes);
  }
  const config = parseImageConfig(await buffer(await input.openBlob(manifest.config, signal)));
  const turns = new Turns();
  const keeper = new LayerKeeper(input);
  const before = await keeper.read();
  const catalog = new Catalog(CATALOGERS, limits, turns, before?.catalog);
  const totalBytes = here.reduce((sum, layer) => sum + layer.size, 0);
  let doneBytes = 0;
  let reported = -1;
  const report = (bytes: number): void => {
    // Progress never goes back when a layer is read again.
    if (bytes <= reported) return;
    reported = bytes;
    input.onProgress?.(bytes, totalBytes);
  };
  for (const [index, layer] of manifest.layers.toReversed().entries()) {
    signal.throwIfAborted();
    if (index < (before?.layers ?? 0)) {
      if (!elsewhere.has(layer.digest)) doneBytes += layer.size;
      continue;
    }
    const isLowest = index === manifest.layers.length - 1;
    if (elsewhere.has(layer.digest)) {
      catalog.gaps.add('layer-elsewhere', `layer ${layer.digest} is not in the registry (${layer.mediaType})`);
      continue;
    }
    const diffId = config.diffIds?.[manifest.layers.length - 1 - index] ?? null;
    await catalog.addLayer(layer, { index, isLowest, ...(config.diffIds && { diffId }) }, async () => {
      const bytes = await input.openBlob(layer, signal);
      return watched(bytes, signal, (read) => report(doneBytes + Math.min(read, layer.size)));
    });
    doneBytes += layer.size;
    report(doneBytes);
    await keeper.keep(index + 1, catalog.state);
  }
  return makeSboms(
    {
      name: input.name,
      digest: input.descriptor.digest,
      config,
      ...(catalog.distro && { distro: catalog.distro }),
      packages: catalog.packages,
      gaps: catalog.gaps,
      covered: CATALOGERS.filter(({ name }) => name !== 'os-release').map(({ name }) => name),
      ownersChecked: false,
    },
    input.formats ?? ['cyclonedx'],
    limits,
  );
}

/**
 * The foreign layers that the registry does not have. Runtimes read a foreign layer from the registry if it is there,
 * whatever its `urls` say.
 */
async function layersElsewhere({ manifest, hasBlob, signal }: SbomInput): Promise<ReadonlySet<Digest>> {
  const elsewhere = new Set<Digest>();
  for (const layer of manifest.layers)
    if (isForeignLayer(layer) && !((await hasBlob?.(layer, signal)) ?? false)) elsewhere.add(layer.digest);
  return elsewhere;
}

/** Reports progress and stops when the signal is aborted. */
async function* watched(
  source: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
  onRead: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  let read = 0;
  for await (const chunk of source) {
    signal.throwIfAborted();
    read += chunk.length;
    onRead(read);
    yield chunk;
  }
}
