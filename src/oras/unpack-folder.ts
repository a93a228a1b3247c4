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
import { ArchiveEntries } from './archive-entries.js';
import { fileErrorCode } from './file-error.js';
import type { StagedFiles } from './file-sink.js';
import { ORAS_LIMITS } from './limits.js';
import { CONTENT_DIGEST } from './load-layers.js';

type Entry = Extract extends AsyncIterable<infer E> ? E : never;

export interface UnpackOptions {
  /** Most bytes that an archive may unpack to. As it comes both a fixed bound and one in proportion to its size. */
  limitBytes?: number;
  signal?: AbortSignal;
  /** Told of devices and the like, which are left out. */
  onLeftOut?: (name: string) => void;
}

function limitFor(descriptor: Descriptor, { limitBytes }: UnpackOptions): number {
  if (limitBytes !== undefined) return limitBytes;
  const inProportion = Math.max(ORAS_LIMITS.unpackFreeBytes, descriptor.size * ORAS_LIMITS.unpackRatio);
  return Math.min(ORAS_LIMITS.unpackBytes, inProportion);
}

function tooLarge(title: string, limitBytes: number): IntegrityError {
  return new IntegrityError('TOO_LARGE', `${title} unpacks to more than ${limitBytes} bytes`, {
    details: { limitBytes },
    remedy: 'If you trust it, allow more with --unpack-limit.',
  });
}

function invalid(title: string, why: string, cause?: unknown): InputError {
  return new InputError('ARCHIVE_INVALID', `${title} is no gzipped tar archive that can be unpacked: ${why}`, {
    cause,
  });
}

/** Counts what comes out of an archive, and takes its digest where one is wanted. */
function meter(title: string, descriptor: Descriptor, limitBytes: number): Transform {
  const wanted = descriptor.annotations?.[CONTENT_DIGEST] ?? '';
  const digester = isDigest(wanted) ? createDigester(digestAlgorithm(wanted)) : undefined;
  let count = 0;
  return new Transform({
    transform(chunk: Uint8Array, _encoding, done) {
      count += chunk.length;
      if (count > limitBytes) return done(tooLarge(title, limitBytes));
      digester?.update(chunk);
      return done(null, chunk);
    },
    flush(done) {
      const actual = digester?.digest();
      if (actual === undefined || actual === wanted) return done();
      return done(
        new IntegrityError(
          'DIGEST_MISMATCH',
          `${title}: what is in the archive has the digest ${actual}, not ${wanted}`,
          {
            details: { expected: wanted, actual },
          },
        ),
      );
    },
  });
}

async function place(
  entry: Entry,
  entries: ArchiveEntries,
  staged: StagedFiles,
  title: string,
  budget: { bytes: number },
  onLeftOut: UnpackOptions['onLeftOut'],
): Promise<void> {
  const { name, type, linkname, mode, mtime: modified, size } = entry.header;
  const path = entries.pathOf(name);
  const target = path === '' ? title : `${title}/${path}`;
  const attributes = { ...(mode !== undefined && { mode }), ...(modified && { modified }) };
  switch (type) {
    case 'directory':
      entries.note(path, { kind: 'folder' });
      await staged.folder(target, attributes);
      break;
    case 'file':
    case 'contiguous-file':
      await staged.file(target, entry as AsyncIterable<Uint8Array>, attributes);
      entries.note(path, { kind: 'file', sizeBytes: size });
      return;
    case 'symlink':
      entries.note(path, { kind: 'link', target: linkname ?? '' });
      await staged.link(target, linkname ?? '', attributes);
      break;
    case 'link': {
      const original = entries.hardLinkTarget(path, linkname ?? '');
      budget.bytes -= original.sizeBytes;
      if (budget.bytes < 0) throw tooLarge(title, ORAS_LIMITS.unpackBytes);
      await staged.copy(target, `${title}/${original.path}`, attributes);
      entries.note(path, { kind: 'file', sizeBytes: original.sizeBytes });
      break;
    }
    case 'character-device':
    case 'block-device':
    case 'fifo':
      onLeftOut?.(target);
      break;
    default:
      throw invalid(title, `${name} is of a kind that is not known here`);
  }
  entry.resume();
}

async function placeAll(
  archive: Extract,
  staged: StagedFiles,
  title: string,
  limitBytes: number,
  options: UnpackOptions,
): Promise<void> {
  const entries = new ArchiveEntries(title);
  const budget = { bytes: limitBytes };
  let count = 0;
  for await (const entry of archive) {
    options.signal?.throwIfAborted();
    count += 1;
    if (count > ORAS_LIMITS.unpackEntries) {
      throw new IntegrityError('TOO_LARGE', `${title} has more than ${ORAS_LIMITS.unpackEntries} entries`);
    }
    await place(entry, entries, staged, title, budget, options.onLeftOut);
  }
  entries.checkLinks();
}

/**
 * Unpacks a folder's archive into staged files. Every entry stays within the title's folder, every link leads within it; devices
 * are left out. The blob's digest and that of the archive in it are right, or it throws.
 * @throws InputError `ARCHIVE_INVALID`, `ARCHIVE_UNSAFE`, `FILE_NAME_DUPLICATE`, `PATH_BLOCKED`; IntegrityError `TOO_LARGE`,
 * `DIGEST_MISMATCH`; what `blob` throws
 */
export async function unpackFolder(
  staged: StagedFiles,
  title: string,
  descriptor: Descriptor,
  blob: AsyncIterable<Uint8Array>,
  options: UnpackOptions = {},
): Promise<void> {
  const limitBytes = limitFor(descriptor, options);
  const archive = extract();
  const fed = pipeline(Readable.from(blob), createGunzip(), meter(title, descriptor, limitBytes), archive);
  const placed = placeAll(archive, staged, title, limitBytes, options);
  // A refusal ends the download, too.
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
