import { digestAlgorithm, isDigest, isRepository } from '../../../src/oci/index.js';
import { repositoryAccess } from '../access/scope.js';
import type { Call } from '../call.js';
import type { Context, Handler } from '../context.js';
import { Refusal, refuse } from '../refusal.js';
import type { Upload } from '../storage/uploads.js';
import { readDigest } from './blobs.js';

/**
 * `POST /v2/<name>/blobs/uploads/`: opens an upload; with `digest` stores the whole blob; with `mount` links an
 * existing one.
 */
export const postUpload: Handler = async (context, call, { repository }) => {
  if (!context.locks.mayWrite(repository)) throw refuse.locked();
  const mount = call.url.searchParams.get('mount');
  if (mount !== null && (await mounted(context, call, repository, mount))) return;
  const digest = call.url.searchParams.get('digest');
  if (digest !== null && mount === null) {
    const wanted = readDigest(digest);
    if (tooLarge(context, call)) return;
    const upload = await context.uploads.begin(repository);
    await receive(context, call, upload, wanted);
    return;
  }
  const algorithm = call.url.searchParams.get('digest-algorithm');
  if (algorithm !== null && algorithm !== 'sha256' && algorithm !== 'sha512') {
    throw refuse.digestInvalid('unknown digest algorithm', { algorithm });
  }
  const upload = await context.uploads.begin(repository);
  call.empty(202, progress(call, upload));
};

/** `PATCH`: one chunk, or everything as a stream. */
export const patchUpload: Handler = async (context, call, { repository, reference }) => {
  const upload = context.uploads.find(repository, reference);
  const { loseEveryNthUpload: nth, refuseChunkedTransfer } = context.quirks;
  context.patches += 1;
  if (nth !== undefined && context.patches % nth === 0) {
    await context.uploads.cancel(upload);
    throw refuse.uploadUnknown();
  }
  if (refuseChunkedTransfer === true && call.request.headers['content-length'] === undefined) {
    throw new Refusal(400, 'CONTENT_LENGTH_INVALID', 'the chunk must have a Content-Length');
  }
  await context.uploads.inTurn(upload, async () => {
    refuseOldLocation(call, upload);
    const expected = expectedBytes(call, upload);
    await context.uploads.append(upload, body(call), 'sha256', expected);
    upload.turns += 1;
    call.empty(202, progress(call, upload));
  });
};

/** `PUT ?digest=`: the last chunk, the whole blob, or no body; then the upload becomes a blob. */
export const putUpload: Handler = async (context, call, { repository, reference }) => {
  const upload = context.uploads.find(repository, reference);
  const digest = readDigest(call.url.searchParams.get('digest') ?? '');
  if (tooLarge(context, call)) return;
  await context.uploads.inTurn(upload, async () => {
    refuseOldLocation(call, upload);
    await receive(context, call, upload, digest);
  });
};

/** `GET`: how many bytes have arrived, and where to continue. */
export const getUpload: Handler = async (context, call, { repository, reference }) => {
  const upload = context.uploads.find(repository, reference);
  await context.uploads.inTurn(upload, async () => {
    call.empty(204, progress(call, upload));
  });
};

export const deleteUpload: Handler = async (context, call, { repository, reference }) => {
  const upload = context.uploads.find(repository, reference);
  await context.uploads.inTurn(upload, async () => {
    await context.uploads.cancel(upload);
    call.empty(204);
  });
};

/** Links a blob of another repository, if the caller may read it there. */
async function mounted(context: Context, call: Call, repository: string, digest: string): Promise<boolean> {
  if (!isDigest(digest)) return false;
  const from = call.url.searchParams.get('from');
  const sources = from === null ? context.blobs.repositoriesWith(digest) : [from];
  for (const source of sources) {
    const size = isRepository(source) ? context.blobs.sizeOf(source, digest) : undefined;
    if (size === undefined || !(await context.guard.allows(call, repositoryAccess(source, 'pull')))) continue;
    context.blobs.link(repository, digest, size);
    call.empty(201, { location: call.location(`/v2/${repository}/blobs/${digest}`), 'docker-content-digest': digest });
    return true;
  }
  return false;
}

async function receive(context: Context, call: Call, upload: Upload, digest: ReturnType<typeof readDigest>) {
  const expected = expectedBytes(call, upload);
  await context.uploads.append(upload, body(call), digestAlgorithm(digest), expected);
  await context.uploads.finish(upload, digest);
  call.empty(201, {
    location: call.location(`/v2/${upload.repository}/blobs/${digest}`),
    'docker-content-digest': digest,
  });
}

/** The body, without closing the connection when reading ends early, so that the answer still arrives. */
function body(call: Call): AsyncIterable<Buffer> {
  return call.request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
}

/**
 * The number of bytes that `Content-Range` announces, checked against the upload's size.
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-a-blob-in-chunks
 */
function expectedBytes(call: Call, upload: Upload): number | undefined {
  const header = call.request.headers['content-range'];
  if (header === undefined) return undefined;
  const match = /^(\d+)-(\d+)$/.exec(header);
  if (match === null) throw refuse.uploadInvalid('Content-Range must be <start>-<end>');
  const [start, end] = [Number(match[1]), Number(match[2])];
  if (start !== upload.size || end < start) {
    throw new Refusal(416, 'RANGE_INVALID', `the next chunk must start at ${upload.size}`, {
      headers: progress(call, upload),
    });
  }
  return end - start + 1;
}

/** Answers with HTML, as ACR's front end does. */
function tooLarge(context: Context, call: Call): boolean {
  const most = context.quirks.maxMonolithicBytes;
  if (most === undefined || Number(call.request.headers['content-length'] ?? 0) <= most) return false;
  const title = '413 Request Entity Too Large';
  const page = `<html><head><title>${title}</title></head><body><center><h1>${title}</h1></center></body></html>`;
  call.bytes(413, page, { 'content-type': 'text/html' });
  return true;
}

/** ACR's Locations hold the state of the upload, so only the newest one is valid. */
function refuseOldLocation(call: Call, upload: Upload): void {
  if (call.url.searchParams.get('_state') === stateOf(upload)) return;
  throw refuse.uploadInvalid('this is not the newest Location of the upload', 404);
}

function stateOf(upload: Upload): string {
  return Buffer.from(`${upload.id}:${upload.turns}:${upload.size}`).toString('base64url');
}

function progress(call: Call, upload: Upload): Record<string, string> {
  const path = `/v2/${upload.repository}/blobs/uploads/${upload.id}?_nouploadcache=false&_state=${stateOf(upload)}`;
  return {
    location: call.location(path),
    range: `0-${Math.max(0, upload.size - 1)}`,
    'docker-upload-uuid': upload.id,
  };
}
