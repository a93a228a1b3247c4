import { DefaultAzureCredential, type TokenCredential } from '@azure/identity';
import { ConfigurationError } from '../oci/index.js';
import { registryToken, type RegistryToken } from './identity.js';

/** The Azure CLI takes a second or two; one that asks something will never have an answer. */
const TOOL_TIMEOUT_MS = 30_000;
const REASON_CHARACTERS = 300;

/** What each credential of the chain has to say, one a line; what Entra itself says (`AADSTS…`) tells most. */
function reasonOf(error: unknown): string {
  const lines = (error instanceof Error ? error.message : String(error)).split('\n').map((line) => line.trim());
  const reason = lines.find((line) => /AADSTS\d+/.test(line)) ?? lines.find((line) => line !== '') ?? '';
  return reason.slice(0, REASON_CHARACTERS);
}

function signInError(purpose: string, error: unknown): ConfigurationError {
  const reason = reasonOf(error);
  // Every credential of the chain had nothing to give; anything else is one that was set, and is refused.
  if (error instanceof Error && error.name === 'AggregateAuthenticationError' && !reason.includes('AADSTS')) {
    return new ConfigurationError('AZURE_NOT_SIGNED_IN', 'nobody is signed in to Azure here', {
      remedy:
        'Run az login, or sign in to the registry itself: acr-promoter login, or --username and --password-stdin. In Azure, ' +
        'give the machine a managed identity (AZURE_CLIENT_ID where it is user-assigned).',
    });
  }
  return new ConfigurationError('AZURE_SIGN_IN_FAILED', `no token for ${purpose} from Azure: ${reason}`, {
    cause: error,
    remedy: 'Run az login again, or correct AZURE_TENANT_ID, AZURE_CLIENT_ID and what belongs to them.',
  });
}

/**
 * Credential of the user who is signed in on this machine, found as DefaultAzureCredential does: environment, workload identity, managed
 * identity, Visual Studio Code, `az`, Azure PowerShell, `azd`; `AZURE_TOKEN_CREDENTIALS` chooses among them.
 * @param purpose what the tokens are for: `Key Vault`
 * @throws ConfigurationError `AZURE_NOT_SIGNED_IN`, `AZURE_SIGN_IN_FAILED`, from `getToken` too
 */
export function userCredential(purpose: string): TokenCredential {
  try {
    const credential = new DefaultAzureCredential({ processTimeoutInMs: TOOL_TIMEOUT_MS });
    return {
      getToken: (scopes, options) =>
        credential.getToken(scopes, options).catch((error: unknown) => {
          throw signInError(purpose, error);
        }),
    };
  } catch (error) {
    // AZURE_TOKEN_CREDENTIALS names none that there is.
    throw signInError(purpose, error);
  }
}

/** Tokens for container registries of {@link userCredential}. */
export function userRegistryToken(): RegistryToken {
  const purpose = 'container registries';
  return registryToken(userCredential(purpose), (error) =>
    error instanceof ConfigurationError ? error : signInError(purpose, error),
  );
}
