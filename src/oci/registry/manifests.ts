import { parseObject, type Descriptor } from '../descriptor.js';
import { digestAlgorithm, digestOf, isDigest, type Digest } from '../digest.js';
import { quoted } from '../credentials-in-text.js';
import { digestMismatch, sizeMismatch, tooLarge } from '../content.js';
import { answerError, InputError } from '../errors.js';
import { bareMediaType, MANIFEST_BYTES } from '../manifest.js';
import { MANIFEST_ACCEPT, OCI_IMAGE_MANIFEST } from '../media-types.js';
import { isTag } from '../reference.js';
import type { CallOptions, FetchedManifest, ManifestOptions } from '../repository.js';
import { apiRequest, askHeaders, askWhole, type RepositoryContext } from './endpoint.js';
import type { TransportRequest } from './transport.js';
import { redactUrl } from './urls.js';

const DIGEST_HEADER = 'docker-content-digest';
/** Media types that do not show what a manifest is; some registries and most proxies send them. */
const GENERIC_TYPES = new Set([
  '',
  'application/json',
  'application/octet-stream',
  'text/plain',
  'binary/octet-stream',
]);

/**
 * The reference `name:tag` or `name@digest`, for messages.
 * @throws InputError `REFERENCE_INVALID` if it is neither a tag nor a digest
 */
function referenceTo(context: RepositoryContext, tagOrDigest: string): string {
  if (isDigest(tagOrDigest)) return `${context.name}@${tagOrDigest}`;
  if (isTag(tagOrDigest)) return `${context.name}:${tagOrDigest}`;
  throw new InputError('REFERENCE_INVALID', `${quoted(tagOrDigest)} is neither a tag nor a digest`);
}

function requestFor(
  context: RepositoryContext,
  method: 'GET' | 'HEAD',
  tagOrDigest: string,
  options: ManifestOptions,
  mediaType = OCI_IMAGE_MANIFEST,
): TransportRequest {
  const known = MANIFEST_ACCEPT.includes(mediaType) ? MANIFEST_ACCEPT : [...MANIFEST_ACCEPT, mediaType];
  const headers = { accept: (options.mediaTypes ?? known).join(', ') };
  return { ...apiRequest(context, method, `manifests/${tagOrDigest}`, ['pull'], options), headers };
}

/**
 * The media type of a manifest. If the answer's type is generic, the expected one or the manifest's own `mediaType` is
 * used.
 */
function mediaTypeOf(bytes: Uint8Array, contentType: string, expected: string | undefined): string {
  if (!GENERIC_TYPES.has(contentType)) return contentType;
  if (expected !== undefined) return expected;
  const { mediaType } = parseObject(bytes) ?? {};
  return typeof mediaType === 'string' && mediaType !== '' ? bareMediaType(mediaType) : contentType;
}

export interface FetchedWithETag extends FetchedManifest {
  etag?: string;
}

/**
 * Fetches a manifest and verifies its digest, and its size if `target` is a descriptor.
 * @throws RegistryError `MANIFEST_UNKNOWN`; `ANSWER_INVALID` for a web page
 * @throws IntegrityError `TOO_LARGE`, `SIZE_MISMATCH`, `DIGEST_MISMATCH`
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-manifests
 */
export async function fetchManifest(
  context: RepositoryContext,
  target: string | Descriptor,
  options: ManifestOptions = {},
): Promise<FetchedWithETag> {
  const wanted = typeof target === 'string' ? undefined : target;
  const tagOrDigest = typeof target === 'string' ? target : target.digest;
  const what = referenceTo(context, tagOrDigest);
  if (wanted !== undefined && wanted.size > MANIFEST_BYTES) throw tooLarge(what, MANIFEST_BYTES, wanted.size);
  const answer = await askWhole(context.endpoint, requestFor(context, 'GET', tagOrDigest, options, wanted?.mediaType), {
    statuses: [200],
    what,
    absent: 'MANIFEST_UNKNOWN',
    mostBytes: MANIFEST_BYTES,
  });
  const { bytes } = answer;
  const contentType = bareMediaType(answer.headers['content-type'] ?? '');
  // A proxy may answer 200 with its login page. Its digest would match no manifest.
  if (contentType === 'text/html') {
    const url = redactUrl(answer.url);
    throw answerError('ANSWER_INVALID', `${what}: the registry answered with a web page, not with a manifest`, { url });
  }
  if (wanted !== undefined && bytes.length !== wanted.size) throw sizeMismatch(what, wanted.size, bytes.length);
  // For a tag, the header only claims a digest. The bytes must have it.
  const claimed = answer.headers[DIGEST_HEADER];
  const expected = isDigest(tagOrDigest)
    ? tagOrDigest
    : claimed !== undefined && isDigest(claimed)
      ? claimed
      : undefined;
  const digest = digestOf(bytes, expected === undefined ? 'sha256' : digestAlgorithm(expected));
  if (expected !== undefined && digest !== expected) throw digestMismatch(what, expected, digest);
  const mediaType = mediaTypeOf(bytes, contentType, wanted?.mediaType);
  return {
    descriptor: { mediaType, digest, size: bytes.length },
    bytes,
    ...(answer.headers.etag !== undefined && { etag: answer.headers.etag }),
  };
}

