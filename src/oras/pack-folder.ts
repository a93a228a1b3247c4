import { createReadStream, createWriteStream } from 'node:fs';
import { posix } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { pack, type Pack } from 'tar-stream';
import { createDigester, InputError, isRecord, type Digest } from '../oci/index.js';
import { asFileError, fileErrorCode } from './file-system.js';
import type { FileSource, FolderEntry } from './file-source.js';
import { SMALL_FILE_BYTES } from './archive-entries.js';

export interface PackFolderOptions {
  signal?: AbortSignal | undefined;
  /** Modification time of every entry, in seconds since 1970. */
  modifiedSeconds: number;
  /** The path of the archive. */
  archivePath: string;
  /** Called for entries that are not files, folders or links. */
  onLeftOut?: (name: string) => void;
}

/** The archive of a folder, in a file. */
export interface PackedFolder {
  digest: Digest;
  sizeBytes: number;
  /** The digest of the tar archive before compression. */
  contentDigest: Digest;
  open(): AsyncIterable<Uint8Array>;
}

/** Offset of the operating system in a gzip header. Go writes 255, unknown. */
const GZIP_OS_OFFSET = 9;
const GZIP_OS_UNKNOWN = 255;

const PIECE_BYTES = 256 * 1024;

type NewEntry = Parameters<Pack['entry']>[0];

/** Passes bytes on, and reports each piece with the number of bytes before it. */
function tap(see: (chunk: Uint8Array, before: number) => void): Transform {
  let before = 0;
  return new Transform({
    transform(chunk: Uint8Array, _encoding, done) {
      see(chunk, before);
      before += chunk.length;
      done(null, chunk);
    },
  });
}

/** Computes the digest, and joins small pieces: compression has a cost for each piece. */
function gather(see: (chunk: Uint8Array) => void): Transform {
  let pieces: Uint8Array[] = [];
  let count = 0;
  const take = (): Uint8Array => {
    const whole = Buffer.concat(pieces);
    pieces = [];
    count = 0;
    see(whole);
    return whole;
  };
  return new Transform({
    transform(chunk: Uint8Array, _encoding, done) {
      pieces.push(chunk);
      count += chunk.length;
      done(null, count < PIECE_BYTES ? undefined : take());
    },
    flush(done) {
      done(null, take());
    },
  });
}

/** Writes an entry with its bytes. @throws InputError `FILE_CHANGED` */
async function addEntry(archive: Pack, header: NewEntry, body?: AsyncIterable<Uint8Array>): Promise<void> {
  const { size = 0 } = header;
  const whole = body !== undefined && size <= SMALL_FILE_BYTES ? await readSmall(header, body) : undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      const done = (error?: Error | null): void => (error ? reject(error) : resolve());
      if (whole !== undefined) archive.entry(header, whole, done);
      else {
        const entry = archive.entry(header, done);
        // Only a file has bytes after its header.
        if (body !== undefined) pipeline(Readable.from(body, { objectMode: false }), entry).catch(reject);
      }
    });
  } catch (error) {
    throw isRecord(error) && error.message === 'Size mismatch' ? changed(header, error) : error;
  }
}

function changed({ name }: NewEntry, cause?: unknown): InputError {
  return new InputError('FILE_CHANGED', `${name} changed while it was read`, { cause });
}

async function readSmall(header: NewEntry, body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let count = 0;
  for await (const chunk of body) {
    count += chunk.length;
    if (count > SMALL_FILE_BYTES) break;
    chunks.push(chunk);
  }
  if (count !== header.size) throw changed(header);
  return Buffer.concat(chunks);
}

async function fill(
  archive: Pack,
  source: FileSource,
  folder: string,
  title: string,
  options: PackFolderOptions,
): Promise<void> {
  const nameOf = ({ path }: FolderEntry): string => posix.join(title, path);
  for await (const entry of source.walk(folder)) {
    options.signal?.throwIfAborted();
    const name = nameOf(entry);
    const { mode } = entry;
    const common = { name, mode, uid: 0, gid: 0, mtime: new Date(options.modifiedSeconds * 1000) };
    switch (entry.kind) {
      case 'folder':
        await addEntry(archive, { ...common, type: 'directory' });
        break;
      case 'link':
        await addEntry(archive, { ...common, type: 'symlink', linkname: entry.target });
        break;
      case 'file':
        await addEntry(
          archive,
          { ...common, type: 'file', size: entry.sizeBytes },
          source.open(`${folder}/${entry.path}`),
        );
        break;
      case 'other':
        options.onLeftOut?.(name);
    }
  }
  archive.finalize();
}

/**
 * Packs a folder as a gzipped tar archive: names begin with the title, owners are 0, all times are equal, so that the same
 * files make the same bytes. The archive is not held in memory.
 * @throws InputError `FILE_CHANGED`
 */
export async function packFolder(
  source: FileSource,
  folder: string,
  title: string,
  options: PackFolderOptions,
): Promise<PackedFolder> {
  const [content, compressed] = [createDigester(), createDigester()];
  let sizeBytes = 0;
  const archive = pack();
  const filled = fill(archive, source, folder, title, options);
  // If filling the archive fails, the pipeline below ends, too. Both errors are handled after it.
  filled.catch((error: unknown) => archive.destroy(error instanceof Error ? error : new Error(String(error))));
  const written = pipeline(
    archive,
    gather((chunk) => content.update(chunk)),
    createGzip(),
    tap((chunk, before) => {
      const at = GZIP_OS_OFFSET - before;
      if (at >= 0 && at < chunk.length) chunk[at] = GZIP_OS_UNKNOWN;
      compressed.update(chunk);
      sizeBytes += chunk.length;
    }),
    createWriteStream(options.archivePath, { flags: 'wx', mode: 0o600 }),
    { signal: options.signal },
  );
  const [fillEnd, writeEnd] = await Promise.allSettled([filled, written]);
  const failures = [writeEnd, fillEnd].flatMap((end) => (end.status === 'rejected' ? [end.reason as unknown] : []));
  // A failure of one ends the other. The error that names the file is thrown.
  if (failures.length > 0)
    throw asFileError(
      failures.find((failure) => failure instanceof InputError || fileErrorCode(failure)) ?? failures[0],
    );
  return {
    digest: compressed.digest(),
    sizeBytes,
    contentDigest: content.digest(),
    open: () => createReadStream(options.archivePath, { highWaterMark: 256 * 1024 }),
  };
}
