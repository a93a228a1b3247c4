// What the template needs to know about an existing registry. Its login server, its location and its kind of permissions are read
// from the registry itself (modules/registry.bicep).

@export()
@description('An existing container registry.')
type registryType = {
  @description('Its name, without the host suffix and without the hash of a domain name label.')
  @minLength(5)
  @maxLength(50)
  name: string

  @description('Its resource group.')
  @minLength(1)
  resourceGroup: string

  @description('Its subscription.')
  @minLength(36)
  @maxLength(36)
  subscriptionId: string

  @description('Prefixes of the repositories that the app may use, for example samples/. Empty: all. Only a registry with repository permissions (ABAC) can limit a role to them.')
  @maxLength(20)
  repositoryPrefixes: string[]
}
