/**
 * Why each property of the app's site is accepted on Flex Consumption, where Azure refuses what other plans take. Nothing here can
 * ask Azure, so that a property without a source is no property of ours.
 *
 * samples: https://github.com/Azure-Samples/azure-functions-flex-consumption-samples (9519a36), IaC/bicep/main.bicep: it sets these
 * through Microsoft's own module avm/res/web/site, which sends them on.
 * quickstart: https://github.com/Azure-Samples/functions-quickstart-typescript-azd-eventgrid-blob (36cd41b), infra/app/processor.bicep
 */
export const SITE_PROPERTIES: Record<string, string> = {
  serverFarmId: 'samples: serverFarmResourceId',
  httpsOnly: 'samples: avm/res/web/site 0.16.0 sends it, true by default',
  'siteConfig.alwaysOn': 'samples: siteConfig',
  'functionAppConfig.runtime.name': 'samples: functionAppConfig',
  'functionAppConfig.runtime.version': 'samples: functionAppConfig',
  'functionAppConfig.deployment.storage.type': 'samples: functionAppConfig',
  'functionAppConfig.deployment.storage.value': 'samples: functionAppConfig',
  'functionAppConfig.deployment.storage.authentication.type': 'quickstart: UserAssignedIdentity',
  'functionAppConfig.deployment.storage.authentication.userAssignedIdentityResourceId': 'quickstart',
  'functionAppConfig.scaleAndConcurrency.instanceMemoryMB': 'samples: functionAppConfig',
  'functionAppConfig.scaleAndConcurrency.maximumInstanceCount': 'samples: functionAppConfig',
  'functionAppConfig.scaleAndConcurrency.alwaysReady.name':
    'terraform-provider-azurerm, function_app_flex_consumption_resource.go: ExpandAlwaysReadyConfiguration',
  'functionAppConfig.scaleAndConcurrency.alwaysReady.instanceCount':
    'terraform-provider-azurerm, function_app_flex_consumption_resource.go: ExpandAlwaysReadyConfiguration',
};

/** Children of the site, and what says that Flex Consumption has them. */
export const SITE_CHILDREN: Record<string, string> = {
  'Microsoft.Web/sites/config appsettings': 'samples: configs',
  'Microsoft.Web/sites/basicPublishingCredentialsPolicies scm':
    'terraform-provider-azurerm, function_app_flex_consumption_resource.go: UpdateScmAllowed',
};

/**
 * Refused with "Site.SiteConfig.X for Flex Consumption sites is invalid" (code 51021).
 * @see https://github.com/microsoft/azure-pipelines-tasks/issues/21032
 * @see https://github.com/Azure/terraform-azurerm-avm-res-web-site/issues/360
 * @see https://github.com/Azure/terraform-azurerm-avm-res-web-site/issues/283
 */
export const REFUSED_ON_FLEX = [
  'FtpsState',
  'Use32BitWorkerProcess',
  'PreWarmedInstanceCount',
  'NetFrameworkVersion',
  'FunctionsRuntimeScaleMonitoringEnabled',
  'LinuxFxVersion',
];

/**
 * The newest versions that both compilers know: Bicep 0.42.1, of the oldest azd that azure.yaml accepts (1.24.1), and 0.45.15, of
 * azd 1.31. Newer ones exist; with those compilers they are a warning, and nothing of the resource is checked.
 *
 * Source: https://github.com/Azure/bicep-types-az, folders `generated/…/<namespace>/<version>` at 404aacaa8 (2026-02-24; Bicep
 * v0.42.1 references Azure.Bicep.Types.Az 0.2.850) and at 920aa308b (2026-07-07; v0.45.15 references 0.2.881); which Bicep azd has:
 * https://github.com/Azure/azure-dev, cli/azd/pkg/tools/bicep/bicep.go.
 */
export const API_VERSIONS = [
  'Microsoft.Authorization/roleAssignments@2022-04-01',
  'Microsoft.ContainerRegistry/registries@2025-11-01',
  'Microsoft.EventGrid/systemTopics/eventSubscriptions@2025-02-15',
  'Microsoft.EventGrid/systemTopics@2025-02-15',
  'Microsoft.Insights/components@2020-02-02',
  'Microsoft.KeyVault/vaults/keys@2025-05-01',
  'Microsoft.KeyVault/vaults@2025-05-01',
  'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30',
  'Microsoft.OperationalInsights/workspaces@2025-07-01',
  'Microsoft.Resources/resourceGroups@2025-04-01',
  'Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01',
  'Microsoft.Storage/storageAccounts/blobServices@2025-06-01',
  'Microsoft.Storage/storageAccounts/managementPolicies@2025-06-01',
  'Microsoft.Storage/storageAccounts/queueServices/queues@2025-06-01',
  'Microsoft.Storage/storageAccounts/queueServices@2025-06-01',
  'Microsoft.Storage/storageAccounts/tableServices/tables@2025-06-01',
  'Microsoft.Storage/storageAccounts/tableServices@2025-06-01',
  'Microsoft.Storage/storageAccounts@2025-06-01',
  'Microsoft.Web/serverfarms@2025-03-01',
  'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2025-03-01',
  'Microsoft.Web/sites/config@2025-03-01',
  'Microsoft.Web/sites@2025-03-01',
];
