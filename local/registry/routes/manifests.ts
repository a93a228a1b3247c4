import {
  artifactTypeOf,
  bareMediaType,
  childrenOf,
  digestAlgorithm,
  digestOf,
  isDigest,
  isTag,
  isManifestMediaType,
  parseManifest,
  PromoterError,
  type Descriptor,
  type Manifest,
} from '../../../src/oci/index.js';
import type { Context, Handler } from '../context.js';
import { pushEvent } from '../events/event.js';
import { readBody } from '../http.js';
import { Refusal, refuse } from '../refusal.js';
import { transaction } from '../storage/database.js';
import type { IncomingManifest } from '../storage/manifests.js';
import { describeManifest } from './describe-manifest.js';

/** The most bytes of a manifest. `MANIFEST_INVALID`, 413 */
const MANIFEST_BYTES = 4 * 1024 * 1024;

/** `GET` and `HEAD /v2/<name>/manifests/<tag or digest>`. */
export const getManifest: Handler = async (context, call, { repository, reference }) => {
  if (!isTag(reference) && !isDigest(reference)) throw refuse.manifestUnknown(repository, reference);
  const found = context.reads.store.get(repository, reference);
  if (found === undefined) {
    if (!context.reads.store.hasRepository(repository)) throw refuse.nameUnknown(repository);
    throw refuse.manifestUnknown(repository, reference);
  }
  if (!context.locks.mayRead(repository, [reference, found.digest])) throw refuse.locked();
  if (!accepts(call.request.headers.accept, found.mediaType)) {
    throw new Refusal(404, 'MANIFEST_UNKNOWN', `${found.mediaType} found, but the accept header does not support it`);
  }
  call.bytes(200, found.bytes, {
    'content-type': found.mediaType,
    'docker-content-digest': found.digest,
    etag: `"${found.digest}"`,
  });
};

/** `PUT /v2/<name>/manifests/<tag or digest>`: stores the manifest and its event in one transaction. */
export const putManifest: Handler = async (context, call, { repository, reference }) => {
  const bytes = await readBody(call.request, MANIFEST_BYTES).catch((error: unknown) => {
    throw error instanceof Refusal ? refuse.manifestInvalid(error.message, 413) : error;
  });
  if (!context.locks.mayWrite(repository, [reference])) throw refuse.locked();
  const contentType = bareMediaType(call.request.headers['content-type'] ?? '');
  const { manifest, incoming: read } = readManifest(bytes, contentType, reference);
  if (!context.locks.mayWrite(repository, [read.digest])) throw refuse.locked();
  const incoming: IncomingManifest = { ...read, described: await describeManifest(context, repository, manifest) };
  if (context.options.sparse !== true) refuseDangling(context, repository, manifest);
  const { noReferrersApi, subjectHeaderWithoutApi } = context.quirks;
  const now = new Date().toISOString();
  transaction(context.database, () => {
    context.manifests.put(repository, incoming, now);
    context.events.add(pushEvent(context, call, repository, incoming));
  });
  context.reads.later((store) => store.put(repository, incoming, now));
  context.events.wake();
  const tellSubject = incoming.subject !== undefined && (noReferrersApi !== true || subjectHeaderWithoutApi === true);
  call.empty(201, {
    location: call.location(`/v2/${repository}/manifests/${incoming.digest}`),
    'docker-content-digest': incoming.digest,
    ...(tellSubject && incoming.subject !== undefined && { 'oci-subject': incoming.subject }),
  });
};

function readManifest(
  bytes: Buffer,
  contentType: string,
  reference: string,
): { manifest: Manifest; incoming: Omit<IncomingManifest, 'described'> } {
  if (!isDigest(reference) && !isTag(reference)) {
    throw reference.includes(':')
      ? refuse.digestInvalid('invalid digest', { digest: reference })
      : new Refusal(400, 'TAG_INVALID', 'manifest tag did not match its pattern', { detail: { tag: reference } });
  }
  const digest = digestOf(bytes, isDigest(reference) ? digestAlgorithm(reference) : 'sha256');
  if (isDigest(reference) && digest !== reference) {
    throw refuse.digestInvalid('provided digest did not match uploaded content', { digest: reference, found: digest });
  }
  const manifest = parse(bytes, contentType);
  const subject = manifest.subject?.digest;
  const artifactType = artifactTypeOf(manifest);
  const mediaType = contentType === '' ? manifest.mediaType : contentType;
  const referrer: Descriptor = {
    mediaType,
    digest,
    size: bytes.length,
    ...(artifactType !== undefined && { artifactType }),
    ...(manifest.annotations !== undefined && { annotations: manifest.annotations }),
  };
  const incoming = {
    digest,
    mediaType,
    bytes,
    ...(isTag(reference) && { tag: reference }),
    ...(subject !== undefined && { subject, referrer }),
  };
  return { manifest, incoming };
}

function parse(bytes: Buffer, contentType: string): Manifest {
  try {
    const manifest = parseManifest(bytes, contentType, 'manifest', { lenient: true });
    if (contentType !== '' && !isManifestMediaType(contentType)) {
      throw refuse.manifestInvalid(`unknown manifest media type ${contentType}`);
    }
    return manifest;
  } catch (error) {
    if (error instanceof Refusal || !(error instanceof PromoterError)) throw error;
    throw refuse.manifestInvalid(error.message);
  }
}

/** ACR requires that everything a manifest refers to exists first, except layers with external URLs. */
function refuseDangling(context: Context, repository: string, manifest: Manifest): void {
  const missing = childrenOf(manifest).find(
    ({ digest, mediaType, urls }) =>
      (urls === undefined || urls.length === 0) &&
      !/\.(?:nondistributable|foreign)\./.test(mediaType) &&
      context.blobs.sizeOf(repository, digest) === undefined &&
      !context.manifests.has(repository, digest),
  );
  if (missing === undefined) return;
  throw new Refusal(400, 'MANIFEST_BLOB_UNKNOWN', 'the manifest refers to what the repository does not have', {
    detail: { digest: missing.digest, mediaType: missing.mediaType },
  });
}

/** Like ACR and Docker's registry: a client gets only the media types that it accepts. */
function accepts(header: string | undefined, mediaType: string): boolean {
  if (header === undefined || header.trim() === '') return true;
  return header
    .split(',')
    .map(bareMediaType)
    .some((type) => type === mediaType || type === '*/*' || type === 'application/*');
}
