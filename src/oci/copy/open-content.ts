import type { Descriptor } from '../descriptor.js';
import { digestOf, digestAlgorithm } from '../digest.js';
import { CopyError } from '../errors.js';
import { once } from '../content.js';
import type { CallOptions, ReadableRepository } from '../repository.js';
import { Budget } from './budget.js';
import type { CopyPlan, PlannedManifest } from './plan.js';
import { onSide } from './side.js';

/** Decodes base64. Undefined if there is no text, or the bytes do not match the descriptor. */
function decodeVerified(text: string | undefined, { digest, size }: Descriptor): Uint8Array | undefined {
  if (text === undefined) return undefined;
  const bytes = new Uint8Array(Buffer.from(text, 'base64'));
  return bytes.length === size && digestOf(bytes, digestAlgorithm(digest)) === digest ? bytes : undefined;
}

/**
 * The bytes of a planned manifest, from the plan or else from the source.
 * @throws CopyError `SOURCE_MISSING`
 */
export async function manifestBytes(
  { descriptor, bytes }: PlannedManifest,
  source: ReadableRepository | undefined,
  requests: Budget,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const carried = decodeVerified(bytes, descriptor);
  if (carried) return carried;
  if (!source) {
    throw new CopyError(
      'SOURCE_MISSING',
      `the copy plan does not contain ${descriptor.digest}, and no source was given`,
      {
        details: { digest: descriptor.digest },
      },
    );
  }
  const fetched = await onSide('source', 'fetch manifest', () =>
    requests.run(() => source.fetchManifest(descriptor, { signal }), signal),
  );
  return fetched.bytes;
}

/** Opens a blob, from its descriptor's `data` if that is valid, otherwise from the source. */
export async function openBody(
  descriptor: Descriptor,
  source: ReadableRepository,
  signal: AbortSignal,
): Promise<AsyncIterable<Uint8Array>> {
  const inline = decodeVerified(descriptor.data, descriptor);
  if (inline) return once(inline);
  return onSide('source', 'fetch blob', async () =>
    fromSource(await source.openBlob(descriptor, { signal, freesChunks: true })),
  );
}

/** Reports an error in the middle of a stream as an error of the source, no matter which reader gets it. */
export async function* fromSource(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const iterator = body[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await onSide('source', 'fetch blob', () => iterator.next());
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    await iterator.return?.();
  }
}

/** The bytes of the plan's root, from the plan or else from the source. Used to tag the root. */
export function rootBytes(plan: CopyPlan, source: ReadableRepository, options: CallOptions = {}): Promise<Uint8Array> {
  const root = plan.manifests.find(({ descriptor }) => descriptor.digest === plan.root.digest);
  const { signal = new AbortController().signal } = options;
  return manifestBytes(root ?? { descriptor: plan.root, blobs: [] }, source, new Budget(1), signal);
}
