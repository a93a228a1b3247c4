import { ManagedIdentityCredential } from '@azure/identity';
import type { AccessToken, TokenCredential } from '@azure/identity';
import { abortable, type Credential, type Credentials } from '../oci/index.js';
import { isAzureRegistry } from './azure-registry.js';
import { identityError } from './identity-errors.js';

/** ACR always accepts this audience; a registry can be set to refuse tokens for ARM. */
const REGISTRY_SCOPE = 'https://containerregistry.azure.net/.default';
/** Must be below five minutes: MSAL returns the old token until five minutes before its expiry. */
const RENEW_BEFORE_MS = 3 * 60 * 1000;
const TOKEN_TIMEOUT_MS = 60 * 1000;

export interface ManagedIdentityOptions {
  /** Client id of a user-assigned identity. Default: the system-assigned one. */
  clientId?: string;
}

/**
 * Credential of the app's managed identity: from App Service's endpoint (IDENTITY_ENDPOINT, IDENTITY_HEADER) or the
 * machine's.
 */
export function managedIdentity(options: ManagedIdentityOptions = {}): TokenCredential {
  const { clientId } = options;
  return new ManagedIdentityCredential({
    ...(clientId !== undefined && { clientId }),
    retryOptions: { maxRetries: 3, retryDelayInMs: 200 },
  });
}

export interface RegistryIdentityOptions extends ManagedIdentityOptions {
  /**
   * Hosts (with port) that get the identity's token. All others are used anonymously, because anybody who holds the token
   * can sign in to every registry of the identity. Default: `*.azurecr.io`, `.cn`, `.us`.
   */
  registries?: readonly string[];
}

/**
 * Signs in to registries with the managed identity: gives an Entra token, which the registry client exchanges.
 * @throws ConfigurationError `IDENTITY_UNAVAILABLE`, from `get`
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

/** Gives an Entra token for container registries. */
export type RegistryToken = (signal?: AbortSignal) => Promise<string>;

/**
 * Caches a token for container registries until three minutes before it expires. Parallel calls share one request.
 * @param failure makes the error to throw from the error of the credential
 */
export function registryToken(credential: TokenCredential, failure: (error: unknown) => Error): RegistryToken {
  const token = sharedToken(credential, failure);
  return (signal) => abortable(token(), signal);
}

function sharedToken(credential: TokenCredential, failure: (error: unknown) => Error): () => Promise<string> {
  let kept: AccessToken | undefined;
  let asking: Promise<string> | undefined;
  const ask = async (): Promise<string> => {
    try {
      const timeout = AbortSignal.timeout(TOKEN_TIMEOUT_MS);
      // The credential ignores abort signals.
      const token = await abortable(credential.getToken(REGISTRY_SCOPE), timeout);
      if (token === null) {
        throw new Error('the credential returned no token');
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
