// What the app may do in one registry: read and write content, or only read it. Deleting isn't among it.

import { acrPull, acrPush, catalogLister, repositoryReader, repositoryWriter } from '../roles.bicep'
import { permissionsType } from '../registry.bicep'

@description('The registry\'s name, in this resource group.')
param registryName string

@description('How it grants permissions.')
param permissions permissionsType

@description('Object id of the app\'s identity.')
param principalId string

@description('True: nothing is written there.')
param readOnly bool = false

var roles = permissions == 'abac'
  ? [readOnly ? repositoryReader : repositoryWriter, catalogLister]
  : [readOnly ? acrPull : acrPush]

resource registry 'Microsoft.ContainerRegistry/registries@2025-11-01' existing = {
  name: registryName
}

resource assignments 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for role in roles: {
    scope: registry
    name: guid(registry.id, principalId, role)
    properties: {
      principalId: principalId
      principalType: 'ServicePrincipal'
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role)
    }
  }
]
