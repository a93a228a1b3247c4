import { isLoopback } from '../oci/index.js';

const ACR_HOST = /^[a-z0-9-]+\.azurecr\.(io|cn|us)$/;

/** True if a host (with its port, if it has one) has a name of Azure Container Registry, in any Azure cloud. */
export function isAzureRegistry(host: string): boolean {
  return ACR_HOST.test(host);
}

/**
 * The allowed registries that get the app's identity token: those with an Azure name, those that the settings name as
 * Azure's, and loopback hosts. The last two only if jobs have no password for them. Others get no token, because
 * anybody who holds one can sign in to every registry of the identity.
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
