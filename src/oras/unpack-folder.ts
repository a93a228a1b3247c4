import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { extract, type Extract } from 'tar-stream';
import {
  createDigester,
  digestAlgorithm,
  InputError,
  IntegrityError,
  isDigest,
  isRecord,
  PromoterError,
  type Descriptor,
} from '../oci/index.js';
import { ArchiveEntries, SMALL_FILE_BYTES } from './archive-entries.js';
import { Tasks, FILES_AT_ONCE } from './at-once.js';
import { fileErrorCode } from './file-system.js';
import type { FileAttributes, StagedFiles } from './file-sink.js';
import { CONTENT_DIGEST } from './load-layers.js';
import type { UnpackBudget } from './unpack-budget.js';

/** The most entries of an archive. `TOO_LARGE` */
const MOST_UNPACK_ENTRIES = 1_000_000;

type Entry = Extract extends AsyncIterable<infer E> ? E : never;

export interface UnpackOptions {
  /** The budget that all archives of a pull share. */
  budget: UnpackBudget;
  signal?: AbortSignal | undefined;
}

function invalid(title: string, why: string, cause?: unknown): InputError {
  return new InputError('ARCHIVE_INVALID', `${title} is not a readable gzipped tar archive: ${why}`, {
    cause,
  });
}

/** Counts the unpacked bytes, and computes their digest if it is checked. */
function meter(title: string, descriptor: Descriptor, budget: UnpackBudget): Transform {
  const wanted = descriptor.annotations?.[CONTENT_DIGEST] ?? '';
  const digester = isDigest(wanted) ? createDigester(digestAlgorithm(wanted)) : undefined;
  return new Transform({
    transform(chunk: Uint8Array, _encoding, done) {
      try {
        budget.take(title, chunk.length);
      } catch (error) {
        return done(error as Error);
      }
      digester?.update(chunk);
      return done(null, chunk);
    },
    flush(done) {
      const actual = digester?.digest();
      if (actual === undefined || actual === wanted) return done();
      return done(
        new IntegrityError(
          'DIGEST_MISMATCH',
          `${title}: the content of the archive has the digest ${actual}, not ${wanted}`,
          {
            details: { expected: wanted, actual },
          },
        ),
      );
    },
  });
}

/** Stages the entries of one archive. */
async function stageEntries(
  archive: Extract,
  staged: StagedFiles,
  title: string,
  { budget, signal }: UnpackOptions,
): Promise<void> {
  const entries = new ArchiveEntries(title);
  const writes = new Tasks(FILES_AT_ONCE);
  const nameOf = (path: string): string => (path === '' ? title : `${title}/${path}`);

  const stageFile = async (target: string, entry: Entry, attributes: FileAttributes): Promise<void> => {
    if (entry.header.size > SMALL_FILE_BYTES) {
      return staged.file(target, entry as AsyncIterable<Uint8Array>, attributes);
    }
    const chunks: Uint8Array[] = [];
    for await (const chunk of entry as AsyncIterable<Uint8Array>) chunks.push(chunk);
    const content = async function* (): AsyncGenerator<Uint8Array> {
      yield Buffer.concat(chunks);
    };
    return writes.start(() => staged.file(target, content(), attributes));
  };

  /** A hard link becomes a copy, whose bytes count once more. */
  const stageHardLink = async (path: string, to: string, attributes: FileAttributes): Promise<void> => {
    const original = entries.hardLinkTarget(path, to);
    budget.take(title, original.sizeBytes);
    await writes.end();
    await staged.copy(nameOf(path), nameOf(original.path), attributes);
    entries.note(path, { kind: 'file', sizeBytes: original.sizeBytes });
  };

  const stageEntry = async (entry: Entry): Promise<void> => {
    const { name, type, mode, mtime: modified, size } = entry.header;
    // It can be null, although its type does not say so.
    const linkname = entry.header.linkname ?? '';
    const path = entries.pathOf(name);
    const target = nameOf(path);
    const attributes = { mode, modified };
    switch (type) {
      case 'file':
      case 'contiguous-file':
        entries.note(path, { kind: 'file', sizeBytes: size });
        return stageFile(target, entry, attributes);
      case 'directory':
        entries.note(path, { kind: 'folder' });
        await staged.folder(target, attributes);
        break;
      case 'symlink':
        if (linkname === '') throw invalid(title, `${name} is a link to nothing`);
        entries.note(path, { kind: 'link', target: linkname });
        await staged.link(target, linkname, attributes);
        break;
      case 'link':
        await stageHardLink(path, linkname, attributes);
        break;
      case 'character-device':
      case 'block-device':
      case 'fifo':
        throw entries.refuseSpecial(name, type);
      default:
        throw invalid(title, `${name} is of a kind that is not known here`);
    }
    entry.resume();
  };

  let count = 0;
  try {
    for await (const entry of archive) {
      signal?.throwIfAborted();
      count += 1;
      if (count > MOST_UNPACK_ENTRIES) {
        throw new IntegrityError('TOO_LARGE', `${title} has more than ${MOST_UNPACK_ENTRIES} entries`);
      }
      await stageEntry(entry);
    }
  } finally {
    // The files may be removed only after the last write.
    await writes.end();
  }
  entries.checkLinks();
}

/**
 * Unpacks a folder's archive into staged files. Every entry must be a file, folder or link within the title's folder, and every link
 * must lead within it. The digests of the blob and of the archive in it are verified.
 * @throws InputError `ARCHIVE_INVALID`, `ARCHIVE_UNSAFE`, `FILE_NAME_DUPLICATE`, `PATH_BLOCKED`; IntegrityError `TOO_LARGE`,
 * `DIGEST_MISMATCH`; what `blob` throws
 */
export async function unpackFolder(
  staged: StagedFiles,
  title: string,
  descriptor: Descriptor,
  blob: AsyncIterable<Uint8Array>,
  options: UnpackOptions,
): Promise<void> {
  const archive = extract();
  const fed = pipeline(Readable.from(blob), createGunzip(), meter(title, descriptor, options.budget), archive);
  const placed = stageEntries(archive, staged, title, options);
  // An error ends the download, too.
  placed.catch((error: unknown) => archive.destroy(error instanceof Error ? error : undefined));
  const ends = await Promise.allSettled([fed, placed]);
  const failures = ends.flatMap((end) => (end.status === 'rejected' ? [end.reason as unknown] : []));
  if (failures.length === 0) return;
  const ours = failures.find((failure) => failure instanceof PromoterError);
  if (ours !== undefined) throw ours;
  options.signal?.throwIfAborted();
  const [first] = failures;
  if (fileErrorCode(first) !== undefined) throw first;
  throw invalid(title, isRecord(first) ? String(first.message) : String(first), first);
}
