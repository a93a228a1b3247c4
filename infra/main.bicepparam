// azd fills in this file from its environment: `azd env set NAME VALUE` (docs/how-to/deploy.md lists the names).
using 'main.bicep'

param environmentName = readEnvironmentVariable('AZURE_ENV_NAME')
param location = readEnvironmentVariable('AZURE_LOCATION')

param sourceRegistry = {
  name: readEnvironmentVariable('REGISTRY_NAME')
  resourceGroup: readEnvironmentVariable('REGISTRY_RESOURCE_GROUP')
  subscriptionId: readEnvironmentVariable('REGISTRY_SUBSCRIPTION_ID', readEnvironmentVariable('AZURE_SUBSCRIPTION_ID'))
  repositoryPrefixes: filter(
    split(readEnvironmentVariable('REGISTRY_REPOSITORY_PREFIXES', ''), ','),
    prefix => !empty(prefix)
  )
}
param sourceReadOnly = bool(readEnvironmentVariable('REGISTRY_READ_ONLY', 'false'))
param existingTopicName = readEnvironmentVariable('REGISTRY_SYSTEM_TOPIC', '')

// Default: the source registry.
param destinationRegistry = {
  name: readEnvironmentVariable('DESTINATION_REGISTRY_NAME', readEnvironmentVariable('REGISTRY_NAME'))
  resourceGroup: readEnvironmentVariable(
    'DESTINATION_REGISTRY_RESOURCE_GROUP',
    readEnvironmentVariable('REGISTRY_RESOURCE_GROUP')
  )
  subscriptionId: readEnvironmentVariable(
    'DESTINATION_REGISTRY_SUBSCRIPTION_ID',
    readEnvironmentVariable('REGISTRY_SUBSCRIPTION_ID', readEnvironmentVariable('AZURE_SUBSCRIPTION_ID'))
  )
  repositoryPrefixes: filter(
    split(readEnvironmentVariable('DESTINATION_REGISTRY_REPOSITORY_PREFIXES', ''), ','),
    prefix => !empty(prefix)
  )
}

param promotionRules = readEnvironmentVariable('PROMOTION_RULES', '')
param promotionSchedule = readEnvironmentVariable('PROMOTION_SCHEDULE', '0 */5 * * * *')
param promotionPaused = bool(readEnvironmentVariable('PROMOTION_PAUSED', 'false'))
param runRetentionDays = int(readEnvironmentVariable('RUN_RETENTION_DAYS', '30'))
param signing = bool(readEnvironmentVariable('SIGNING', 'true'))
param vaultPurgeProtection = bool(readEnvironmentVariable('KEY_VAULT_PURGE_PROTECTION', 'true'))
// azd sets the first. Set the second for a service principal.
param principalId = readEnvironmentVariable('AZURE_PRINCIPAL_ID', '')
param principalType = readEnvironmentVariable('AZURE_PRINCIPAL_TYPE', 'User')
param jobCredentials = json(readEnvironmentVariable('JOB_CREDENTIALS', '{}'))
