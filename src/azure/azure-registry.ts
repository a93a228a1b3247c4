import { isLoopback } from '../oci/index.js';

const ACR_HOST = /^[a-z0-9-]+\.azurecr\.(io|cn|us)$/;

/** Whether a host, with its port where it has one, is an Azure Container Registry by its name: in the public cloud or another. */
export function isAzureRegistry(host: string): boolean {
  return ACR_HOST.test(host);
}

/**
 * Which of the registries that the app may go to see its identity: whoever holds one of its tokens can sign in to every registry of
 * the identity. Those with an Azure name, those that are said to be Azure's, and this machine's own; none of the last two where
 * jobs have a password for it.
 */
export function identityRegistries(
  allowed: readonly string[],
  { named, withPassword }: { named: readonly string[]; withPassword: readonly string[] },
): string[] {
  const passwords = new Set(withPassword.map((host) => host.toLowerCase()));
  return allowed.filter(
    (host) => isAzureRegistry(host) || (!passwords.has(host) && (named.includes(host) || isLoopback(host))),
  );
}
