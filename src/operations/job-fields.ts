import { z } from 'zod';
import { describeError, isRegistryHost, isRepository, isTag, parseReference, type Reference } from '../oci/index.js';
import { ID, ID_CHARS } from '../messages/id-forms.js';
import { INLINE_BYTES } from '../messages/message-text.js';
import { pathProblem, PATH_CHARS } from './blob-folder.js';

/** The most entries of one list in a job. `JOB_INVALID` */
const MOST_LIST_ENTRIES = 100;
/** The most characters of an annotation's value. `JOB_INVALID` */
const ANNOTATION_CHARS = 8 * 1024;

/**
 * The schema of a reference.
 * @param check returns the problem with the reference, in one line
 */
function reference(check: (reference: Reference) => string | undefined, description: string) {
  return z
    .string({ error: 'missing, or not a text' })
    .superRefine((text, context) => {
      try {
        const problem = check(parseReference(text));
        if (problem !== undefined) context.addIssue({ code: 'custom', message: problem });
      } catch (error) {
        context.addIssue({ code: 'custom', message: describeError(error).message });
      }
    })
    .describe(description);
}

export const id = z
  .string()
  .regex(ID, 'an id has at most 128 letters, digits, dots, dashes, colons and underscores')
  .exactOptional()
  .describe('Your idempotency key: the same id never runs twice. Default: the id of the message');

export const credential = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'write the name of a credential, not the credential itself')
  .exactOptional()
  .describe('The name of a credential in JOB_CREDENTIALS. Default: the app’s identity');

/** A reference with a tag or digest. */
export const artifact = reference(
  ({ tag, digest }) => (tag === undefined && digest === undefined ? 'name a tag or a digest' : undefined),
  'registry/repository:tag or registry/repository@digest',
);

/** The reference of new content. If it has a digest, the content must have that digest. */
export const place = reference(
  () => undefined,
  'registry/repository[:tag], or registry/repository@digest, which the content must have',
);

export const repository = reference(
  ({ tag, digest }) => (tag === undefined && digest === undefined ? undefined : 'name the repository alone'),
  'registry/repository',
);

export const blob = reference(
  ({ tag, digest }) => (digest === undefined || tag !== undefined ? 'name the digest of a blob' : undefined),
  'registry/repository@digest',
);

/** The reference of a new blob. */
export const blobPlace = reference(
  ({ tag, digest }) => (tag === undefined || digest !== undefined ? undefined : 'a blob has no tag'),
  'registry/repository[@digest], which the blob must have',
);

export const promotable = reference(
  ({ tag, digest }) =>
    tag === undefined || digest !== undefined ? 'name a tag and no digest: only tags can be promoted' : undefined,
  'registry/repository:tag',
);

export const registryHost = z
  .string({ error: 'missing, or not a text' })
  .refine(isRegistryHost, 'not a registry host')
  .describe('The host of a registry, with its port');

export const namespace = z
  .string()
  .refine(isRepository, 'not a namespace')
  .exactOptional()
  .describe('Only repositories below it');

export const last = z
  .string()
  .min(1)
  .max(ID_CHARS)
  .exactOptional()
  .describe('Only names after this one in the registry’s order');

export const platform = z
  .string()
  .max(100)
  .regex(/^[A-Za-z0-9]+\/[A-Za-z0-9_]+(?:\/[A-Za-z0-9.]+)?(?::[\w.-]+)?$/, 'write it as os/arch[/variant][:os_version]')
  .exactOptional()
  .describe('os/arch[/variant][:os_version]: this child of an index');

export const distributionSpec = z
  .enum(['v1.1-referrers-api', 'v1.1-referrers-tag'])
  .exactOptional()
  .describe('How the registry stores referrers. By default the registry is asked');

