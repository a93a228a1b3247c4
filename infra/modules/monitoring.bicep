// Logs and telemetry. Keys cannot be used to write or read them.

import { metricsPublisher } from '../roles.bicep'

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

resource workspace 'Microsoft.OperationalInsights/workspaces@2025-07-01' = {
  name: 'log-${nameToken}'
  location: location
  tags: tags
  properties: {
    sku: {
      name: 'PerGB2018'
    }
    retentionInDays: 30
    features: {
      disableLocalAuth: true
    }
    workspaceCapping: {
      // Limits the cost if the app logs in a loop: at most a gigabyte a day.
      dailyQuotaGb: 1
    }
  }
}

resource insights 'Microsoft.Insights/components@2020-02-02' = {
  name: 'appi-${nameToken}'
  location: location
  tags: tags
  kind: 'web'
  properties: {
    Application_Type: 'web'
    DisableLocalAuth: true
    IngestionMode: 'LogAnalytics'
    WorkspaceResourceId: workspace.id
  }
}

resource publisher 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: insights
  name: guid(insights.id, principalId, metricsPublisher)
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', metricsPublisher)
  }
}

@description('Where the app sends its telemetry. Not a secret: its key has no effect without local authentication.')
output connectionString string = insights.properties.ConnectionString
