// A minimal deployment of acr-promoter in Azure (docs/how-to/deploy.md): one app, one identity, one storage account without keys,
// one signing key, and a queue with the registry's events.

targetScope = 'subscription'

import { deployerType } from 'deployer.bicep'
import { registryType } from 'registry.bicep'

@description('Name of the environment. The names and tags of resources are derived from it.')
@minLength(1)
@maxLength(32)
param environmentName string

@description('Location of all resources except the system topic.')
@minLength(1)
param location string

@description('The registry whose pushes are promoted. SBOMs and signatures are attached there, so the app may also write to it, unless sourceReadOnly says otherwise.')
param sourceRegistry registryType

@description('True if every rule has "attachTo": "destination": the app can then only read the source registry. Has an effect only if the destination is another registry.')
param sourceReadOnly bool = false

@description('Name of the source registry\'s existing system topic, which must have a system-assigned identity. Empty: one is created.')
param existingTopicName string = ''

@description('The registry that images are promoted to. Default: the source registry.')
param destinationRegistry registryType = sourceRegistry

@description('PROMOTION_RULES. Empty: the blob `rules.json` in the container `rules`.')
param promotionRules string = ''

@description('PROMOTION_SCHEDULE: six fields, seconds first, UTC.')
@minLength(11)
param promotionSchedule string = '0 */5 * * * *'

@description('PROMOTION_PAUSED: true: no new run starts.')
param promotionPaused bool = false

@description('RUN_RETENTION_DAYS: how many days finished runs are kept.')
@minValue(1)
@maxValue(3650)
param runRetentionDays int = 30

@description('True if the app signs: creates a key in Key Vault; a hook creates its certificate (docs/how-to/deploy.md).')
param signing bool = true

@description('True: nobody can purge a deleted vault within 90 days. It cannot be set to false again.')
param vaultPurgeProtection bool = true

@description('Object id of the principal that deploys. It gets the data roles that the hook needs on the signing key and the storage account. Empty: nobody gets them.')
param principalId string = ''

@description('User for a person, ServicePrincipal for a pipeline.')
param principalType 'ServicePrincipal' | 'User' = 'User'

@description('JOB_CREDENTIALS: registry, user and secret by the name that jobs use. The secrets are added to the vault by hand. Empty: none.')
param jobCredentials object = {}

var nameToken = uniqueString(subscription().id, environmentName, location)
var deployer deployerType = { id: principalId, type: principalType }
var tags = { 'azd-env-name': environmentName }
// The name alone is not enough: two registries with domain name labels can have the same name.
var destinationIsSource = toLower('${sourceRegistry.subscriptionId}/${sourceRegistry.resourceGroup}/${sourceRegistry.name}') == toLower('${destinationRegistry.subscriptionId}/${destinationRegistry.resourceGroup}/${destinationRegistry.name}')
// If both sides are in one registry, the role must cover both. A side without prefixes needs all repositories.
var oneRegistryPrefixes = empty(sourceRegistry.repositoryPrefixes) || empty(destinationRegistry.repositoryPrefixes)
  ? []
  : union(sourceRegistry.repositoryPrefixes, destinationRegistry.repositoryPrefixes)

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
    deployer: deployer
  }
}

module vault 'modules/vault.bicep' = if (signing || !empty(jobCredentials)) {
  scope: group
  params: {
    location: location
    nameToken: nameToken
    tags: tags
    principalId: identity.outputs.principalId
    deployer: deployer
    hasSigningKey: signing
    hasSecrets: !empty(jobCredentials)
    purgeProtection: vaultPurgeProtection
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

module source 'modules/registry.bicep' = {
  scope: resourceGroup(sourceRegistry.subscriptionId, sourceRegistry.resourceGroup)
  params: {
    registryName: sourceRegistry.name
  }
}

module destination 'modules/registry.bicep' = if (!destinationIsSource) {
  scope: resourceGroup(destinationRegistry.subscriptionId, destinationRegistry.resourceGroup)
  params: {
    registryName: destinationRegistry.name
  }
}

module sourceRoles 'modules/registry-roles.bicep' = {
  scope: resourceGroup(sourceRegistry.subscriptionId, sourceRegistry.resourceGroup)
  params: {
    registryName: sourceRegistry.name
    abac: source.outputs.abac
    repositoryPrefixes: destinationIsSource ? oneRegistryPrefixes : sourceRegistry.repositoryPrefixes
    readOnly: sourceReadOnly && !destinationIsSource
    principalId: identity.outputs.principalId
  }
}

module destinationRoles 'modules/registry-roles.bicep' = if (!destinationIsSource) {
  scope: resourceGroup(destinationRegistry.subscriptionId, destinationRegistry.resourceGroup)
  params: {
    registryName: destinationRegistry.name
    abac: destination!.outputs.abac
    repositoryPrefixes: destinationRegistry.repositoryPrefixes
    principalId: identity.outputs.principalId
  }
}

var hosts = destinationIsSource
  ? [source.outputs.loginServer]
  : [source.outputs.loginServer, destination!.outputs.loginServer]
var registryIds = destinationIsSource
  ? ['${source.outputs.loginServer}=${source.outputs.id}']
  : [
      '${source.outputs.loginServer}=${source.outputs.id}'
      '${destination!.outputs.loginServer}=${destination!.outputs.id}'
    ]

// The hook creates the certificate and stores it there, with those of the key's former versions.
var signingKey = signing ? vault!.outputs.signingKeyId : ''
var certificateChain = signing ? '${storage.outputs.blobEndpoint}certificates/signing.pem' : ''
var signingSettings = signing ? { SIGNING_CERTIFICATE_CHAIN: certificateChain, SIGNING_KEY: signingKey } : {}

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
      REGISTRY_IDS: join(registryIds, ',')
      RUN_RETENTION_DAYS: string(runRetentionDays)
    })
  }
}

module newTopic 'modules/registry-topic.bicep' = if (empty(existingTopicName)) {
  scope: resourceGroup(sourceRegistry.subscriptionId, sourceRegistry.resourceGroup)
  params: {
    registryName: sourceRegistry.name
    location: source.outputs.location
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
  // The roles come first; otherwise the first events could not be delivered.
  dependsOn: [deliveryRoles]
}

@description('The resource group of all resources.')
output AZURE_RESOURCE_GROUP string = group.name

@description('The app\'s name.')
output PROMOTER_NAME string = app.outputs.name

@description('The app\'s address.')
output PROMOTER_URL string = app.outputs.url

@description('The storage account: upload rules.json into its container `rules`.')
output STORAGE_ACCOUNT_NAME string = storage.outputs.name

@description('The signing key\'s id in Key Vault, without a version; empty if the app does not sign.')
output SIGNING_KEY string = signingKey

@description('The blob of the key\'s certificates; empty if the app does not sign.')
output SIGNING_CERTIFICATE_CHAIN string = certificateChain

@description('The vault of the signing key and of the secrets of JOB_CREDENTIALS; empty if there is none.')
output KEY_VAULT_NAME string = signing || !empty(jobCredentials) ? vault!.outputs.name : ''

@description('Host of the source registry, as rules name it.')
output REGISTRY_LOGIN_SERVER string = source.outputs.loginServer

@description('Host of the destination registry, as rules name it.')
output DESTINATION_LOGIN_SERVER string = last(hosts)
