import {
  CopyError,
  EMPTY_DESCRIPTOR,
  InputError,
  parseManifest,
  type CallOptions,
  type Descriptor,
  type ReadableRepository,
  mapConcurrently,
} from '../oci/index.js';
import { asFileError } from './file-system.js';
import type { FileReference } from './file-reference.js';
import type { FileSink, StagedFiles } from './file-sink.js';
import { UNPACK } from './load-layers.js';
import { countMoving, type Moving } from './moving.js';
import { TITLE } from './pack-artifact.js';
import { UnpackBudget } from './unpack-budget.js';
import { unpackFolder } from './unpack-folder.js';

/** The most levels of indexes and of subjects that are pulled. `GRAPH_TOO_DEEP` */
const PULL_DEPTH = 16;
/** The most manifests of one pull. `GRAPH_TOO_WIDE` */
const MOST_PULL_MANIFESTS = 10_000;

export type PullProgress =
  { state: 'downloading' | 'processing' | 'downloaded' | 'restored' | 'skipped'; descriptor: Descriptor } | Moving;

export interface PullPorts {
  repository: ReadableRepository;
  files: FileSink;
}

export interface PullOptions extends CallOptions {
  /** The file name of the first config, if it has this media type. Default: configs are not pulled. */
  config?: FileReference;
  /** Pulls the subject of the artifact as well. Default: false. */
  includeSubject?: boolean | undefined;
  /** Files at once. Default: 3. */
  concurrency?: number | undefined;
  /** The most bytes of unpacked archives, including copies of equal files. */
  unpackLimitBytes?: number;
  onProgress?: ((progress: PullProgress) => void) | undefined;
}

export interface PulledFile {
  /** The path of the file; of a folder with a slash at the end. */
  path: string;
  descriptor: Descriptor;
}

export interface Pulled {
  root: Descriptor;
  /** In the order of the manifests. Configs are not among them. */
  files: PulledFile[];
  /** True if content without a name was not pulled. */
  skipped: boolean;
}

interface Named {
  descriptor: Descriptor;
  title: string;
  isConfig: boolean;
}

/** What a pull finds from the root on. */
interface Survey {
  /** Each after what it contains. */
  manifests: Descriptor[];
  /** Content with a name, in the order of the manifests. */
  files: Named[];
  skipped: boolean;
}

const CONCURRENCY = 3;

function titleOf({ annotations }: Descriptor): string {
  return annotations?.[TITLE] ?? '';
}

function isEmpty({ digest, size }: Descriptor): boolean {
  return digest === EMPTY_DESCRIPTOR.digest && size === EMPTY_DESCRIPTOR.size;
}

function keyOf({ mediaType, digest }: Descriptor): string {
  return `${digest} ${mediaType}`;
}

/** Reads manifests from the root on, and finds content with a name. */
async function survey(repository: ReadableRepository, root: Descriptor, options: PullOptions): Promise<Survey> {
  const { config, includeSubject = false, onProgress, signal } = options;
  const found: Survey = { manifests: [], files: [], skipped: false };
  const seen = new Set<string>();
  let isConfigTaken = false;

  const isNew = (descriptor: Descriptor): boolean => {
    const before = seen.size;
    return seen.add(keyOf(descriptor)).size > before;
  };
  const namedIn = (descriptor: Descriptor, isConfig: boolean): Named[] => {
    const title = titleOf(descriptor);
    if (title !== '') return [{ descriptor, title, isConfig }];
    if (isEmpty(descriptor)) return [];
    found.skipped = true;
    if (isNew(descriptor)) onProgress?.({ state: 'skipped', descriptor });
    return [];
  };
  const namedConfig = (descriptor: Descriptor): Named[] => {
    const isFirst = !isConfigTaken;
    isConfigTaken = true;
    const isWanted =
      isFirst && config !== undefined && (config.mediaType ?? descriptor.mediaType) === descriptor.mediaType;
    const { annotations } = descriptor;
    return namedIn(
      isWanted ? { ...descriptor, annotations: { ...annotations, [TITLE]: config.path } } : descriptor,
      true,
    );
  };
  const visit = async (descriptor: Descriptor, depth: number): Promise<void> => {
    if (!isNew(descriptor)) return;
    if (depth > PULL_DEPTH) throw tooMuch('GRAPH_TOO_DEEP', descriptor, PULL_DEPTH, 'levels');
    if (found.manifests.length >= MOST_PULL_MANIFESTS) {
      throw tooMuch('GRAPH_TOO_WIDE', descriptor, MOST_PULL_MANIFESTS, 'manifests');
    }
    onProgress?.({ state: 'downloading', descriptor });
    const { bytes } = await repository.fetchManifest(descriptor, { signal });
    onProgress?.({ state: 'processing', descriptor });
    const manifest = parseManifest(bytes, descriptor.mediaType, `${repository.name}@${descriptor.digest}`);
    const leaves = manifest.kind === 'image' ? manifest.layers : manifest.kind === 'artifact' ? manifest.blobs : [];
    const own = leaves.flatMap((leaf) => namedIn(leaf, false));
    if (manifest.kind === 'image') own.push(...namedConfig(manifest.config));
    const below = manifest.kind === 'index' ? [...manifest.manifests] : [];
    if (manifest.subject && includeSubject) below.push(manifest.subject);
    // They have no name: oras counts them as skipped.
    if (below.length > 0) found.skipped = true;
    for (const child of below) await visit(child, depth + 1);
    found.manifests.push(descriptor);
    found.files.push(...own);
  };
  await visit(root, 0);
  return found;
}

