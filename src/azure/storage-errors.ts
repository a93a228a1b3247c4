import { ConfigurationError, PromoterError, TransportError } from '../oci/index.js';
import { identityError, isIdentityFailure } from './identity-errors.js';

/** What the storage SDKs throw, as far as we look at it. */
interface StorageFailure {
  statusCode?: number;
  code?: string;
}

/** The service's status and code of a failed call; both undefined where no answer came. */
export function storageFailure(error: unknown): StorageFailure {
  if (typeof error !== 'object' || error === null) {
    return {};
  }
  const { statusCode, code, details } = error as { statusCode?: unknown; code?: unknown; details?: unknown };
  const detailed = (details as { errorCode?: unknown } | undefined)?.errorCode;
  const named = typeof detailed === 'string' ? detailed : code;
  return {
    ...(typeof statusCode === 'number' && { statusCode }),
    ...(typeof named === 'string' && { code: named }),
  };
}

/** Another wrote the same blob in the meantime: its commit throws away the blocks that wait for theirs. */
const OVERTAKEN = 'InvalidBlockList';
const MISSING = new Set(['TableNotFound', 'ContainerNotFound', 'QueueNotFound', 'ContainerBeingDeleted']);

const NETWORK = new Set(['AuthorizationFailure', 'AuthorizationSourceIPMismatch']);

/**
 * A request from a network that the account does not let in is `AuthorizationFailure`; one without the role is
 * `AuthorizationPermissionMismatch`, one with a wrong key `AuthenticationFailed` (Azurite calls that `AuthorizationFailure`, too).
 * @see https://learn.microsoft.com/azure/storage/blobs/blob-access-points-troubleshoot#reads-fail-because-of-network-settings
 * @see https://learn.microsoft.com/troubleshoot/azure/azure-storage/blobs/authentication/storage-troubleshoot-403-errors
 */
function isNetwork(code: string | undefined, error: unknown): boolean {
  const isAuthentication = error instanceof Error && /failed to authenticate/i.test(error.message);
  return code !== undefined && NETWORK.has(code) && !isAuthentication;
}

/**
 * A failed call of Azure Storage as one of our errors, without the SDK's, which knows the request's headers.
 * Codes: `STORAGE_UNAVAILABLE` (transient), `STORAGE_DENIED`, `STORAGE_FIREWALL`, `STORAGE_MISSING`, `STORAGE_FAILED`, `IDENTITY_UNAVAILABLE`.
 * @param what the thing that was asked for: `table runs`.
 */
export function storageError(what: string, error: unknown): Error {
  if (error instanceof PromoterError) {
    return error;
  }
  if (isIdentityFailure(error)) {
    return identityError(`Azure Storage (${what})`, error);
  }
  const { statusCode, code } = storageFailure(error);
  const details = {
    what,
    ...(statusCode !== undefined && { status: statusCode }),
    ...(code !== undefined && { code }),
  };
  const passes = code === OVERTAKEN || statusCode === 408 || statusCode === 429;
  if (statusCode === undefined || passes || statusCode >= 500) {
    const answer = statusCode === undefined ? 'gave no answer' : `answered ${statusCode}`;
    return new TransportError('STORAGE_UNAVAILABLE', `${what}: Azure Storage ${answer}${code ? ` (${code})` : ''}`, {
      details,
      remedy: 'It is tried again; if it stays, look at the storage account and at the network between.',
    });
  }
  const answer = `${what}: Azure Storage answered ${statusCode}${code ? ` (${code})` : ''}`;
  if (statusCode === 403 && isNetwork(code, error)) {
    return new ConfigurationError('STORAGE_FIREWALL', answer, {
      details,
      remedy:
        'The account takes no requests from this network; a role changes nothing. Let the app in: public network access or selected ' +
        'networks of the account, or private endpoints for blob, queue and table in the app’s virtual network.',
    });
  }
  if (statusCode === 401 || statusCode === 403) {
    return new ConfigurationError('STORAGE_DENIED', answer, {
      details,
      remedy:
        'Give the identity Storage Blob Data Owner, Queue Data Contributor and Table Data Contributor on the account; ' +
        'a new role takes up to ten minutes. With a connection string: look at its key.',
    });
  }
  if (code !== undefined && MISSING.has(code)) {
    return new ConfigurationError('STORAGE_MISSING', `${answer}: it does not exist`, {
      details,
      remedy: 'Deploy infra/main.bicep, which makes it; with a connection string it is made at start.',
    });
  }
  return new ConfigurationError('STORAGE_FAILED', answer, {
    details,
    remedy: 'This is a request that Azure Storage refuses: report it with the code.',
  });
}

/** Calls Azure Storage; what it throws is one of our errors. */
export async function callStorage<T>(what: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw storageError(what, error);
  }
}

/** As {@link callStorage}; an answer with one of `statuses` is `undefined`. */
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
