import { fetchBlob as findBlob, pullFiles } from '../oras/index.js';
import { contentOf } from './content.js';
import { pullToBlobs } from './files.js';
import { described, resolveTarget, tagOrDigestOf, targetOf, type Operation } from './operation.js';

/** Bytes of a blob that is given in the output itself. */
const INLINE_BLOB_BYTES = 20_000;
/** Bytes that a pulled archive may unpack to: a function has little room on its disk. `TOO_LARGE` */
const UNPACK_BYTES = 1024 * 1024 * 1024;

// What is put into the container `target`.

/** The artifact's files below `output`, or below the run's id. */
export const pull: Operation<'pull'> = async ({ ports, runId, job, signal, progress }) => {
  const target = targetOf(ports, job.reference);
  const { repository } = target;
  const root = await resolveTarget(target, job, signal);
  const { output: prefix = runId, keepOldFiles = false, includeSubject, concurrency } = job;
  const options = { prefix, keepOld: keepOldFiles, signal };
  const { put, leftOut, pulled, blobOf } = await pullToBlobs(ports.files, options, (files) =>
    pullFiles({ repository, files }, root, {
      signal,
      unpackLimitBytes: UNPACK_BYTES,
      ...(includeSubject !== undefined && { includeSubject }),
      ...(concurrency !== undefined && { concurrency }),
      onProgress: (told) => {
        if (told.state === 'downloading') progress.text(`downloading ${told.descriptor.digest}`);
      },
    }),
  );
  progress.text(`${put.length} files in target/${prefix}`);
  const layers = pulled.files.map(({ path, descriptor }) => ({
    blob: blobOf(path),
    ...described(repository.name, descriptor),
  }));
  const output = { ...described(repository.name, root), files: put, layers, leftOut, skipped: pulled.skipped };
  return { output, digest: root.digest };
};

/** A blob under the name `output`; without one, what is small in the output itself, what is large under the run's id. */
export const fetchBlob: Operation<'blob.fetch'> = async ({ ports, runId, job, signal, progress }) => {
  const target = targetOf(ports, job.reference);
  const { repository } = target;
  const { descriptor, open } = await findBlob(repository, tagOrDigestOf(target), { signal });
  const { digest, size } = descriptor;
  const head = described(repository.name, descriptor);
  if (job.output === undefined && size <= INLINE_BLOB_BYTES) {
    const chunks: Uint8Array[] = [];
    for await (const chunk of await open()) chunks.push(chunk);
    return { output: { ...head, ...contentOf(Buffer.concat(chunks)) }, digest };
  }
  const { output: blob = `${runId}/${digest.replace(':', '-')}` } = job;
  await ports.files.put('target', blob, await open(), { signal });
  progress.text(`target/${blob}`);
  return { output: { ...head, blob }, digest };
};
