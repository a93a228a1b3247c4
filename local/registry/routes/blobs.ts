import { isDigest, type Digest } from '../../../src/oci/index.js';
import type { Handler } from '../context.js';
import { Refusal, refuse } from '../refusal.js';

/** Parses a digest in a path or query. @throws Refusal 400 `DIGEST_INVALID` */
export function readDigest(text: string): Digest {
  if (!isDigest(text)) throw refuse.digestInvalid('invalid digest: sha256 and sha512 are supported', { digest: text });
  return text;
}

/** `GET` and `HEAD /v2/<name>/blobs/<digest>`, whole or a range of it. */
export const getBlob: Handler = async (context, call, { repository, reference }) => {
  if (!context.locks.mayRead(repository)) throw refuse.locked();
  const digest = readDigest(reference);
  const size = context.blobs.sizeOf(repository, digest);
  if (size === undefined) throw refuse.blobUnknown(digest);
  const headers = {
    'content-type': 'application/octet-stream',
    'docker-content-digest': digest,
    etag: `"${digest}"`,
    'accept-ranges': 'bytes',
  };
  if (call.method === 'HEAD') {
    call.empty(200, { ...headers, 'content-length': size });
    return;
  }
  if (context.blobHost !== undefined) {
    const location = context.blobHost.urlOf(call.origin, digest, size);
    call.empty(307, { location, 'docker-content-digest': digest });
    return;
  }
  const range = readRange(call.request.headers.range, size);
  if (range === undefined) {
    if (size === 0) call.bytes(200, '', headers);
    else await call.stream(200, context.blobs.read(digest, 0, size - 1), { ...headers, 'content-length': size });
    return;
  }
  await call.stream(206, context.blobs.read(digest, range.start, range.end), {
    ...headers,
    'content-length': range.end - range.start + 1,
    'content-range': `bytes ${range.start}-${range.end}/${size}`,
  });
};

export const deleteBlob: Handler = async (context, call, { repository, reference }) => {
  if (!context.locks.mayDelete(repository, [])) throw refuse.locked();
  const digest = readDigest(reference);
  if (!context.blobs.remove(repository, digest)) throw refuse.blobUnknown(digest);
  call.empty(202);
};

/**
 * Parses one range of `Range: bytes=…`, both ends included. Several ranges or another unit are ignored.
 * @throws Refusal 416
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-14.2
 */
export function readRange(header: string | undefined, size: number): { start: number; end: number } | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? '');
  if (match === null) return undefined;
  const [, first = '', last = ''] = match;
  if (first === '' && last === '') return undefined;
  const start = first === '' ? Math.max(0, size - Number(last)) : Number(first);
  const end = first === '' || last === '' ? size - 1 : Math.min(Number(last), size - 1);
  if (start > end) {
    throw new Refusal(416, 'RANGE_INVALID', 'the range is not in the blob', {
      headers: { 'content-range': `bytes */${size}` },
    });
  }
  return { start, end };
}
