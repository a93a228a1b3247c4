import type { z } from 'zod';
import type { InputOf } from './operation-schema.js';
import type { BlobRepository, Descriptor, Digest, PromoterError, ReadableRepository } from '../oci/index.js';
import { parsePlatform, selectPlatform, toGoDescriptor, type WantedPlatform } from '../oras/index.js';

/**
 * The repository of an operation. The caller opens it: the command line with a user's credentials, the app with its
 * own.
 */
export interface Opened {
  repository: BlobRepository;
  /** In an OCI image layout, a tag may be any text. */
  tag?: string | undefined;
  digest?: Digest | undefined;
}

/** Receives the progress of an operation. */
export interface Progress<E = never> {
  signal: AbortSignal;
  /** Replaces the progress text of the run's step. */
  text?: (line: string) => void;
  /** Receives each action of the operation. */
  event?: (event: E) => void;
}

/** The result of an operation. */
export interface OperationResult<T = unknown> {
  /** The output of the run, as JSON. */
  output: T;
  digest?: Digest | undefined;
  /** If set, the job ends with this error. Its output is stored nevertheless. */
  refusal?: PromoterError;
}

/**
 * What `run` of an operation is: the caller opens the repository, and gives files and takes progress in its own way.
 * @typeParam S the schema of its input
 */
export type Operation<
  S extends { fields: z.ZodType },
  Files = undefined,
  Event = never,
  Result = OperationResult,
  Open = Opened,
> = (opened: Open, input: InputOf<S>, files: Files, progress: Progress<Event>) => Promise<Result>;

/** The digest if there is one, otherwise the tag. */
export function tagOrDigestOf({ tag, digest }: Pick<Opened, 'tag' | 'digest'>): string {
  return digest ?? tag ?? 'latest';
}

/** Parses a platform. It must be complete, because an operation does not know the caller's machine. */
export function platformOf({ platform }: { platform?: string }): { platform?: WantedPlatform } {
  return platform === undefined ? {} : { platform: parsePlatform(platform, '') };
}

/** The manifest that a tag or digest names, or one platform of it. */
export async function resolveRoot(
  opened: Pick<Opened, 'tag' | 'digest'> & { repository: ReadableRepository },
  input: { platform?: string; mediaTypes?: readonly string[] },
  signal: AbortSignal,
): Promise<Descriptor> {
  const { repository } = opened;
  const options = { signal, ...(input.mediaTypes && { mediaTypes: input.mediaTypes }) };
  const named = await repository.resolve(tagOrDigestOf(opened), options);
  const { platform } = platformOf(input);
  return platform === undefined ? named : selectPlatform(repository, named, platform, options);
}

/** The tag of the reference, if it has no digest, and the other tags. */
export function tagsOf({ tag, digest }: Opened, tags: readonly string[] = []): string[] {
  return tag === undefined || digest !== undefined ? [...tags] : [tag, ...tags];
}

/** The digest that the result must have. */
export function digestOf({ digest }: Opened): { digest?: Digest } {
  return digest === undefined ? {} : { digest };
}

/** A descriptor in an output, with its full reference. */
export function described(name: string, descriptor: Descriptor): Record<string, unknown> {
  return { reference: `${name}@${descriptor.digest}`, ...toGoDescriptor(descriptor) };
}
