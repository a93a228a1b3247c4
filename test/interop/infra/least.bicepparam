// The least: one registry, with classic permissions and without a system topic, in the app's own subscription.
using '../../../infra/main.bicep'

param environmentName = 'test'
param location = 'westeurope'
param sourceRegistry = {
  name: 'Example'
  resourceGroup: 'rg-registry'
  subscriptionId: '00000000-0000-0000-0000-000000000001'
  permissions: 'classic'
}
param sourceRegistryLocation = 'northeurope'
