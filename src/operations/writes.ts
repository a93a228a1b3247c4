import type { JobOf } from './job-schema.js';
import type { JobFile } from './job-file-fields.js';
import { InputError, type Digest } from '../oci/index.js';
import {
  attachFiles,
  createIndex,
  pushBlob as putBlob,
  pushFiles,
  pushManifest as putManifest,
  tagManifest,
  updateIndex as changeIndex,
  type ArtifactOptions,
  type FileReference,
  type FileSource,
} from '../oras/index.js';
import { checkIsFile, jobFileSource, readFile } from './files.js';
import {
  described,
  platformOf,
  resolveTarget,
  tagOrDigestOf,
  targetOf,
  type Operation,
  type Target,
} from './operation.js';
import { subjectLease, underLease } from '../transfer/under-lease.js';

// What puts something there. Each may be done twice: the same parts make the same bytes.

const TITLE = 'org.opencontainers.image.title';
/** Of a folder's archive. */
const UNPACK = 'io.deis.oras.content.unpack';

function reference({ path, mediaType }: JobFile): FileReference {
  return { path, ...(mediaType !== undefined && { mediaType }) };
}

type Packing = Pick<
  JobOf<'push'>,
  'files' | 'annotations' | 'configAnnotations' | 'config' | 'artifactType' | 'concurrency'
>;

/** What push and attach have in common, in the words of src/oras. */
function packingOf(job: Packing, signal: AbortSignal): ArtifactOptions {
  const { annotations: manifest, configAnnotations: config, artifactType, concurrency } = job;
  const files = new Map(job.files.flatMap((file) => (file.annotations ? [[file.path, file.annotations]] : [])));
  return {
    signal,
    files: job.files.map(reference),
    annotations: { files, ...(manifest && { manifest }), ...(config && { config }) },
    ...(job.config && { config: reference(job.config) }),
    ...(artifactType !== undefined && { artifactType }),
    ...(concurrency !== undefined && { concurrency }),
  };
}

function filesOf({ files, config }: Packing): JobFile[] {
  return config === undefined ? files : [...files, config];
}

/**
 * A file, and another that stands below its name, have no place in one folder: nobody could pull them.
 * @throws InputError `FILE_NAME_DUPLICATE`
 */
async function checkNames(source: FileSource, files: readonly JobFile[]): Promise<void> {
  const titled = files.map((file) => ({ file, title: file.annotations?.[TITLE] ?? file.path }));
  for (const { file, title } of titled) {
    const below = titled.find((other) => other.title.startsWith(`${title}/`));
    // A folder, and an archive that is unpacked to one, may have more put into it.
    if (below === undefined || file.annotations?.[UNPACK] === 'true') continue;
    if ((await source.stat(file.path)).kind === 'folder') continue;
    throw new InputError(
      'FILE_NAME_DUPLICATE',
      `${title} is a file, and ${below.title} would be in a folder of that name`,
      {
        remedy: 'Give one of them another name, or a title (the annotation org.opencontainers.image.title).',
      },
    );
  }
}

/** The reference's own tag, where it counts, and the others. */
function tagsOf({ tag, digest }: Target, tags: readonly string[] = []): string[] {
  return tag === undefined || digest !== undefined ? [...tags] : [tag, ...tags];
}

/** What must come out of it, where the reference says so. */
function digestOf({ digest }: Target): { digest?: Digest } {
  return digest === undefined ? {} : { digest };
}

export const tag: Operation<'tag'> = async ({ ports, job, signal }) => {
  const target = targetOf(ports, job.reference);
  const { repository } = target;
  const { concurrency } = job;
  const descriptor = await tagManifest(repository, tagOrDigestOf(target), job.tags, {
    signal,
    ...(concurrency !== undefined && { concurrency }),
  });
  return { output: { ...described(repository.name, descriptor), tags: job.tags }, digest: descriptor.digest };
};

