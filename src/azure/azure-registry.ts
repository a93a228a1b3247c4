const ACR_HOST = /^[a-z0-9-]+\.azurecr\.(io|cn|us)$/;

/** Whether a host, with its port where it has one, is an Azure Container Registry by its name: in the public cloud or another. */
export function isAzureRegistry(host: string): boolean {
  return ACR_HOST.test(host);
}
