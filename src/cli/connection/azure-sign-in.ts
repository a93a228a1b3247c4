import { isAzureRegistry } from '../../azure/azure-registry.js';
import type { RegistryToken } from '../../azure/identity.js';
import { ConfigurationError, PromoterError, RegistryError, type Credentials } from '../../oci/index.js';
import { causeOf } from '../errors.js';
import type { Io } from '../io.js';

const NOT_TAKEN = new ConfigurationError('AZURE_ACCOUNT_REFUSED', 'it does not take who is signed in to Azure here', {
  remedy: 'Sign in to the tenant of the registry (az login --tenant), or to the registry itself (acr-promoter login).',
});

/**
 * The sign-in to Azure of one command: `az login`, the environment, a managed identity. Only Azure Container Registries see its
 * tokens, and only those that have no other credential; where nobody is signed in, they are asked anonymously.
 */
export class AzureSignIn {
  readonly #named: ReadonlySet<string>;
  /** What to say where a registry wants somebody to be signed in. */
  readonly #reasons = new Map<string, PromoterError>();
  #token: Promise<RegistryToken> | undefined;

  constructor({ env }: Pick<Io, 'env'>) {
    // Under names of their own, separated by commas, and Azure Container Registries all the same.
    const named = (env.ACR_PROMOTER_AZURE_REGISTRIES ?? '').split(',').map((host) => host.trim().toLowerCase());
    this.#named = new Set(named.filter((host) => host !== ''));
  }

  /** Azure's token where `first` has nothing for an Azure Container Registry. */
  after(first: Credentials): Credentials {
    return {
      get: async (registry, signal) => {
        const found = await first.get(registry, signal);
        const host = registry.toLowerCase();
        if (found.kind !== 'anonymous' || !(isAzureRegistry(host) || this.#named.has(host))) return found;
        try {
          // Loaded for those who need it: it takes longer than all else here.
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

  /** A registry that did not let an anonymous one in wants somebody to be signed in: said instead of its own words. */
  explain(error: unknown): unknown {
    const told = causeOf(error, RegistryError);
    if (told?.info.status !== 401 || !URL.canParse(told.info.url)) return error;
    const reason = this.#reasons.get(new URL(told.info.url).host);
    if (reason === undefined) return error;
    return new RegistryError(`${told.message}; ${reason.message}`, told.info, {
      code: reason.code,
      cause: error,
      ...(reason.remedy !== undefined && { remedy: reason.remedy }),
    });
  }
}
