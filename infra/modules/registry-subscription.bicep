// Sends the registry's pushes and deletions to the queue, as CloudEvents.

@description('The registry\'s system topic, in this resource group.')
param topicName string

@description('Suffix of the names in this environment. Two environments may use one registry.')
@minLength(13)
@maxLength(13)
param nameToken string

@description('Resource id of the storage account with the queue and the dead letters.')
param storageAccountId string

resource topic 'Microsoft.EventGrid/systemTopics@2025-02-15' existing = {
  name: topicName

  resource subscription 'eventSubscriptions' = {
    name: 'acr-promoter-${nameToken}'
    properties: {
      eventDeliverySchema: 'CloudEventSchemaV1_0'
      filter: {
        includedEventTypes: [
          'Microsoft.ContainerRegistry.ImagePushed'
          'Microsoft.ContainerRegistry.ImageDeleted'
          'Microsoft.ContainerRegistry.ChartPushed'
          'Microsoft.ContainerRegistry.ChartDeleted'
        ]
      }
      deliveryWithResourceIdentity: {
        identity: {
          type: 'SystemAssigned'
        }
        destination: {
          endpointType: 'StorageQueue'
          properties: {
            resourceId: storageAccountId
            queueName: 'registry-events'
            // Messages never expire: events wait while PROMOTION_PAUSED is true.
            queueMessageTimeToLiveInSeconds: -1
          }
        }
      }
      deadLetterWithResourceIdentity: {
        identity: {
          type: 'SystemAssigned'
        }
        deadLetterDestination: {
          endpointType: 'StorageBlob'
          properties: {
            resourceId: storageAccountId
            blobContainerName: 'dead-letters'
          }
        }
      }
      retryPolicy: {
        maxDeliveryAttempts: 30
        eventTimeToLiveInMinutes: 1440
      }
    }
  }
}
