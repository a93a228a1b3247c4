// Queues, blobs and tables of the app, its host and its deployment. There are no keys; every access uses an identity.

import { blobDataContributor, blobDataOwner, queueDataContributor, tableDataContributor } from '../roles.bicep'
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

// The code uses these names (docs/reference/settings.md). A test compares them.
var containerNames = [
  'certificates'
  'dead-letters'
  'deployment'
  'documents'
  'layers'
  'leases'
  'receipts'
  'rules'
  'source'
  'target'
]
var queueNames = [
  'jobs'
  'jobs-poison'
  'promotion-results'
  'registry-events'
  'registry-events-poison'
  'schedule'
]
var tableNames = [
  'promotions'
  'runs'
]

resource account 'Microsoft.Storage/storageAccounts@2025-06-01' = {
  name: 'st${nameToken}'
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: {
    name: 'Standard_LRS'
  }
  properties: {
    accessTier: 'Hot'
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    isLocalUserEnabled: false
    minimumTlsVersion: 'TLS1_2'
    publicNetworkAccess: 'Enabled'
    supportsHttpsTrafficOnly: true
    networkAcls: {
      // Event Grid delivers as a trusted service. Without this, a firewall that is added later would block all events.
      bypass: 'AzureServices'
      defaultAction: 'Allow'
    }
  }

  resource blobService 'blobServices' = {
    name: 'default'
    properties: {
      deleteRetentionPolicy: {
        enabled: true
        days: 7
      }
    }

    resource container 'containers' = [
      for name in containerNames: {
        name: name
        properties: {
          publicAccess: 'None'
        }
      }
    ]
  }

  // What a layer contributes to SBOMs is read from the registry again when it is gone.
  resource lifecycle 'managementPolicies' = {
    name: 'default'
    properties: {
      policy: {
        rules: [
          {
            name: 'layers'
            enabled: true
            type: 'Lifecycle'
            definition: {
              filters: {
                blobTypes: [
                  'blockBlob'
                ]
                prefixMatch: [
                  'layers/'
                ]
              }
              actions: {
                baseBlob: {
                  delete: {
                    daysAfterModificationGreaterThan: 7
                  }
                }
              }
            }
          }
        ]
      }
    }
    dependsOn: [
      blobService
    ]
  }

  resource queueService 'queueServices' = {
    name: 'default'

    resource queue 'queues' = [
      for name in queueNames: {
        name: name
      }
    ]
  }

  resource tableService 'tableServices' = {
    name: 'default'

    resource table 'tables' = [
      for name in tableNames: {
        name: name
      }
    ]
  }
}

// On the account and not on single containers and queues, because the host and Durable Functions create their own.
resource roles 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for role in [blobDataOwner, queueDataContributor, tableDataContributor]: {
    scope: account
    name: guid(account.id, principalId, role)
    properties: {
      principalId: principalId
      principalType: 'ServicePrincipal'
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role)
    }
  }
]

// To upload the rules; the hook also uploads the certificate.
resource deployerRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(deployer.id)) {
  scope: account
  name: guid(account.id, deployer.id, blobDataContributor)
  properties: {
    principalId: deployer.id
    principalType: deployer.type
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', blobDataContributor)
  }
}

@description('The account\'s name.')
output name string = account.name

@description('The account\'s resource id.')
output id string = account.id

@description('URL of its blobs, with a slash at the end.')
output blobEndpoint string = account.properties.primaryEndpoints.blob
