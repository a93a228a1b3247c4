// The key that signs: it never leaves the vault, and the app can use this one key and no other. And, where jobs have credentials,
// their passwords.

import { cryptoUser, secretsUser } from '../roles.bicep'

@description('Where it is made.')
param location string

@description('The token that names of this environment end in, of `uniqueString`.')
@minLength(13)
@maxLength(13)
param nameToken string

@description('Tags of everything that is made.')
param tags object

@description('Object id of the app\'s identity.')
param principalId string

@description('Whether the app reads secrets here: the passwords that JOB_CREDENTIALS names.')
param readsSecrets bool

resource vault 'Microsoft.KeyVault/vaults@2026-05-15' = {
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
    enablePurgeProtection: true
    softDeleteRetentionInDays: 90
    publicNetworkAccess: 'Enabled'
    networkAcls: {
      bypass: 'AzureServices'
      defaultAction: 'Allow'
    }
  }

  resource signingKey 'keys' = {
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

// On the key: the role would also allow decrypting and unwrapping, which this key can't do.
resource signer 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: vault::signingKey
  name: guid(vault::signingKey.id, principalId, cryptoUser)
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', cryptoUser)
  }
}

// On the vault: its secrets are put there by hand, for jobs, and are nothing else's.
resource secretsReader 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (readsSecrets) {
  scope: vault
  name: guid(vault.id, principalId, secretsUser)
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', secretsUser)
  }
}

@description('The key\'s id with its version, so that a key made later under this name changes nothing by itself.')
output signingKeyId string = vault::signingKey.properties.keyUriWithVersion

@description('Its address, with a slash at its end.')
output url string = vault.properties.vaultUri
