import { ConfigurationError, PromoterError, TransportError } from '../oci/index.js';
import { identityError, isIdentityFailure } from './identity-errors.js';

/** The parts of a storage SDK error that are used here. */
interface StorageFailure {
  statusCode?: number | undefined;
  code?: string | undefined;
}

/** Status and code of a failed call; both undefined if no answer came. */
export function storageFailure(error: unknown): StorageFailure {
  if (typeof error !== 'object' || error === null) {
    return {};
  }
  const { statusCode, code, details } = error as { statusCode?: unknown; code?: unknown; details?: unknown };
  const detailed = (details as { errorCode?: unknown } | undefined)?.errorCode;
  const named = typeof detailed === 'string' ? detailed : code;
  return {
    statusCode: typeof statusCode === 'number' ? statusCode : undefined,
    code: typeof named === 'string' ? named : undefined,
  };
}

/** Another writer wrote the same blob. Its commit discards our uncommitted blocks. */
const OVERTAKEN = 'InvalidBlockList';
const MISSING = new Set(['TableNotFound', 'ContainerNotFound', 'QueueNotFound', 'ContainerBeingDeleted']);

const NETWORK = new Set(['AuthorizationFailure', 'AuthorizationSourceIPMismatch']);

/**
 * True if the account's network rules refused the request: that is `AuthorizationFailure`. A missing role gives
 * `AuthorizationPermissionMismatch`, a wrong key `AuthenticationFailed` (for which Azurite also uses
 * `AuthorizationFailure`).
 * @see
 * https://learn.microsoft.com/azure/storage/blobs/blob-access-points-troubleshoot#reads-fail-because-of-network-settings
 * @see
 * https://learn.microsoft.com/troubleshoot/azure/azure-storage/blobs/authentication/storage-troubleshoot-403-errors
 */
function isNetwork(code: string | undefined, error: unknown): boolean {
  const isAuthentication = error instanceof Error && /failed to authenticate/i.test(error.message);
  return code !== undefined && NETWORK.has(code) && !isAuthentication;
}

/**
 * Converts a failed Azure Storage call into one of our errors. Drops the SDK's error, because it holds the request's
 * headers.
 * Codes: `STORAGE_UNAVAILABLE` (transient), `STORAGE_DENIED`, `STORAGE_FIREWALL`, `STORAGE_MISSING`, `STORAGE_FAILED`,
 * `IDENTITY_UNAVAILABLE`.
 * @param what the requested thing, for example `table runs`
 */
export function storageError(what: string, error: unknown): Error {
  if (error instanceof PromoterError) {
    return error;
  }
  if (isIdentityFailure(error)) {
    return identityError(`Azure Storage (${what})`, error);
  }
  const { statusCode, code } = storageFailure(error);
  const details = { what, status: statusCode, code };
  const passes = code === OVERTAKEN || statusCode === 408 || statusCode === 429;
  if (statusCode === undefined || passes || statusCode >= 500) {
    const answer = statusCode === undefined ? 'gave no answer' : `answered ${statusCode}`;
    return new TransportError('STORAGE_UNAVAILABLE', `${what}: Azure Storage ${answer}${code ? ` (${code})` : ''}`, {
      details,
      remedy: 'The app retries. If the error persists, check the storage account and the network.',
    });
  }
  const answer = `${what}: Azure Storage answered ${statusCode}${code ? ` (${code})` : ''}`;
  if (statusCode === 403 && isNetwork(code, error)) {
    return new ConfigurationError('STORAGE_FIREWALL', answer, {
      details,
      remedy:
        'The account refuses requests from this network; a role does not help. Allow the app: public network access or selected ' +
        'networks of the account, or private endpoints for blob, queue and table in the app’s virtual network.',
    });
  }
  if (statusCode === 401 || statusCode === 403) {
    return new ConfigurationError('STORAGE_DENIED', answer, {
      details,
      remedy:
        'Give the identity Storage Blob Data Owner, Queue Data Contributor and Table Data Contributor on the account; ' +
        'a new role takes effect within ten minutes. With a connection string, check its key.',
    });
  }
  if (code !== undefined && MISSING.has(code)) {
    return new ConfigurationError('STORAGE_MISSING', `${answer}: it does not exist`, {
      details,
      remedy: 'Deploy infra/main.bicep, which creates it. With a connection string, the app creates it at start.',
    });
  }
  return new ConfigurationError('STORAGE_FAILED', answer, {
    details,
    remedy: 'Azure Storage does not accept this request. Report the problem with this code.',
  });
}

/** Calls Azure Storage; throws only our errors. */
export async function callStorage<T>(what: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw storageError(what, error);
  }
}

/** Like {@link callStorage}, but returns undefined for an answer with one of `statuses`. */
export async function callStorageUnless<T>(
  what: string,
  statuses: readonly number[],
  call: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await call();
  } catch (error) {
    const { statusCode, code } = storageFailure(error);
    if (statusCode !== undefined && statuses.includes(statusCode) && !(code !== undefined && MISSING.has(code))) {
      return undefined;
    }
    throw storageError(what, error);
  }
}
