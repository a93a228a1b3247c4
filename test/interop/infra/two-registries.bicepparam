// From a registry with repository permissions and a system topic in another subscription, to a classic one in a third.
using '../../../infra/main.bicep'

param environmentName = 'test'
param location = 'westeurope'
param sourceRegistry = {
  name: 'sourcereg'
  resourceGroup: 'rg-source'
  subscriptionId: '00000000-0000-0000-0000-000000000002'
  permissions: 'abac'
}
param sourceRegistryLocation = 'westeurope'
param existingTopicName = 'topic-of-source'
param destinationRegistry = {
  name: 'targetreg'
  resourceGroup: 'rg-target'
  subscriptionId: '00000000-0000-0000-0000-000000000003'
  permissions: 'classic'
}
param promotionRules = 'rules.yaml'
param promotionSchedule = '0 0 * * * *'
param promotionPaused = true
param signingCertificateChain = 'https://vault.example/certificates/chain/1'
param jobCredentials = {
  hub: {
    registry: 'Docker.io'
    username: 'robot'
    secret: 'https://contoso.vault.azure.net/secrets/hub'
  }
}
