// The least that runs acr-promoter in Azure (docs/deploy.md): one app, one identity, one storage account without keys, one
// signing key, and the registry's events in a queue.

targetScope = 'subscription'

import { registryType } from 'registry.bicep'

@description('Name of the environment: names and tags are made from it.')
@minLength(1)
@maxLength(32)
param environmentName string

@description('Where everything but the system topic is made.')
@minLength(1)
param location string

@description('The registry whose pushes are promoted. SBOMs and signatures are attached there, so the app may also write to it, unless sourceReadOnly says otherwise.')
param sourceRegistry registryType

@description('True where every rule has "attachTo": "destination": the app may then only read the source registry. Counts where the destination is another registry.')
param sourceReadOnly bool = false

@description('Location of that registry: its events come from there.')
@minLength(1)
param sourceRegistryLocation string

@description('Name of the system topic that the source registry already has, with a system-assigned identity; empty: one is made.')
param existingTopicName string = ''

@description('The registry that images are promoted to; the source registry where nothing is said.')
param destinationRegistry registryType = sourceRegistry

@description('PROMOTION_RULES: empty for the blob `rules.json` in the container `rules`.')
param promotionRules string = ''

@description('PROMOTION_SCHEDULE: six fields, seconds first, UTC.')
@minLength(11)
param promotionSchedule string = '0 */5 * * * *'

@description('PROMOTION_PAUSED: true while new runs are kept from starting.')
param promotionPaused bool = false

@description('RUN_RETENTION_DAYS: for so many days what has ended is kept.')
@minValue(1)
@maxValue(3650)
param runRetentionDays int = 30

@description('SIGNING_CERTIFICATE_CHAIN, for the key in the vault; empty: the app signs nothing (docs/deploy.md).')
param signingCertificateChain string = ''

@description('JOB_CREDENTIALS: registry, user and secret by the name that jobs say; the secrets are put into the vault by hand; empty: none.')
param jobCredentials object = {}

var nameToken = uniqueString(subscription().id, environmentName, location)
var tags = { 'azd-env-name': environmentName }
var destinationIsSource = toLower(destinationRegistry.name) == toLower(sourceRegistry.name)
var hosts = [
  for name in union([toLower(sourceRegistry.name)], [toLower(destinationRegistry.name)]): '${name}${environment().suffixes.acrLoginServer}'
]

resource group 'Microsoft.Resources/resourceGroups@2025-04-01' = {
  name: 'rg-${environmentName}'
  location: location
  tags: tags
}

module identity 'modules/identity.bicep' = {
  scope: group
  params: {
    location: location
    nameToken: nameToken
    tags: tags
  }
}

module storage 'modules/storage.bicep' = {
  scope: group
  params: {
    location: location
    nameToken: nameToken
    tags: tags
    principalId: identity.outputs.principalId
  }
}

module vault 'modules/vault.bicep' = {
  scope: group
  params: {
    location: location
    nameToken: nameToken
    tags: tags
    principalId: identity.outputs.principalId
    readsSecrets: !empty(jobCredentials)
  }
}

module monitoring 'modules/monitoring.bicep' = {
  scope: group
  params: {
    location: location
    nameToken: nameToken
    tags: tags
    principalId: identity.outputs.principalId
  }
}

module sourceRoles 'modules/registry-roles.bicep' = {
  scope: resourceGroup(sourceRegistry.subscriptionId, sourceRegistry.resourceGroup)
  params: {
    registryName: sourceRegistry.name
    permissions: sourceRegistry.permissions
    readOnly: sourceReadOnly && !destinationIsSource
    principalId: identity.outputs.principalId
  }
}

module destinationRoles 'modules/registry-roles.bicep' = if (!destinationIsSource) {
  scope: resourceGroup(destinationRegistry.subscriptionId, destinationRegistry.resourceGroup)
  params: {
    registryName: destinationRegistry.name
    permissions: destinationRegistry.permissions
    principalId: identity.outputs.principalId
  }
}

// A key without its certificate keeps the app from starting: both, or neither.
var signingSettings = empty(signingCertificateChain)
  ? {}
  : {
      SIGNING_CERTIFICATE_CHAIN: signingCertificateChain
      SIGNING_KEY: vault.outputs.signingKeyId
    }

var jobHosts = map(items(jobCredentials), entry => toLower(entry.value.registry))
var jobSettings = empty(jobCredentials) ? {} : { JOB_CREDENTIALS: string(jobCredentials) }

module app 'modules/function-app.bicep' = {
  scope: group
  params: {
    location: location
    nameToken: nameToken
    tags: tags
    identityId: identity.outputs.id
    clientId: identity.outputs.clientId
    storageAccountName: storage.outputs.name
    blobEndpoint: storage.outputs.blobEndpoint
    insightsConnectionString: monitoring.outputs.connectionString
    settings: union(signingSettings, jobSettings, {
      ALLOWED_REGISTRIES: join(empty(jobCredentials) ? hosts : union(hosts, jobHosts), ',')
      PROMOTION_PAUSED: promotionPaused ? 'true' : 'false'
      PROMOTION_RULES: empty(promotionRules) ? '${storage.outputs.blobEndpoint}rules/rules.json' : promotionRules
      PROMOTION_SCHEDULE: promotionSchedule
      RUN_RETENTION_DAYS: string(runRetentionDays)
    })
  }
}

module newTopic 'modules/registry-topic.bicep' = if (empty(existingTopicName)) {
  scope: resourceGroup(sourceRegistry.subscriptionId, sourceRegistry.resourceGroup)
  params: {
    registryName: sourceRegistry.name
    location: sourceRegistryLocation
    tags: tags
  }
}

module existingTopic 'modules/existing-topic.bicep' = if (!empty(existingTopicName)) {
  scope: resourceGroup(sourceRegistry.subscriptionId, sourceRegistry.resourceGroup)
  params: {
    topicName: existingTopicName
  }
}

module deliveryRoles 'modules/delivery-roles.bicep' = {
  scope: group
  params: {
    storageAccountName: storage.outputs.name
    principalId: empty(existingTopicName) ? newTopic!.outputs.principalId : existingTopic!.outputs.principalId
  }
}

module subscriptionToEvents 'modules/registry-subscription.bicep' = {
  scope: resourceGroup(sourceRegistry.subscriptionId, sourceRegistry.resourceGroup)
  params: {
    topicName: empty(existingTopicName) ? newTopic!.outputs.name : existingTopic!.outputs.name
    nameToken: nameToken
    storageAccountId: storage.outputs.id
  }
  // The roles first: otherwise the first events go nowhere.
  dependsOn: [deliveryRoles]
}

@description('The resource group that everything is in.')
output AZURE_RESOURCE_GROUP string = group.name

@description('The app\'s name.')
output PROMOTER_NAME string = app.outputs.name

@description('The app\'s address.')
output PROMOTER_URL string = app.outputs.url

@description('The storage account: upload rules.json into its container `rules`.')
output STORAGE_ACCOUNT_NAME string = storage.outputs.name

@description('The signing key\'s id in Key Vault.')
output SIGNING_KEY string = vault.outputs.signingKeyId

@description('The vault: the secrets of JOB_CREDENTIALS are put there.')
output KEY_VAULT_URL string = vault.outputs.url
