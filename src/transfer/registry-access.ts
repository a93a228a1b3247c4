import { resolveIfThere } from '../oras/index.js';
import {
  PromoterError,
  RegistryError,
  formatReference,
  type Descriptor,
  type ReadableRepository,
  type HeldLease,
  ConfigurationError,
  PolicyError,
  pushPacked,
  type PackedArtifact,
  type Repository,
} from '../oci/index.js';
import type { SourceRepository } from '../rules/rule.js';
import type { Ports } from '../ports/ports.js';
import type { StepReply } from '../ports/step.js';

/** Something was not found at the source: it may be gone, or only late. */
export class MissingAtSource extends PromoterError {
  /** It was deleted, and the registry said so: nobody waits for it. */
  readonly isReported: boolean;

  constructor(message: string, cause?: unknown, isReported = false) {
    super('SOURCE_GONE', message, {
      cause,
      remedy:
        'If it was deleted on purpose, do nothing; the promoted copy stays. Otherwise push it again; that starts the next run.',
    });
    this.isReported = isReported;
  }
}

/** Reads at the source. @throws MissingAtSource where it isn't there */
export async function atSource<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof RegistryError && error.notFound)) throw error;
    throw new MissingAtSource(error.message, error);
  }
}

/** The tag that a run is about is not there. */
export function missingTag(source: { registry: string; repository: string; tag: string }): MissingAtSource {
  return new MissingAtSource(`${formatReference(source)} is not there`);
}

/** The same, and its deletion was reported. */
export function deletedTag(source: { registry: string; repository: string; tag: string }): MissingAtSource {
  return new MissingAtSource(`${formatReference(source)} was deleted`, undefined, true);
}

/** True if the repository has a manifest. A list of the tag schema, which anybody may write, may name what it does not have. */
export async function isThere(
  repository: Pick<ReadableRepository, 'resolve'>,
  { digest }: Pick<Descriptor, 'digest'>,
  signal: AbortSignal,
): Promise<boolean> {
  return (await resolveIfThere(repository, digest, { signal })) !== undefined;
}

/** Pause before a lease is asked for again, in milliseconds. */
const LEASE_PAUSE_MS = 2_000;

/** The lease of a subject: whatever is attached to it is made under this one. */
export function subjectLease(registry: string, repository: string, digest: string): string {
  return `subject ${registry}/${repository}@${digest}`;
}

export function destinationLease(destination: string): string {
  return `destination ${destination}`;
}

/** Works under a lease, and asks to be called again where another holds it: no activity sits and waits. */
export async function underLease<T>(
  ports: Pick<Ports, 'lease'>,
  name: string,
  signal: AbortSignal,
  work: (signal: AbortSignal, lease: HeldLease) => Promise<T>,
): Promise<StepReply<T>> {
  const lease = await ports.lease.acquire(name, { signal });
  if (lease === undefined) return { retryAfterMs: LEASE_PAUSE_MS };
  try {
    return { done: await work(AbortSignal.any([signal, lease.signal]), lease) };
  } finally {
    await lease.release();
  }
}

/** No token that allows it, no permission; a repository or a tag that is locked (ACR: 405, others: 409). */
const NO_PERMISSION = [401, 403];
const LOCKED = [405, 409];

/** How a registry refused to take something; undefined where that is not why it failed. */
function refusalOf(error: unknown): RegistryError | undefined {
  // A copy's error has the registry's as its cause.
  for (let [cause, depth] = [error, 0]; cause instanceof PromoterError && depth < 10; depth += 1) {
    if (cause instanceof RegistryError) {
      const { method, status, url } = cause.info;
      // Refused for where the app stands, not for what it writes.
      if (cause.code === 'REGISTRY_FIREWALL') return undefined;
      // A refused sign-in is no refused write.
      const isWrite = method !== 'GET' && method !== 'HEAD' && new URL(url).pathname.startsWith('/v2/');
      return isWrite && [...NO_PERMISSION, ...LOCKED].includes(status) ? cause : undefined;
    }
    ({ cause } = cause);
  }
  return undefined;
}

/** Writes at a rule's source. @throws ConfigurationError `SOURCE_NOT_WRITABLE` where that is not allowed there */
async function writeAtSource<T>(reference: string, write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    const refusal = refusalOf(error);
    if (refusal === undefined || refusal.info.status === 409) throw error;
    const why = LOCKED.includes(refusal.info.status) ? 'is locked' : 'may not be written by this identity';
    throw new ConfigurationError('SOURCE_NOT_WRITABLE', `${reference} ${why}: ${refusal.message}`, {
      cause: error,
      remedy:
        'Let the identity push there (docs/how-to/deploy.md), unlock the repository, or give the rule "attachTo": "destination": SBOMs and signatures are then attached at the destination, and the source is only read.',
    });
  }
}

/**
 * Writes at a destination. @param isLocked asked where a refusal can also mean a permission that is lacking
 * @throws PolicyError `DESTINATION_LOCKED`
 */
export async function writeAtDestination<T>(
  reference: string,
  write: () => Promise<T>,
  isLocked: () => Promise<boolean> = async () => false,
): Promise<T> {
  try {
    return await write();
  } catch (error) {
    const refusal = refusalOf(error);
    if (refusal === undefined || !(LOCKED.includes(refusal.info.status) || (await isLocked()))) throw error;
    throw new PolicyError('DESTINATION_LOCKED', `${reference} is locked: ${refusal.message}`, {
      cause: error,
      remedy:
        'Unlock it (az acr repository update --write-enabled true): the schedule sees that, where the registry shows its locks, and looks again once a day in any case. Or ask for the promotion.',
    });
  }
}

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