const mediaTypeText = z
  .string()
  .max(255)
  .regex(/^[A-Za-z0-9][\w!#$&\-^.+]*\/[A-Za-z0-9][\w!#$&\-^.+]*$/, 'write it as type/subtype');

export const mediaType = mediaTypeText.exactOptional().describe('A media type');

export const mediaTypes = z
  .array(mediaTypeText)
  .min(1)
  .max(MOST_LIST_ENTRIES)
  .exactOptional()
  .describe('Accept only these media types of manifests; by default all');

export const artifactType = mediaTypeText.exactOptional().describe('The type of the artifact');

export const requiredArtifactType = mediaTypeText.describe('The type of the artifact');

export const excludeArtifactTypes = z
  .array(mediaTypeText)
  .max(100)
  .exactOptional()
  .describe('Artifact types of referrers to leave out');

const tagList = z.array(z.string().refine(isTag, 'not a tag')).max(MOST_LIST_ENTRIES);

export const tags = tagList.exactOptional().describe('More tags');

export const someTags = tagList.min(1, 'name one or more tags').describe('The tags');

const tagOrDigest = z
  .string()
  .max(200)
  .refine((text) => isTag(text) || isDigestText(text), 'neither a tag nor a digest');

export const manifests = z.array(tagOrDigest).max(MOST_LIST_ENTRIES);

const digestText = z.string().refine(isDigestText, 'neither a sha256 nor a sha512 digest');

export const digests = z.array(digestText).max(MOST_LIST_ENTRIES);

function isDigestText(text: string): boolean {
  return /^(?:sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128})$/.test(text);
}

export const annotations = z
  .record(z.string().min(1).max(ID_CHARS), z.string().max(ANNOTATION_CHARS))
  .refine((map) => Object.keys(map).length <= MOST_LIST_ENTRIES, `more than ${MOST_LIST_ENTRIES} annotations`)
  .exactOptional()
  .describe('Annotations of the manifest');

export const concurrency = z.int().min(1).max(64).exactOptional().describe('Requests at once');

export const flag = z.boolean().exactOptional();

const path = z
  .string({ error: 'missing, or not a text' })
  .min(1)
  .max(PATH_CHARS)
  .superRefine((text, context) => {
    const message = pathProblem(text);
    if (message !== undefined) context.addIssue({ code: 'custom', message });
  });

/** The schema of a file in a job: a blob of the container `source`, or inline content. */
const file = z
  .strictObject({
    path: path.describe('The name of a blob or of a folder of blobs in the container “source”; also the file’s title'),
    mediaType,
    text: z.string().exactOptional().describe('The content, instead of a blob'),
    base64: z.base64('not base64').exactOptional().describe('The content in base64, instead of a blob'),
    annotations: annotations.describe('Annotations of the file'),
  })
  .refine(({ text, base64 }) => text === undefined || base64 === undefined, 'either text or base64')
  .refine((entry) => !entry.path.endsWith('/'), 'name a file, not a folder');
export type JobFile = z.output<typeof file>;

/** The inline content of a file. Undefined for a blob. */
export function inlineBytes({ text, base64 }: Pick<JobFile, 'text' | 'base64'>): Buffer | undefined {
  if (text !== undefined) return Buffer.from(text, 'utf8');
  return base64 === undefined ? undefined : Buffer.from(base64, 'base64');
}

function isSmall(files: readonly JobFile[]): boolean {
  return files.reduce((sum, each) => sum + (inlineBytes(each)?.length ?? 0), 0) <= INLINE_BYTES;
}
const TOO_LARGE = `more than ${INLINE_BYTES} bytes in the job itself: put them into the container "source"`;

export const oneFile = file.refine((each) => isSmall([each]), TOO_LARGE);
const files = z
  .array(file)
  .max(MOST_LIST_ENTRIES)
  .refine(isSmall, TOO_LARGE)
  .refine((list) => new Set(list.map((each) => each.path)).size === list.length, 'two files of one name')
  .default([])
  .describe('Files, in their order');
export const outputPrefix = path
  .refine((text) => !text.endsWith('/'), 'must not end with a slash')
  .exactOptional()
  .describe('The folder in the container “target”. Default: the run’s id');

/** The files that push and attach pack. */
export const packing = {
  files,
  annotations,
  configAnnotations: annotations.describe('Annotations of the config'),
  config: oneFile.exactOptional().describe('The config'),
  concurrency,
};
