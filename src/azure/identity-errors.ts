import { ConfigurationError } from '../oci/index.js';

/** True for errors of @azure/identity. */
export function isIdentityFailure(error: unknown): boolean {
  const name = error instanceof Error ? error.name : '';
  return (
    name === 'CredentialUnavailableError' || name === 'AuthenticationError' || name === 'AuthenticationRequiredError'
  );
}

/**
 * `IDENTITY_UNAVAILABLE`: the managed identity gave no token. Transient, because the endpoint of a starting machine
 * answers late; a wrong client id cannot be told apart from that.
 * @param purpose what the token was for, for example `Azure Container Registry`
 */
export function identityError(purpose: string, error: unknown): ConfigurationError {
  const reason = error instanceof Error ? error.message : String(error);
  return new ConfigurationError('IDENTITY_UNAVAILABLE', `no token from the managed identity for ${purpose}`, {
    transient: true,
    // Only the first line: the rest can be a server's whole answer.
    details: { purpose, reason: (reason.split('\n', 1)[0] ?? '').slice(0, 300) },
    remedy:
      'Give the app a managed identity; set AZURE_CLIENT_ID to its client id if it is user-assigned. ' +
      'When running locally, check that local/identity is running.',
  });
}
