// From a registry that is only read, since everything is attached at the destination.
using '../../../infra/main.bicep'

param environmentName = 'test'
param location = 'westeurope'
param sourceRegistry = {
  name: 'sourcereg'
  resourceGroup: 'rg-source'
  subscriptionId: '00000000-0000-0000-0000-000000000002'
  repositoryPrefixes: ['samples/']
}
param existingTopicName = 'topic-of-source'
param destinationRegistry = {
  name: 'targetreg'
  resourceGroup: 'rg-target'
  subscriptionId: '00000000-0000-0000-0000-000000000003'
  repositoryPrefixes: []
}
param sourceReadOnly = true
