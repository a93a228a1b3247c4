import {
  resolveIfThere,
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

/** Something was not found at the source. It is gone, or a replica is stale. */
export class MissingAtSource extends PromoterError {
  /** True if an event reported the deletion. Then nobody waits for it. */
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

/**
 * Reads at the source.
 * @throws MissingAtSource if it does not exist
 */
export async function atSource<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof RegistryError && error.notFound)) throw error;
    throw new MissingAtSource(error.message, error);
  }
}

/** The error if the source tag of a run is missing. */
export function missingTag(source: { registry: string; repository: string; tag: string }): MissingAtSource {
  return new MissingAtSource(`${formatReference(source)} is not there`);
}

/** The error if the source tag is missing and an event reported its deletion. */
export function deletedTag(source: { registry: string; repository: string; tag: string }): MissingAtSource {
  return new MissingAtSource(`${formatReference(source)} was deleted`, undefined, true);
}

/**
 * True if the repository has a manifest. A referrers tag, which anybody can write, may list manifests that do not
 * exist.
 */
export async function isThere(
  repository: Pick<ReadableRepository, 'resolve'>,
  { digest }: Pick<Descriptor, 'digest'>,
  signal: AbortSignal,
): Promise<boolean> {
  return (await resolveIfThere(repository, digest, { signal })) !== undefined;
}

/** The pause before the next try to get a lease, in milliseconds. */
const LEASE_PAUSE_MS = 2_000;

/** The name of a subject's lease. A writer that attaches something to the subject holds it. */
export function subjectLease(registry: string, repository: string, digest: string): string {
  return `subject ${registry}/${repository}@${digest}`;
}

export function destinationLease(destination: string): string {
  return `destination ${destination}`;
}

/** Works under a lease. If another process holds it, the step asks to be called again, so that no activity waits. */
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

/**
 * Statuses of a refused write: no valid token or permission (401, 403), or a locked repository or tag (ACR: 405,
 * others: 409).
 */
const NO_PERMISSION = [401, 403];
const LOCKED = [405, 409];

/** The registry's answer that refused a write. Undefined if the error has another reason. */
function refusalOf(error: unknown): RegistryError | undefined {
  // The error of a copy has the registry's error as its cause.
  for (let [cause, depth] = [error, 0]; cause instanceof PromoterError && depth < 10; depth += 1) {
    if (cause instanceof RegistryError) {
      const { method, status, url } = cause.info;
      // The registry's firewall refuses every request of the app, not only this write.
      if (cause.code === 'REGISTRY_FIREWALL') return undefined;
      // A refused login is not a refused write.
      const isWrite = method !== 'GET' && method !== 'HEAD' && new URL(url).pathname.startsWith('/v2/');
      return isWrite && [...NO_PERMISSION, ...LOCKED].includes(status) ? cause : undefined;
    }
    ({ cause } = cause);
  }
  return undefined;
}

/**
 * Writes at a rule's source.
 * @throws ConfigurationError `SOURCE_NOT_WRITABLE` if the registry refuses the write
 */
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
 * Writes at a destination.
 * @param isLocked called if a refusal may also mean a missing permission
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
        'Unlock it (az acr repository update --write-enabled true). The schedule notices that if the registry shows its locks, and retries once a day in any case. To retry now, start the promotion.',
    });
  }
}

/** The run for which something is attached, and the repository. Default: the source. */
export interface Attaching {
  /** Absent on the command line, which has no runs. */
  runId?: string;
  source: SourceRepository;
  at?: SourceRepository | undefined;
}

/**
 * Pushes an attachment of a subject.
 * @throws ConfigurationError `SOURCE_NOT_WRITABLE`; PolicyError `DESTINATION_LOCKED`
 */
export async function attachPacked(
  { at }: Attaching,
  repository: Repository,
  packed: PackedArtifact,
  signal: AbortSignal,
): Promise<void> {
  const push = (): Promise<unknown> => pushPacked(repository, packed, { signal });
  await (at === undefined ? writeAtSource(repository.name, push) : writeAtDestination(repository.name, push));
}

/**
 * Reads the subject of an attachment.
 * @throws MissingAtSource if it is missing at the source
 */
export function readAt<T>({ at }: Attaching, read: () => Promise<T>): Promise<T> {
  return at === undefined ? atSource(read) : read();
}
