import { pushPacked, type PackedArtifact, type Repository } from '../oci/index.js';
import type { SourceRepository } from '../rules/rule.js';
import { writeAtDestination, writeAtSource } from '../transfer/refused-write.js';
import { atSource } from '../transfer/source-gone.js';

/** What something is attached for, and where: at the source by default. */
export interface Attaching {
  /** The command line has no runs. */
  runId?: string;
  source: SourceRepository;
  at?: SourceRepository | undefined;
}

/** Pushes what refers to a subject. @throws ConfigurationError `SOURCE_NOT_WRITABLE`; PolicyError `DESTINATION_LOCKED` */
export async function attachPacked(
  { at }: Attaching,
  repository: Repository,
  packed: PackedArtifact,
  signal: AbortSignal,
): Promise<void> {
  const push = (): Promise<unknown> => pushPacked(repository, packed, { signal });
  await (at === undefined ? writeAtSource(repository.name, push) : writeAtDestination(repository.name, push));
}

/** Reads what something is attached to. @throws MissingAtSource where the source doesn't have it */
export function readAt<T>({ at }: Attaching, read: () => Promise<T>): Promise<T> {
  return at === undefined ? atSource(read) : read();
}
