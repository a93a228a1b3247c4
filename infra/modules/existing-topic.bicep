// The registry's existing system topic. It must have a system-assigned identity (docs/how-to/deploy.md).

@description('The topic\'s name, in this resource group.')
param topicName string

resource topic 'Microsoft.EventGrid/systemTopics@2025-02-15' existing = {
  name: topicName
}

@description('The topic\'s name.')
output name string = topic.name

@description('Object id of the topic\'s identity.')
output principalId string = topic.identity.principalId