/**
 * Resolves a tag or digest with HEAD, or with GET if the registry does not support HEAD or its answer is incomplete.
 */
export async function resolveManifest(
  context: RepositoryContext,
  tagOrDigest: string,
  options: ManifestOptions = {},
): Promise<Descriptor> {
  const what = referenceTo(context, tagOrDigest);
  const { headers, status } = await askHeaders(context.endpoint, requestFor(context, 'HEAD', tagOrDigest, options), {
    statuses: [200, 405],
    what,
    absent: 'MANIFEST_UNKNOWN',
  });
  const digest = headers[DIGEST_HEADER];
  const mediaType = bareMediaType(headers['content-type'] ?? '');
  const size = Number(headers['content-length'] ?? Number.NaN);
  if (
    status !== 200 ||
    digest === undefined ||
    !isDigest(digest) ||
    GENERIC_TYPES.has(mediaType) ||
    !(Number.isSafeInteger(size) && size > 0) ||
    // To compare digests of two algorithms, the content must be read.
    (isDigest(tagOrDigest) && digestAlgorithm(digest) !== digestAlgorithm(tagOrDigest))
  ) {
    return (await fetchManifest(context, tagOrDigest, options)).descriptor;
  }
  if (isDigest(tagOrDigest) && digest !== tagOrDigest) throw digestMismatch(what, tagOrDigest, digest);
  return { mediaType, digest, size };
}

export interface PutResult {
  descriptor: Descriptor;
  /** The subject that the registry has recorded (`OCI-Subject`). Absent if it did not say so. */
  notedSubject?: string;
}

/**
 * Puts a manifest under a tag or its digest.
 * @param options.ifMatch the ETag that the tag must still have
 * @throws RegistryError with status 412 if the tag has another ETag
 * @throws IntegrityError `TOO_LARGE`, `DIGEST_MISMATCH`
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-manifests
 */
export async function putManifest(
  context: RepositoryContext,
  bytes: Uint8Array,
  mediaType: string,
  options: CallOptions & { tag?: string; digest?: Digest; ifMatch?: string } = {},
): Promise<PutResult> {
  const algorithm = options.digest === undefined ? 'sha256' : digestAlgorithm(options.digest);
  const digest = digestOf(bytes, algorithm);
  const target = options.tag ?? digest;
  const what = referenceTo(context, target);
  if (bytes.length > MANIFEST_BYTES) throw tooLarge(what, MANIFEST_BYTES, bytes.length);
  const response = await askHeaders(
    context.endpoint,
    {
      ...apiRequest(context, 'PUT', `manifests/${target}`, ['pull', 'push'], options),
      headers: { 'content-type': mediaType, ...(options.ifMatch !== undefined && { 'if-match': options.ifMatch }) },
      body: bytes,
    },
    { statuses: [201, 200, 202], what, absent: 'NAME_UNKNOWN' },
  );
  const stored = response.headers[DIGEST_HEADER];
  const claimed = stored !== undefined && isDigest(stored) ? stored : undefined;
  if (claimed !== undefined && digestOf(bytes, digestAlgorithm(claimed)) !== claimed)
    throw digestMismatch(what, digest, claimed);
  // Under a tag, the registry chooses the digest algorithm. Another algorithm's digest is not the one that is signed
  // and referred to.
  if (options.tag !== undefined && claimed !== digest && algorithm !== 'sha256') {
    const { digest: resolved } = await resolveManifest(context, options.tag, options);
    if (resolved !== digest) throw digestMismatch(what, digest, resolved);
  }
  const noted = response.headers['oci-subject'];
  return { descriptor: { mediaType, digest, size: bytes.length }, ...(noted !== undefined && { notedSubject: noted }) };
}

/** @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#deleting-manifests */
export async function removeManifest(
  context: RepositoryContext,
  digest: Digest,
  options: CallOptions = {},
): Promise<void> {
  await askHeaders(context.endpoint, apiRequest(context, 'DELETE', `manifests/${digest}`, ['delete'], options), {
    statuses: [202, 200, 204],
    what: referenceTo(context, digest),
    absent: 'MANIFEST_UNKNOWN',
  });
}
