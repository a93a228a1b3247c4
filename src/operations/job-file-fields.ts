import { z } from 'zod';
import { annotations, concurrency, mediaType, MOST_LIST_ENTRIES } from './job-fields.js';
import { pathProblem, PATH_CHARS } from './job-path.js';
import { INLINE_BYTES } from '../messages/message-text.js';

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
