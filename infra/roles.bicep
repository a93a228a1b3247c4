// Ids of the built-in roles that are assigned, by Azure's names for them.

@export()
@description('Storage Blob Data Owner')
var blobDataOwner = 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b'

@export()
@description('Storage Blob Data Contributor')
var blobDataContributor = 'ba92f5b4-2d11-453d-a403-e96b0029c9fe'

@export()
@description('Storage Queue Data Contributor')
var queueDataContributor = '974c5e8b-45b9-4653-ba55-5f855dd0fb88'

@export()
@description('Storage Queue Data Message Sender')
var queueMessageSender = 'c6a89b2d-59bc-44d0-9896-0f6e12d7b80a'

@export()
@description('Storage Table Data Contributor')
var tableDataContributor = '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3'

@export()
@description('Key Vault Crypto User')
var cryptoUser = '12338af0-0e69-4776-bea7-57ae8d297424'

@export()
@description('Key Vault Secrets User')
var secretsUser = '4633458b-17de-408a-b874-0445c86b69e6'

@export()
@description('Key Vault Secrets Officer')
var secretsOfficer = 'b86a8fe4-44ce-4948-aee5-eccb2c155cd7'

@export()
@description('Monitoring Metrics Publisher')
var metricsPublisher = '3913510d-42f4-4e42-8a64-420c390055eb'

@export()
@description('AcrPull: pulls, in a registry without repository permissions')
var acrPull = '7f951dda-4ed3-4680-a7ca-43fe172d538d'

@export()
@description('AcrPush: pushes and pulls, in a registry without repository permissions')
var acrPush = '8311e382-0749-4cb8-b61a-304f252e45ec'

@export()
@description('Container Registry Repository Reader: pulls, in a registry with repository permissions')
var repositoryReader = 'b93aa761-3e63-49ed-ac28-beffa264f7ac'

@export()
@description('Container Registry Repository Writer: the same, in a registry with repository permissions')
var repositoryWriter = '2a1e307c-b015-4ebd-883e-5b7698a07328'

@export()
@description('Container Registry Repository Catalog Lister: rules with wildcards, on a schedule')
var catalogLister = 'bfdb9389-c9a5-478a-bb2f-ba9ca092c3c7'