export const push: Operation<'push'> = async ({ ports, job, signal, progress }) => {
  const target = targetOf(ports, job.reference);
  const { repository } = target;
  const { artifactPlatform, imageSpec } = job;
  const files = jobFileSource(ports.files, filesOf(job));
  await checkNames(files, job.files);
  const { descriptor, tags } = await pushFiles(
    { repository, files },
    {
      ...packingOf(job, signal),
      ...digestOf(target),
      tags: tagsOf(target, job.tags),
      ...platformOf(artifactPlatform === undefined ? {} : { platform: artifactPlatform }),
      ...(imageSpec !== undefined && { imageSpec }),
    },
  );
  progress.text(`pushed ${repository.name}@${descriptor.digest}`);
  return { output: { ...described(repository.name, descriptor), tags }, digest: descriptor.digest };
};

/** Under the subject's lease, as everything that is attached. */
export const attach: Operation<'attach'> = async ({ ports, job, signal, progress }) => {
  const target = targetOf(ports, job.reference);
  const { repository, name } = target;
  const subject = await resolveTarget(target, job, signal);
  const lease = subjectLease(name.registry, name.repository, subject.digest);
  const reply = await underLease(ports, lease, signal, async (held) => {
    const files = jobFileSource(ports.files, filesOf(job));
    await checkNames(files, job.files);
    const { artifactType } = job;
    return attachFiles({ repository, files }, subject, { ...packingOf(job, held), artifactType });
  });
  if ('later' in reply) return reply;
  const { descriptor } = reply.done;
  progress.text(`attached ${descriptor.digest} to ${subject.digest}`);
  const output = { ...described(repository.name, descriptor), subject: described(repository.name, subject) };
  return { output, digest: descriptor.digest };
};

export const pushManifest: Operation<'manifest.push'> = async ({ ports, job, signal }) => {
  const target = targetOf(ports, job.reference);
  const { repository } = target;
  const { mediaType = job.file.mediaType } = job;
  const bytes = await readFile(jobFileSource(ports.files, [job.file]), job.file.path);
  const tags = tagsOf(target, job.tags);
  const descriptor = await putManifest(repository, bytes, {
    signal,
    tags,
    ...digestOf(target),
    ...(mediaType !== undefined && { mediaType }),
  });
  return { output: { ...described(repository.name, descriptor), tags }, digest: descriptor.digest };
};

export const makeIndex: Operation<'manifest.index.create'> = async ({ ports, job, signal }) => {
  const target = targetOf(ports, job.reference);
  const { repository } = target;
  const { artifactType, annotations } = job;
  const tags = tagsOf(target, job.tags);
  const { descriptor } = await createIndex(repository, job.manifests, {
    signal,
    tags,
    ...digestOf(target),
    ...(artifactType !== undefined && { artifactType }),
    ...(annotations && { annotations }),
  });
  return { output: { ...described(repository.name, descriptor), tags }, digest: descriptor.digest };
};

/** A tag moves on to the new index; the one that was there stays under its digest. */
export const updateIndex: Operation<'manifest.index.update'> = async ({ ports, job, signal }) => {
  const target = targetOf(ports, job.reference);
  const { repository } = target;
  const { add, merge, remove, artifactType } = job;
  const tags = tagsOf(target, job.tags);
  const { descriptor } = await changeIndex(repository, tagOrDigestOf(target), {
    signal,
    tags,
    ...(add && { add }),
    ...(merge && { merge }),
    ...(remove && { remove }),
    ...(artifactType !== undefined && { artifactType }),
  });
  return { output: { ...described(repository.name, descriptor), tags }, digest: descriptor.digest };
};

export const pushBlob: Operation<'blob.push'> = async ({ ports, job, signal }) => {
  const target = targetOf(ports, job.reference);
  const { repository } = target;
  const { path, mediaType } = job.file;
  const { size } = job;
  const source = jobFileSource(ports.files, [job.file]);
  await checkIsFile(source, path);
  const descriptor = await putBlob(repository, () => source.open(path), {
    signal,
    ...digestOf(target),
    ...(size !== undefined && { size }),
    ...(mediaType !== undefined && { mediaType }),
  });
  return { output: described(repository.name, descriptor), digest: descriptor.digest };
};
