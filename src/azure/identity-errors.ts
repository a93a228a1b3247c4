import { ConfigurationError } from '../oci/index.js';

/** True for what @azure/identity throws. */
export function isIdentityFailure(error: unknown): boolean {
  const name = error instanceof Error ? error.name : '';
  return (
    name === 'CredentialUnavailableError' || name === 'AuthenticationError' || name === 'AuthenticationRequiredError'
  );
}

/**
 * `IDENTITY_UNAVAILABLE`: no token came from the managed identity. Transient, since the endpoint of a machine that starts
 * answers late; a wrong client id reads the same to us.
 * @param purpose what the token was for: `Azure Container Registry`.
 */
export function identityError(purpose: string, error: unknown): ConfigurationError {
  const reason = error instanceof Error ? error.message : String(error);
  return new ConfigurationError('IDENTITY_UNAVAILABLE', `no token from the managed identity for ${purpose}`, {
    transient: true,
    // The first line: what follows can be a server's whole answer.
    details: { purpose, reason: (reason.split('\n', 1)[0] ?? '').slice(0, 300) },
    remedy:
      'Give the app a managed identity and, where it is user-assigned, its client id as AZURE_CLIENT_ID; ' +
      'locally, see that local/identity runs.',
  });
}
