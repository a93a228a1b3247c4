import { ConfigurationError, PolicyError, PromoterError, RegistryError } from '../oci/index.js';

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
export async function writeAtSource<T>(reference: string, write: () => Promise<T>): Promise<T> {
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
