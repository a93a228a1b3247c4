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

/** A registry for which no credential is stored. */
interface WithoutCredential {
  registry: string;
  /** The Docker config of `--registry-config`, which has no entry for the registry. */
  config?: string;
  /** Why Azure's token was refused or is missing, for a registry that takes one. */
  azure?: PromoterError;
}

/**
 * The credentials of one command, and the messages of registries that refuse them. A registry without a stored credential
 * gets the token of the account that is signed in to Azure (`az login`, the environment, a managed identity), if it is an
 * Azure Container Registry. Other requests are anonymous.
 */
export class SignIns {
  /** Azure Container Registries with custom domains. */
  readonly #azureHosts: ReadonlySet<string>;
  /** By host. */
  readonly #without = new Map<string, WithoutCredential>();
  /** References of the command, by registry, for the message. */
  readonly #references = new Map<string, string[]>();
  #token: Promise<RegistryToken> | undefined;

  constructor({ env }: Pick<Io, 'env'>) {
    const named = (env.ACR_PROMOTER_AZURE_REGISTRIES ?? '').split(',').map((host) => host.trim().toLowerCase());
    this.#azureHosts = new Set(named.filter((host) => host !== ''));
  }

  /** Adds a reference that the message of a refused sign-in names. */
  note(registry: string, text: string): void {
    const noted = this.#references.get(registry) ?? [];
    if (!noted.includes(text)) this.#references.set(registry, [...noted, text]);
  }

  /** Adds Azure's token to the stored credentials. @param options.azure false if the registry must not see it */
  after(registry: string, kept: Credentials, { azure, config }: { azure: boolean; config?: string }): Credentials {
    return {
      get: async (name, signal) => {
        const found = await kept.get(name, signal);
        const host = name.toLowerCase();
        this.#without.delete(host);
        if (found.kind !== 'anonymous') return found;
        const without: WithoutCredential = { registry, ...(config !== undefined && { config }) };
        this.#without.set(host, without);
        if (!azure || !(isAzureRegistry(host) || this.#azureHosts.has(host))) return found;
        try {
          // Loaded on demand: it takes longer than everything else here.
          this.#token ??= import('../../azure/signed-in-user.js').then(({ userRegistryToken }) => userRegistryToken());
          const accessToken = await (await this.#token)(signal);
          without.azure = NOT_TAKEN;
          return { kind: 'entra', accessToken, orAnonymous: true };
        } catch (error) {
          if (!(error instanceof PromoterError) || error.code !== 'AZURE_NOT_SIGNED_IN') throw error;
          without.azure = error;
          return found;
        }
      },
    };
  }

  /** Explains a 401 to a request without a stored credential: why Azure's token did not help, or how to sign in. */
  explain(error: unknown): unknown {
    const answer = causeOf(error, RegistryError);
    if (answer?.info.status !== 401 || !URL.canParse(answer.info.url)) return error;
    const [only, ...others] = [...this.#without.values()].filter(({ azure }) => azure !== NOT_TAKEN);
    // The token endpoint may be on another host than the registry.
    const asked = this.#without.get(new URL(answer.info.url).host) ?? (others.length === 0 ? only : undefined);
    if (asked === undefined) return error;
    const { registry, config, azure } = asked;
    if (azure !== undefined) {
      return new RegistryError(`${answer.message}; ${azure.message}`, answer.info, {
        code: azure.code,
        cause: error,
        ...(azure.remedy !== undefined && { remedy: azure.remedy }),
      });
    }
    const option = config === undefined ? '' : `--registry-config ${shellWord(config)} `;
    const about = this.#references.get(registry)?.join(', ') ?? registry;
    return new RegistryError(`${about}: not signed in to ${registry}: ${answer.message}`, answer.info, {
      code: 'NOT_SIGNED_IN',
      cause: error,
      remedy: `Sign in: acr-promoter login ${option}${registry}; for an Azure Container Registry, az login is enough.`,
    });
  }
}

/** Quotes a word for a shell if it needs quotes. */
function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