function tooMuch(code: string, { digest }: Descriptor, limit: number, what: string): CopyError {
  return new CopyError(code, `the graph has more than ${limit} ${what}, at ${digest}`, { details: { digest, limit } });
}

/** Removes duplicates: the same content under the same name in two manifests is one file. */
function distinct(all: readonly Named[], files: FileSink): Named[] {
  const byPath = new Map<string, Named>();
  for (const named of all) {
    const path = files.locate(named.title);
    const there = byPath.get(path);
    if (there !== undefined && keyOf(there.descriptor) !== keyOf(named.descriptor)) {
      throw new InputError('FILE_NAME_DUPLICATE', `${named.title}: duplicate name`, {
        remedy: 'Copy it to an OCI image layout instead (copy --to-oci-layout): blobs have no names there.',
      });
    }
    if (there === undefined) byPath.set(path, named);
  }
  return [...byPath.values()];
}

/** Downloads content once, and copies it to its other names. @param same the names of content with one digest */
async function download(
  repository: ReadableRepository,
  staged: StagedFiles,
  same: readonly Named[],
  { budget, signal, onProgress }: PullOptions & { budget: UnpackBudget },
): Promise<void> {
  const call = { signal };
  let original: string | undefined;
  for (const [index, { descriptor, title }] of same.entries()) {
    const isFolder = descriptor.annotations?.[UNPACK] === 'true';
    if (index === 0) onProgress?.({ state: 'downloading', descriptor });
    if (!isFolder && original !== undefined) {
      budget.take(title, descriptor.size);
      await staged.copy(title, original);
    } else {
      const opened = await repository.openBlob(descriptor, call);
      const blob = countMoving(opened, descriptor, (moving) => onProgress?.(moving));
      if (isFolder) await unpackFolder(staged, title, descriptor, blob, { ...call, budget });
      else await staged.file(title, blob);
    }
    if (!isFolder) original ??= title;
    onProgress?.({ state: index === 0 ? 'downloaded' : 'restored', descriptor });
  }
}

/**
 * Pulls the content of an artifact that has a name: all of it or nothing. Sizes and digests are verified, names and links stay in the
 * folder, folders are unpacked.
 * @param root the manifest of a tag or digest, or one platform of it (`selectPlatform`); an index is pulled with all its manifests
 * @throws InputError `PATH_OUTSIDE`, `FILE_NAME_DUPLICATE`, `FILE_EXISTS`, `PATH_BLOCKED`; CopyError
 * `GRAPH_TOO_DEEP`, `GRAPH_TOO_WIDE`; as {@link unpackFolder}; what the repository throws
 */
export async function pullFiles(
  { repository, files }: PullPorts,
  root: Descriptor,
  options: PullOptions = {},
): Promise<Pulled> {
  const { signal, onProgress } = options;
  const found = await survey(repository, root, options);
  const wanted = distinct(found.files, files);
  const staged = await files.begin().catch((error: unknown) => {
    throw asFileError(error);
  });
  try {
    const groups = [...Map.groupBy(wanted, ({ descriptor }) => descriptor.digest).values()];
    const downloadedBytes = groups.reduce((sum, [first]) => sum + (first?.descriptor.size ?? 0), 0);
    const budget = new UnpackBudget(downloadedBytes, options.unpackLimitBytes);
    await mapConcurrently(groups, options.concurrency ?? CONCURRENCY, (same) =>
      download(repository, staged, same, { ...options, budget }),
    );
    signal?.throwIfAborted();
    await staged.commit();
  } catch (error) {
    await staged.discard();
    throw asFileError(error);
  }
  for (const descriptor of found.manifests) onProgress?.({ state: 'downloaded', descriptor });
  return {
    root,
    files: wanted
      .filter(({ isConfig }) => !isConfig)
      .map(({ descriptor, title }) => {
        const isFolder = descriptor.annotations?.[UNPACK] === 'true';
        return { path: `${files.locate(title)}${isFolder ? '/' : ''}`, descriptor };
      }),
    skipped: found.skipped,
  };
}
