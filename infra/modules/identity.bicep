// The app's identity. The app uses it for its queues, for signing, and to sign in to the registries.

@description('Location.')
param location string

@description('Suffix of the names in this environment, from `uniqueString`.')
@minLength(13)
@maxLength(13)
param nameToken string

@description('Tags of all resources.')
param tags object

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: 'id-${nameToken}'
  location: location
  tags: tags
}

@description('The resource id, with which the identity is assigned to the app.')
output id string = identity.id

@description('The client id, with which the app requests tokens.')
output clientId string = identity.properties.clientId

@description('The object id, to which roles are assigned.')
output principalId string = identity.properties.principalId
