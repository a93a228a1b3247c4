// The registry's system topic. A source has at most one, in its own subscription and location; an existing one is used. Only a topic
// with a system-assigned identity can deliver to a storage account without keys.

@description('The registry\'s name, in this resource group.')
param registryName string

@description('The registry\'s location.')
param location string

@description('Tags of all resources.')
param tags object

resource registry 'Microsoft.ContainerRegistry/registries@2025-11-01' existing = {
  name: registryName
}

resource topic 'Microsoft.EventGrid/systemTopics@2025-02-15' = {
  name: 'evgt-${registryName}'
  location: location
  tags: tags
  identity: {
    type: 'SystemAssigned'
  }
  properties: {
    source: registry.id
    topicType: 'Microsoft.ContainerRegistry.Registries'
  }
}

@description('The topic\'s name.')
output name string = topic.name

@description('Object id of the topic\'s identity.')
output principalId string = topic.identity.principalId
