// Nothing is signed and no job has a credential: there is no vault.
using '../../../infra/main.bicep'

param environmentName = 'test'
param location = 'westeurope'
param sourceRegistry = {
  name: 'Example'
  resourceGroup: 'rg-registry'
  subscriptionId: '00000000-0000-0000-0000-000000000001'
  repositoryPrefixes: []
}
param signing = false
