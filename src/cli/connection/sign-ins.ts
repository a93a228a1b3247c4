import { RegistryError, type Credentials } from '../../oci/index.js';
import { causeOf } from '../errors.js';
import { AzureSignIn } from './azure-sign-in.js';
import type { Io } from '../io.js';

/** The credentials of one command, and the message for a registry that refuses an anonymous request. */
export class SignIns {
  readonly #azure: AzureSignIn;
  /**
   * Registries that were asked anonymously, by host. `config`: the Docker config of `--registry-config`, which has no
   * entry for the registry.
   */
  readonly #anonymous = new Map<string, { registry: string; config?: string }>();
  /** References of the command, by registry, for the message. */
  readonly #references = new Map<string, string[]>();

  constructor(io: Pick<Io, 'env'>) {
    this.#azure = new AzureSignIn(io);
  }

  /** Adds a reference that the message of a refused sign-in names. */
  note(registry: string, text: string): void {
    const noted = this.#references.get(registry) ?? [];
    if (!noted.includes(text)) this.#references.set(registry, [...noted, text]);
  }

  /**
   * Returns the stored credentials. For a registry without one, with `azure`, uses the account that is signed in to
   * Azure.
   */
  after(registry: string, kept: Credentials, { azure, config }: { azure: boolean; config?: string }): Credentials {
    const credentials = azure ? this.#azure.after(kept) : kept;
    return {
      get: async (host, signal) => {
        const found = await credentials.get(host, signal);
        if (found.kind === 'anonymous')
          this.#anonymous.set(host.toLowerCase(), { registry, ...(config !== undefined && { config }) });
        else this.#anonymous.delete(host.toLowerCase());
        return found;
      },
    };
  }

  /** Explains a 401 to an anonymous request, with the command to sign in. */
  explain(error: unknown): unknown {
    const explained = this.#azure.explain(error);
    const answer = causeOf(error, RegistryError);
    if (explained !== error || answer?.info.status !== 401 || !URL.canParse(answer.info.url)) return explained;
    const [only, ...others] = this.#anonymous.values();
    // The token endpoint may be on another host than the registry.
    const asked = this.#anonymous.get(new URL(answer.info.url).host) ?? (others.length === 0 ? only : undefined);
    if (asked === undefined) return error;
    const { registry, config } = asked;
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
