import type { BlobRepository, Descriptor, Digest, PromoterError } from '../oci/index.js';
import { parsePlatform, selectPlatform, toGoDescriptor, type WantedPlatform } from '../oras/index.js';

/** What an operation works on. The caller opens it: the command line with a user's credentials, the app with its own. */
export interface Opened {
  repository: BlobRepository;
  /** In an OCI image layout, any text. */
  tag?: string;
  digest?: Digest;
}

/** What an operation reports to. */
export interface Progress<E = never> {
  signal: AbortSignal;
  /** Replaces the text of the run's step. */
  text?: (line: string) => void;
  /** Each thing that the operation does. */
  event?: (event: E) => void;
}

/** What an operation has done. */
export interface OperationResult<T = unknown> {
  /** What the run has to show, as JSON. */
  output: T;
  digest?: Digest;
  /** The output is kept, and the job ends with this error. */
  refusal?: PromoterError;
}

/** The digest counts if there are both. */
export function tagOrDigestOf({ tag, digest }: Pick<Opened, 'tag' | 'digest'>): string {
  return digest ?? tag ?? 'latest';
}

/** Platforms are written in full: an operation does not know the machine of its caller. */
export function platformOf({ platform }: { platform?: string }): { platform?: WantedPlatform } {
  return platform === undefined ? {} : { platform: parsePlatform(platform, '') };
}

/** The manifest that a tag or digest names, or one platform of it. */
export async function resolveRoot(
  opened: Opened,
  input: { platform?: string; mediaTypes?: readonly string[] },
  signal: AbortSignal,
): Promise<Descriptor> {
  const { repository } = opened;
  const options = { signal, ...(input.mediaTypes && { mediaTypes: input.mediaTypes }) };
  const named = await repository.resolve(tagOrDigestOf(opened), options);
  const { platform } = platformOf(input);
  return platform === undefined ? named : selectPlatform(repository, named, platform, options);
}

/** The tag of the reference, unless a digest stands behind it, and the others. */
export function tagsOf({ tag, digest }: Opened, tags: readonly string[] = []): string[] {
  return tag === undefined || digest !== undefined ? [...tags] : [tag, ...tags];
}

/** What the reference says must come out. */
export function digestOf({ digest }: Opened): { digest?: Digest } {
  return digest === undefined ? {} : { digest };
}

/** A descriptor in an output, after the reference that leads to it. */
export function described(name: string, descriptor: Descriptor): Record<string, unknown> {
  return { reference: `${name}@${descriptor.digest}`, ...toGoDescriptor(descriptor) };
}
