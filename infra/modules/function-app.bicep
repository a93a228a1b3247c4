// The app, on Flex Consumption. FUNCTIONS_WORKER_RUNTIME, FUNCTIONS_EXTENSION_VERSION and linuxFxVersion must not be set there,
// because functionAppConfig replaces them.

@description('Location.')
param location string

@description('Suffix of the names in this environment, from `uniqueString`.')
@minLength(13)
@maxLength(13)
param nameToken string

@description('Tags of all resources.')
param tags object

@description('Resource id of the app\'s identity.')
param identityId string

@description('Client id of the app\'s identity.')
param clientId string

@description('The storage account that host, app and deployment use.')
param storageAccountName string

@description('URL of the account\'s blobs, with a slash at the end.')
param blobEndpoint string

@description('Where the app sends telemetry.')
param insightsConnectionString string

@description('Settings of the app itself: names and values.')
param settings object

var hostSettings = {
  AzureWebJobsStorage__accountName: storageAccountName
  AzureWebJobsStorage__clientId: clientId
  AzureWebJobsStorage__credential: 'managedidentity'
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${clientId};Authorization=AAD'
  APPLICATIONINSIGHTS_CONNECTION_STRING: insightsConnectionString
  AZURE_CLIENT_ID: clientId
}

resource plan 'Microsoft.Web/serverfarms@2025-03-01' = {
  name: 'plan-${nameToken}'
  location: location
  tags: tags
  kind: 'functionapp'
  sku: {
    name: 'FC1'
    tier: 'FlexConsumption'
  }
  properties: {
    reserved: true
  }
}

resource app 'Microsoft.Web/sites@2025-03-01' = {
  name: 'func-${nameToken}'
  location: location
  tags: union(tags, { 'azd-service-name': 'promoter' })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identityId}': {}
    }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    functionAppConfig: {
      runtime: {
        name: 'node'
        version: '22'
      }
      deployment: {
        storage: {
          type: 'blobContainer'
          value: '${blobEndpoint}deployment'
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identityId
          }
        }
      }
      scaleAndConcurrency: {
        instanceMemoryMB: 2048
        // A registry accepts a few thousand requests a minute from one identity, so more instances would only wait.
        maximumInstanceCount: 40
        alwaysReady: [
          {
            // Orchestrations on Azure Storage need a running instance that polls for them.
            name: 'durable'
            instanceCount: 1
          }
        ]
      }
    }
    // Only properties that Microsoft's Flex Consumption samples set: Azure refuses some properties of other plans there, for example
    // ftpsState. A test checks that each property has a source.
    siteConfig: {
      alwaysOn: false
    }
  }

  resource appSettings 'config' = {
    name: 'appsettings'
    properties: union(hostSettings, settings)
  }

  // Publishing by user name and password would be a shared secret. There is no FTP on Flex Consumption.
  resource scmWithoutPassword 'basicPublishingCredentialsPolicies' = {
    name: 'scm'
    properties: {
      allow: false
    }
  }
}

@description('The app\'s name.')
output name string = app.name

@description('The app\'s address.')
output url string = 'https://${app.properties.defaultHostName}'
