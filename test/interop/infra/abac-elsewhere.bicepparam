// A registry with repository permissions and a domain name label, in another subscription and resource group, deployed by a person.
using '../../../infra/main.bicep'

param environmentName = 'test'
param location = 'westeurope'
param sourceRegistry = {
  name: 'labelled'
  resourceGroup: 'rg-platform'
  subscriptionId: '00000000-0000-0000-0000-000000000002'
  repositoryPrefixes: ['samples/', 'base']
}
param destinationRegistry = {
  name: 'labelled'
  resourceGroup: 'RG-Platform'
  subscriptionId: '00000000-0000-0000-0000-000000000002'
  repositoryPrefixes: ['staging/']
}
param vaultPurgeProtection = false
param principalId = '00000000-0000-0000-0000-00000000000a'
