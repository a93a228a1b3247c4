// The least: one registry without a system topic, in the app's own subscription; nobody gets the hook's roles.
using '../../../infra/main.bicep'

param environmentName = 'test'
param location = 'westeurope'
param sourceRegistry = {
  name: 'Example'
  resourceGroup: 'rg-registry'
  subscriptionId: '00000000-0000-0000-0000-000000000001'
  repositoryPrefixes: []
}
