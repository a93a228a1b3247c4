// The signing key, which never leaves the vault, and the passwords of jobs' credentials. Deployed only if one of them is used.

import { cryptoUser, secretsOfficer, secretsUser } from '../roles.bicep'
import { deployerType } from '../deployer.bicep'

@description('Location.')
param location string

@description('Suffix of the names in this environment, from `uniqueString`.')
@minLength(13)
@maxLength(13)
param nameToken string

@description('Tags of all resources.')
param tags object

@description('Object id of the app\'s identity.')
param principalId string

@description('The principal that deploys.')
param deployer deployerType

@description('True if the app signs; creates the key.')
param hasSigningKey bool

@description('True if jobs have credentials: the app may read secrets here, and the principal that deploys may write them.')
param hasSecrets bool

@description('True: nobody can purge a deleted vault within 90 days. It cannot be set to false again.')
param purgeProtection bool

resource vault 'Microsoft.KeyVault/vaults@2025-05-01' = {
  name: 'kv-${nameToken}'
  location: location
  tags: tags
  properties: {
    tenantId: tenant().tenantId
    sku: {
      family: 'A'
      name: 'standard'
    }
    enableRbacAuthorization: true
    enableSoftDelete: true
    // Azure refuses false, even for a new vault, so leave it out.
    enablePurgeProtection: purgeProtection ? true : null
    softDeleteRetentionInDays: 90
    publicNetworkAccess: 'Enabled'
    networkAcls: {
      bypass: 'AzureServices'
      defaultAction: 'Allow'
    }
  }

  resource signingKey 'keys' = if (hasSigningKey) {
    name: 'signing'
    tags: tags
    properties: {
      kty: 'EC'
      curveName: 'P-256'
      keyOps: [
        'sign'
        'verify'
      ]
      attributes: {
        enabled: true
        exportable: false
      }
    }
  }
}

// On the key. The role also allows decrypting and unwrapping, which this key cannot do.
resource signer 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (hasSigningKey) {
  scope: vault::signingKey
  name: guid(vault::signingKey.id, principalId, cryptoUser)
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', cryptoUser)
  }
}

// The hook signs the key's own certificate.
resource certificateSigner 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (hasSigningKey && !empty(deployer.id)) {
  scope: vault::signingKey
  name: guid(vault::signingKey.id, deployer.id, cryptoUser)
  properties: {
    principalId: deployer.id
    principalType: deployer.type
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', cryptoUser)
  }
}

// On the vault, because its only secrets are the passwords of jobs' credentials.
resource secretsReader 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (hasSecrets) {
  scope: vault
  name: guid(vault.id, principalId, secretsUser)
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', secretsUser)
  }
}

resource secretsWriter 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (hasSecrets && !empty(deployer.id)) {
  scope: vault
  name: guid(vault.id, deployer.id, secretsOfficer)
  properties: {
    principalId: deployer.id
    principalType: deployer.type
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', secretsOfficer)
  }
}

@description('The key\'s id without a version: the newest version with a certificate signs. Empty without a key.')
output signingKeyId string = hasSigningKey ? vault::signingKey!.properties.keyUri : ''

@description('The vault\'s name.')
output name string = vault.name
