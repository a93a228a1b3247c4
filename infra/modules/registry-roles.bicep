// The app's roles in one registry: read and write content, or only read it. No role allows deleting.

import { acrPull, acrPush, catalogLister, repositoryReader, repositoryWriter } from '../roles.bicep'

@description('The registry\'s name, in this resource group.')
param registryName string

@description('True if the registry has repository permissions (ABAC).')
param abac bool

@description('Prefixes of the repositories that the role is limited to; empty: all. Has no effect without ABAC.')
param repositoryPrefixes string[] = []

@description('Object id of the app\'s identity.')
param principalId string

@description('True: the app only reads there.')
param readOnly bool = false

var registryRole = readOnly ? acrPull : acrPush
var repositoryRole = readOnly ? repositoryReader : repositoryWriter

// The data actions of the two roles. A condition must name each of them, because an action that it does not name is allowed in all
// repositories.
// https://learn.microsoft.com/azure/container-registry/container-registry-rbac-abac-repository-permissions
var dataActions = concat(['content/read', 'metadata/read'], readOnly ? [] : ['content/write', 'metadata/write'])
var otherActions = map(
  dataActions,
  action => '!(ActionMatches{\'Microsoft.ContainerRegistry/registries/repositories/${action}\'})'
)
// Without the slash, samples would also match samples-of-others.
var prefixes = map(repositoryPrefixes, prefix => endsWith(prefix, '/') ? prefix : '${prefix}/')
var inPrefixes = map(
  prefixes,
  prefix =>
    '@Request[Microsoft.ContainerRegistry/registries/repositories:name] StringStartsWithIgnoreCase \'${replace(prefix, '\'', '')}\''
)
var condition = '((${join(otherActions, ' AND ')}) OR (${join(inPrefixes, ' OR ')}))'

resource registry 'Microsoft.ContainerRegistry/registries@2025-11-01' existing = {
  name: registryName
}

resource ofRegistry 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!abac) {
  scope: registry
  name: guid(registry.id, principalId, registryRole)
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', registryRole)
  }
}

resource ofRepositories 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (abac) {
  scope: registry
  name: guid(registry.id, principalId, repositoryRole)
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', repositoryRole)
    condition: empty(repositoryPrefixes) ? null : condition
    conditionVersion: empty(repositoryPrefixes) ? null : '2.0'
  }
}

// Rules with wildcards list the repositories on a schedule. This role cannot have a condition.
resource lister 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (abac) {
  scope: registry
  name: guid(registry.id, principalId, catalogLister)
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', catalogLister)
  }
}
