// The principal that deploys. The hooks that run after provisioning act as this principal.

@export()
@description('A person or a service principal. With an empty id, nobody gets a role.')
type deployerType = {
  @description('Object id.')
  id: string

  @description('User for a person, ServicePrincipal for a pipeline.')
  type: 'ServicePrincipal' | 'User'
}
