import { RegistryError, type Credentials } from '../../oci/index.js';
import { causeOf } from '../errors.js';
import { AzureSignIn } from './azure-sign-in.js';
import type { Io } from '../io.js';

/** Who one command is to the registries that it asks, and what is to be said where that is nobody. */
export class SignIns {
  readonly #azure: AzureSignIn;
  /** Registries that are asked by nobody in particular, as they were named, by the host that was asked. */
  readonly #anonymous = new Map<string, string>();
  /** What the command is about, by registry. */
  readonly #references = new Map<string, string[]>();

  constructor(io: Pick<Io, 'env'>) {
    this.#azure = new AzureSignIn(io);
  }

  /** The command is about this reference. */
  note(registry: string, text: string): void {
    const noted = this.#references.get(registry) ?? [];
    if (!noted.includes(text)) this.#references.set(registry, [...noted, text]);
  }

  /** What is kept for the registry; with `azure`, who is signed in to Azure where that is nothing. */
  after(registry: string, kept: Credentials, { azure }: { azure: boolean }): Credentials {
    const credentials = azure ? this.#azure.after(kept) : kept;
    return {
      get: async (host, signal) => {
        const found = await credentials.get(host, signal);
        if (found.kind === 'anonymous') this.#anonymous.set(host.toLowerCase(), registry);
        else this.#anonymous.delete(host.toLowerCase());
        return found;
      },
    };
  }

  /** A registry that did not let nobody in wants somebody to be signed in: said with how that is done. */
  explain(error: unknown): unknown {
    const said = this.#azure.explain(error);
    const told = causeOf(error, RegistryError);
    if (said !== error || told?.info.status !== 401 || !URL.canParse(told.info.url)) return said;
    const [only, ...others] = this.#anonymous.values();
    // Tokens may be had at another host than the registry's own.
    const registry = this.#anonymous.get(new URL(told.info.url).host) ?? (others.length === 0 ? only : undefined);
    if (registry === undefined) return error;
    const about = this.#references.get(registry)?.join(', ') ?? registry;
    return new RegistryError(`${about}: nobody is signed in to ${registry}: ${told.message}`, told.info, {
      code: 'NOT_SIGNED_IN',
      cause: error,
      remedy: `Sign in: acr-promoter login ${registry}; for an Azure Container Registry, az login does as well.`,
    });
  }
}
