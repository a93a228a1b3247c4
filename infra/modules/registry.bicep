// Properties read from the registry. This is a separate module because role conditions and the topic's location must be known when
// their deployment starts (BCP120, BCP177), and the outputs of one module are known when the next one starts.

@description('The registry\'s name, in this resource group.')
param registryName string

resource registry 'Microsoft.ContainerRegistry/registries@2025-11-01' existing = {
  name: registryName
}

@description('Its resource id, with which events name the registry.')
output id string = registry.id

@description('Its host, in lower case. With a domain name label it is NAME-HASH, not NAME.')
output loginServer string = toLower(registry.properties.loginServer)

@description('Its location. Its system topic must have the same.')
output location string = registry.location

@description('True if it grants permissions on repositories ("RBAC Registry + ABAC Repository Permissions"); AcrPull and AcrPush have no effect there.')
output abac bool = (registry.properties.?roleAssignmentMode ?? 'LegacyRegistryPermissions') == 'AbacRepositoryPermissions'
