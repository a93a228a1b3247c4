import type { Descriptor } from '../descriptor.js';
import { RegistryError, TransportError, type PromoterError } from '../errors.js';
import type { CallOptions, OpenUpload, PartOptions } from '../repository.js';
import { hasBlob } from './blobs.js';
import type { OpenAt } from './blob-reading.js';
import { askStatus, pushPieces, type Reached, SessionLost } from './upload-chunks.js';
import { follow, scopesFor, type RepositoryContext } from './endpoint.js';
import { pauseMs, sleepMs } from './retry.js';
import { redactUrl } from './urls.js';
import { commit, startSession, takeSmaller, UPLOAD_TRIES } from './upload.js';

/** Maximum checks for a blob after its closing request failed: a registry may hash fifty gigabytes first. */
const CLOSING_ASKS = 30;

interface Open extends Reached {
  chunkBytes: number;
  restarts: number;
}

/** The state of a stored upload, as the registry reports it. Undefined if the registry has lost it. */
async function reopen(
  context: RepositoryContext,
  kept: OpenUpload,
  descriptor: Descriptor,
  options: CallOptions,
): Promise<Open | undefined> {
  // The stored URL is checked in the same way as a URL from the registry.
  const session = follow(context, kept.url, context.endpoint.origin, scopesFor(context, ['pull', 'push']));
  const reached = await askStatus(context, session, options);
  if (reached === undefined || reached.receivedBytes > descriptor.size) return undefined;
  const { chunkBytes, restarts } = kept;
  return { ...reached, chunkBytes, restarts };
}

async function begin(context: RepositoryContext, restarts: number, options: CallOptions): Promise<Open> {
  return { ...(await startSession(context, options)), receivedBytes: 0, restarts };
}

function keptOf({ session, receivedBytes, chunkBytes, restarts }: Open): OpenUpload {
  return { url: session.url, receivedBytes, chunkBytes, restarts };
}

/**
 * Closes the upload. The registry then verifies the digest. If the request fails, the registry may still be verifying,
 * so it is asked for the blob.
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-a-blob-in-chunks
 */
async function close(
  context: RepositoryContext,
  { session }: Open,
  descriptor: Descriptor,
  options: CallOptions,
): Promise<void> {
  try {
    return await commit(context, session, descriptor, undefined, options);
  } catch (error) {
    options.signal?.throwIfAborted();
    if (!(error instanceof TransportError) || !error.transient) throw error;
    for (let asked = 1; asked <= CLOSING_ASKS; asked += 1) {
      await sleepMs(pauseMs(asked, context.endpoint.retryBaseMs), options.signal);
      if (await hasBlob(context, descriptor, options, ['pull', 'push'])) return;
    }
    throw error;
  }
}

/**
 * Sends chunks until `isEnough`.
 * @returns the state of the upload, or undefined if the blob is complete
 */
async function send(
  context: RepositoryContext,
  descriptor: Descriptor,
  openAt: OpenAt,
  open: Open,
  options: PartOptions,
): Promise<Open | undefined> {
  const { isEnough, onReached } = options;
  let current = open;
  for await (const reached of pushPieces(context, current, descriptor, openAt, current.chunkBytes, options)) {
    current = { ...current, ...reached };
    await onReached?.(keptOf(current));
    if (current.receivedBytes < descriptor.size && isEnough(current.receivedBytes - open.receivedBytes)) return current;
  }
  await close(context, current, descriptor, options);
  return undefined;
}

/**
 * Uploads a part of a blob in chunks, for a blob that takes longer than one process may run, and returns the upload to
 * continue. The content is not hashed here, because a hash cannot be continued in another process: the registry
 * verifies the digest when the upload is closed. An upload that the registry has lost is restarted, a limited number of
 * times.
 */
export async function pushPart(
  context: RepositoryContext,
  descriptor: Descriptor,
  openAt: OpenAt,
  options: PartOptions,
): Promise<OpenUpload | undefined> {
  let kept = options.from;
  for (let attempt = 1; ; attempt += 1) {
    if (await hasBlob(context, descriptor, options, ['pull', 'push'])) return undefined;
    const open = await openUpload(context, descriptor, kept, options);
    let latest = keptOf(open);
    const onReached = async (upload: OpenUpload): Promise<void> => {
      latest = upload;
      await options.onReached?.(upload);
    };
    let failure: PromoterError;
    let { chunkBytes } = open;
    try {
      const end = await send(context, descriptor, openAt, open, { ...options, onReached });
      return end && keptOf(end);
    } catch (error) {
      options.signal?.throwIfAborted();
      if (error instanceof SessionLost) failure = error.reason;
      else if (error instanceof RegistryError && error.info.status === 413 && takeSmaller(context, descriptor)) {
        failure = error;
        ({ chunkBytes } = context.endpoint.uploads);
      } else throw error;
    }
    if (attempt >= UPLOAD_TRIES) throw failure;
    kept = { ...latest, chunkBytes };
    await sleepMs(pauseMs(attempt, context.endpoint.retryBaseMs), options.signal);
  }
}

/**
 * Continues a stored upload, or starts a new one.
 * @throws RegistryError `UPLOAD_LOST`
 */
async function openUpload(
  context: RepositoryContext,
  descriptor: Descriptor,
  kept: OpenUpload | undefined,
  options: CallOptions,
): Promise<Open> {
  if (kept === undefined) return begin(context, 0, options);
  const reopened = await reopen(context, kept, descriptor, options);
  if (reopened !== undefined) return reopened;
  const restarts = kept.restarts + 1;
  if (restarts < UPLOAD_TRIES) return begin(context, restarts, options);
  throw new RegistryError(
    `${context.name}@${descriptor.digest}: the registry lost the upload ${restarts} times`,
    { method: 'GET', url: redactUrl(kept.url), status: 404, registryCodes: [] },
    { code: 'UPLOAD_LOST', remedy: 'Check how long the registry keeps unfinished uploads.' },
  );
}
