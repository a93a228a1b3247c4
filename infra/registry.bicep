// What the template must be told about a registry that already exists. Its login server, its location and the way it grants
// permissions are read from the registry itself (modules/registry.bicep).

@export()
@description('A container registry that already exists.')
type registryType = {
  @description('Its name, without the host suffix and without the hash of a domain name label.')
  @minLength(5)
  @maxLength(50)
  name: string

  @description('The resource group that it is in.')
  @minLength(1)
  resourceGroup: string

  @description('The subscription that it is in.')
  @minLength(36)
  @maxLength(36)
  subscriptionId: string

  @description('Prefixes of the repositories that the app may use, for example samples/. Empty: all. Only a registry with repository permissions (ABAC) can limit a role to them.')
  @maxLength(20)
  repositoryPrefixes: string[]
}
