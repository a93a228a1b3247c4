import { isAzureRegistry } from '../../azure/azure-registry.js';
import type { RegistryToken } from '../../azure/identity.js';
import { ConfigurationError, PromoterError, RegistryError, type Credentials } from '../../oci/index.js';
import { causeOf } from '../errors.js';
import type { Io } from '../io.js';

const NOT_TAKEN = new ConfigurationError(
  'AZURE_ACCOUNT_REFUSED',
  'the registry refuses the Azure account that is signed in on this machine',
  {
    remedy:
      'Sign in to the tenant of the registry (az login --tenant), or to the registry itself (acr-promoter login).',
  },
);

/**
 * The sign-in to Azure of one command: `az login`, the environment, a managed identity. Only Azure Container Registries see its
 * tokens, and only if there is no other credential. If nobody is signed in, requests are anonymous.
 */
export class AzureSignIn {
  readonly #named: ReadonlySet<string>;
  /** The error to show if a registry answers 401, by host. */
  readonly #reasons = new Map<string, PromoterError>();
  #token: Promise<RegistryToken> | undefined;

  constructor({ env }: Pick<Io, 'env'>) {
    // Azure Container Registries with custom domains, separated by commas.
    const named = (env.ACR_PROMOTER_AZURE_REGISTRIES ?? '').split(',').map((host) => host.trim().toLowerCase());
    this.#named = new Set(named.filter((host) => host !== ''));
  }

  /** Adds Azure's token if `first` has no credential for an Azure Container Registry. */
  after(first: Credentials): Credentials {
    return {
      get: async (registry, signal) => {
        const found = await first.get(registry, signal);
        const host = registry.toLowerCase();
        if (found.kind !== 'anonymous' || !(isAzureRegistry(host) || this.#named.has(host))) return found;
        try {
          // Loaded on demand: it takes longer than everything else here.
          this.#token ??= import('../../azure/signed-in-user.js').then(({ userRegistryToken }) => userRegistryToken());
          const accessToken = await (await this.#token)(signal);
          this.#reasons.set(host, NOT_TAKEN);
          return { kind: 'entra', accessToken, orAnonymous: true };
        } catch (error) {
          if (!(error instanceof PromoterError) || error.code !== 'AZURE_NOT_SIGNED_IN') throw error;
          this.#reasons.set(host, error);
          return found;
        }
      },
    };
  }

  /** Replaces a 401 to an anonymous request with the reason why nobody is signed in. */
  explain(error: unknown): unknown {
    const answer = causeOf(error, RegistryError);
    if (answer?.info.status !== 401 || !URL.canParse(answer.info.url)) return error;
    const reason = this.#reasons.get(new URL(answer.info.url).host);
    if (reason === undefined) return error;
    return new RegistryError(`${answer.message}; ${reason.message}`, answer.info, {
      code: reason.code,
      cause: error,
      ...(reason.remedy !== undefined && { remedy: reason.remedy }),
    });
  }
}
