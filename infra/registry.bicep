// What the template knows of a registry that already exists. The location and the way it grants permissions cannot be read
// from it while the template is evaluated, so both are said.

@export()
@description('A container registry that already exists.')
type registryType = {
  @description('Its name, without the host suffix.')
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

  @description('classic: AcrPush counts. abac: repository permissions ("RBAC Registry + ABAC Repository Permissions").')
  permissions: permissionsType
}

@export()
@description('How a registry grants permissions.')
type permissionsType = 'classic' | 'abac'
