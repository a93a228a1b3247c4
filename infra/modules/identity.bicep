// The one identity of the app: it reads its queues, signs with the key and signs in to the registries.

@description('Where it is made.')
param location string

@description('The token that names of this environment end in, of `uniqueString`.')
@minLength(13)
@maxLength(13)
param nameToken string

@description('Tags of everything that is made.')
param tags object

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: 'id-${nameToken}'
  location: location
  tags: tags
}

@description('The resource id, by which the app is given the identity.')
output id string = identity.id

@description('The client id, by which the app asks for a token of it.')
output clientId string = identity.properties.clientId

@description('The object id, to which roles are assigned.')
output principalId string = identity.properties.principalId
