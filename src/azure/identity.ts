import { ManagedIdentityCredential } from '@azure/identity';
import type { AccessToken, TokenCredential } from '@azure/identity';
import type { Credential, Credentials } from '../oci/index.js';
import { isAzureRegistry } from './azure-registry.js';
import { identityError } from './identity-errors.js';

/** Always accepted by ACR; a token for ARM is refused where the registry disables it. */
const REGISTRY_SCOPE = 'https://containerregistry.azure.net/.default';
/** Less than the five minutes before expiry at which MSAL asks again, so that we never get its old token back. */
const RENEW_BEFORE_MS = 3 * 60 * 1000;
const TOKEN_TIMEOUT_MS = 60 * 1000;

export interface ManagedIdentityOptions {
  /** Client id of a user-assigned identity; the system-assigned one by default. */
  clientId?: string;
}

/** The app's managed identity: App Service's endpoint (IDENTITY_ENDPOINT, IDENTITY_HEADER), or the machine's. */
export function managedIdentity(options: ManagedIdentityOptions = {}): TokenCredential {
  const { clientId } = options;
  return new ManagedIdentityCredential({
    ...(clientId !== undefined && { clientId }),
    retryOptions: { maxRetries: 3, retryDelayInMs: 200 },
  });
}

export interface RegistryIdentityOptions extends ManagedIdentityOptions {
  /**
   * Hosts (with port) that get the identity's token; every other one is anonymous, since whoever holds the token can sign in to
   * every registry of the identity. Default: `*.azurecr.io`, `.cn`, `.us`.
   */
  registries?: readonly string[];
}

/**
 * Signs in to registries with the managed identity: an Entra token, to be exchanged by the registry client.
 * @throws ConfigurationError `IDENTITY_UNAVAILABLE`, from `get`.
 */
export function managedIdentityCredentials(options: RegistryIdentityOptions = {}): Credentials {
  const { registries } = options;
  const trusted = registries && new Set(registries.map((host) => host.toLowerCase()));
  const isOurs = (registry: string): boolean => trusted?.has(registry) ?? isAzureRegistry(registry);
  const token = registryToken(managedIdentity(options), (error) => identityError('container registries', error));
  return {
    async get(registry, signal): Promise<Credential> {
      if (!isOurs(registry.toLowerCase())) {
        return { kind: 'anonymous' };
      }
      return { kind: 'entra', accessToken: await token(signal) };
    },
  };
}

/** An Entra token for container registries. */
export type RegistryToken = (signal?: AbortSignal) => Promise<string>;

/**
 * A token for container registries, kept until three minutes before it expires, and asked for once, however many ask at a time.
 * @param failure what is thrown for what the credential threw
 */
export function registryToken(credential: TokenCredential, failure: (error: unknown) => Error): RegistryToken {
  const token = sharedToken(credential, failure);
  return (signal) => unlessAborted(token(), signal);
}

function sharedToken(credential: TokenCredential, failure: (error: unknown) => Error): () => Promise<string> {
  let kept: AccessToken | undefined;
  let asking: Promise<string> | undefined;
  const ask = async (): Promise<string> => {
    try {
      const timeout = AbortSignal.timeout(TOKEN_TIMEOUT_MS);
      // The credential ignores its abortSignal.
      const token = await unlessAborted(credential.getToken(REGISTRY_SCOPE), timeout);
      if (token === null) {
        throw new Error('the credential gave no token');
      }
      kept = token;
      return token.token;
    } catch (error) {
      throw failure(error);
    } finally {
      asking = undefined;
    }
  };
  return async () => {
    if (kept !== undefined && kept.expiresOnTimestamp - RENEW_BEFORE_MS > Date.now()) {
      return kept.token;
    }
    asking ??= ask();
    return asking;
  };
}

/** One caller's signal ends that caller's wait, not the request that others wait for too. */
export async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) {
    return work;
  }
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      reject(signal.reason as Error);
    };
    signal.addEventListener('abort', abort, { once: true });
    void work.then(resolve, reject).finally(() => {
      signal.removeEventListener('abort', abort);
    });
  });
}
