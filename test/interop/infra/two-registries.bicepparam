// From a registry with a system topic in another subscription, to another one in a third, deployed by a pipeline.
using '../../../infra/main.bicep'

param environmentName = 'test'
param location = 'westeurope'
param sourceRegistry = {
  name: 'sourcereg'
  resourceGroup: 'rg-source'
  subscriptionId: '00000000-0000-0000-0000-000000000002'
  repositoryPrefixes: []
}
param existingTopicName = 'topic-of-source'
param destinationRegistry = {
  name: 'targetreg'
  resourceGroup: 'rg-target'
  subscriptionId: '00000000-0000-0000-0000-000000000003'
  repositoryPrefixes: []
}
param promotionRules = 'rules.yaml'
param promotionSchedule = '0 0 * * * *'
param promotionPaused = true
param principalId = '00000000-0000-0000-0000-00000000000b'
param principalType = 'ServicePrincipal'
param jobCredentials = {
  hub: {
    registry: 'Docker.io'
    username: 'robot'
    secret: 'https://contoso.vault.azure.net/secrets/hub'
  }
}
