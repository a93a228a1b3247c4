import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { join } from 'node:path';
import { DEFAULT_SCHEDULE } from '../../src/settings.js';
import { bicep, Workspace } from './infra/bicep.js';
import type { Snapshot } from './infra/bicep.js';
import { createdNames } from './infra/created-names.js';
import { namesOf, one, rolesOf } from './infra/predicted.js';

const suite = bicep === undefined && process.env['CI'] === undefined ? describe.skip : describe;

suite('infra/', () => {
  let workspace: Workspace;
  let least: Snapshot;
  let two: Snapshot;
  let readOnly: Snapshot;

  beforeAll(() => {
    workspace = new Workspace(bicep);
    least = workspace.snapshot('least');
    two = workspace.snapshot('two-registries');
    readOnly = workspace.snapshot('read-only-source');
  }, 120_000);
  afterAll(() => workspace?.remove());

  test('nothing of the prediction is uncertain', () => {
    expect(least.diagnostics).toEqual([]);
    expect(two.diagnostics).toEqual([]);
    expect(readOnly.diagnostics).toEqual([]);
  });

  describe('who may do what', () => {
    test('the least', () => {
      expect(rolesOf(least)).toEqual([
        'app: AcrPush on 1/rg-registry/providers/Microsoft.ContainerRegistry/registries/Example',
        'app: Key Vault Crypto User on 1/rg-test/providers/Microsoft.KeyVault/vaults/kv-TOKEN/keys/signing',
        'app: Monitoring Metrics Publisher on 1/rg-test/providers/Microsoft.Insights/components/appi-TOKEN',
        'app: Storage Blob Data Owner on 1/rg-test/providers/Microsoft.Storage/storageAccounts/stTOKEN',
        'app: Storage Queue Data Contributor on 1/rg-test/providers/Microsoft.Storage/storageAccounts/stTOKEN',
        'app: Storage Table Data Contributor on 1/rg-test/providers/Microsoft.Storage/storageAccounts/stTOKEN',
        'topic: Storage Blob Data Contributor on 1/rg-test/providers/Microsoft.Storage/storageAccounts/stTOKEN/blobServices/default/containers/dead-letters',
        'topic: Storage Queue Data Message Sender on 1/rg-test/providers/Microsoft.Storage/storageAccounts/stTOKEN/queueServices/default/queues/registry-events',
      ]);
    });

    test('a source that is only read', () => {
      const onSource = rolesOf(readOnly).filter((line) => line.includes(' on 2/rg-source/'));
      expect(onSource.map((line) => line.split(' on ')[0])).toEqual([
        'app: Container Registry Repository Catalog Lister',
        'app: Container Registry Repository Reader',
      ]);
      expect(rolesOf(readOnly)).toHaveLength(rolesOf(least).length + 2);
    });

    test('two registries elsewhere', () => {
      const elsewhere = rolesOf(two).filter((line) => !line.includes(' on 1/rg-test/'));
      expect(elsewhere).toEqual([
        'app: AcrPush on 3/rg-target/providers/Microsoft.ContainerRegistry/registries/targetreg',
        'app: Container Registry Repository Catalog Lister on 2/rg-source/providers/Microsoft.ContainerRegistry/registries/sourcereg',
        'app: Container Registry Repository Writer on 2/rg-source/providers/Microsoft.ContainerRegistry/registries/sourcereg',
      ]);
      expect(rolesOf(two)).toHaveLength(rolesOf(least).length + 3);
      // Where jobs have credentials, their passwords.
      expect(rolesOf(two)).toContain(
        'app: Key Vault Secrets User on 1/rg-test/providers/Microsoft.KeyVault/vaults/kv-TOKEN',
      );
    });
  });

  test('storage: no key, no anonymous reader, and Event Grid gets through a firewall', () => {
    expect(one(least, 'Microsoft.Storage/storageAccounts')).toMatchObject({
      kind: 'StorageV2',
      sku: { name: 'Standard_LRS' },
      properties: {
        allowBlobPublicAccess: false,
        allowCrossTenantReplication: false,
        allowSharedKeyAccess: false,
        defaultToOAuthAuthentication: true,
        isLocalUserEnabled: false,
        minimumTlsVersion: 'TLS1_2',
        publicNetworkAccess: 'Enabled',
        supportsHttpsTrafficOnly: true,
        networkAcls: { bypass: 'AzureServices', defaultAction: 'Allow' },
      },
    });
    for (const resource of least.predictedResources) {
      if (resource.type === 'Microsoft.Storage/storageAccounts/blobServices/containers') {
        expect(resource.properties).toEqual({ publicAccess: 'None' });
      }
    }
  });

  test('queues, tables and containers are those that the code makes for itself elsewhere', async () => {
    const names = await createdNames();
    // Of the host: the package; of steps that come later: files of push and pull, layers, rules.
    const more = ['deployment', 'layers', 'rules', 'source', 'target'];
    const storage = 'Microsoft.Storage/storageAccounts';
    expect(namesOf(least, `${storage}/queueServices/queues`)).toEqual(names.queues);
    expect(namesOf(least, `${storage}/tableServices/tables`)).toEqual(names.tables);
    expect(namesOf(least, `${storage}/blobServices/containers`)).toEqual(
      [...new Set([...names.containers, ...more])].sort(),
    );
    expect(names.queues).toHaveLength(5);
  });

  test('vault: access by role, no early purge, one key that signs', () => {
    expect(one(least, 'Microsoft.KeyVault/vaults').properties).toEqual({
      tenantId: expect.any(String),
      sku: { family: 'A', name: 'standard' },
      enableRbacAuthorization: true,
      enableSoftDelete: true,
      enablePurgeProtection: true,
      softDeleteRetentionInDays: 90,
      publicNetworkAccess: 'Enabled',
      networkAcls: { bypass: 'AzureServices', defaultAction: 'Allow' },
    });
    expect(one(least, 'Microsoft.KeyVault/vaults/keys').properties).toEqual({
      kty: 'EC',
      curveName: 'P-256',
      keyOps: ['sign', 'verify'],
      attributes: { enabled: true, exportable: false },
    });
  });

  test('telemetry: by identity only', () => {
    expect(one(least, 'Microsoft.Insights/components').properties).toMatchObject({ DisableLocalAuth: true });
    expect(one(least, 'Microsoft.OperationalInsights/workspaces').properties).toMatchObject({
      features: { disableLocalAuth: true },
      workspaceCapping: { dailyQuotaGb: 1 },
    });
  });

  test('app: Flex Consumption, Node 22, one identity, no password', () => {
    expect(one(least, 'Microsoft.Web/serverfarms')).toMatchObject({
      sku: { name: 'FC1', tier: 'FlexConsumption' },
      kind: 'functionapp',
      properties: { reserved: true },
    });
    const app = one(least, 'Microsoft.Web/sites');
    expect(app).toMatchObject({
      kind: 'functionapp,linux',
      identity: { type: 'UserAssigned' },
      // azd finds the app by it.
      tags: { 'azd-env-name': 'test', 'azd-service-name': 'promoter' },
      properties: {
        httpsOnly: true,
        functionAppConfig: {
          runtime: { name: 'node', version: '22' },
          deployment: {
            storage: {
              type: 'blobContainer',
              value: expect.stringMatching(/^\[format\('\{0\}deployment', .*primaryEndpoints\.blob\)\]$/),
              authentication: { type: 'UserAssignedIdentity' },
            },
          },
          scaleAndConcurrency: {
            instanceMemoryMB: 2048,
            maximumInstanceCount: 40,
            alwaysReady: [{ name: 'durable', instanceCount: 1 }],
          },
        },
        siteConfig: { minTlsVersion: '1.2', scmMinTlsVersion: '1.2', ftpsState: 'Disabled' },
      },
    });
    const passwords = least.predictedResources.filter(
      ({ type }) => type === 'Microsoft.Web/sites/basicPublishingCredentialsPolicies',
    );
    expect(passwords.map(({ properties }) => properties)).toEqual([{ allow: false }, { allow: false }]);
  });

  test('events: CloudEvents by the topic\u2019s own identity into the queue, dead letters kept', () => {
    expect(one(least, 'Microsoft.EventGrid/systemTopics')).toMatchObject({
      location: 'northeurope',
      identity: { type: 'SystemAssigned' },
      properties: { topicType: 'Microsoft.ContainerRegistry.Registries' },
    });
    const { properties } = one(least, 'Microsoft.EventGrid/systemTopics/eventSubscriptions');
    const account = one(least, 'Microsoft.Storage/storageAccounts').id;
    expect(properties).toEqual({
      eventDeliverySchema: 'CloudEventSchemaV1_0',
      filter: {
        includedEventTypes: ['ImagePushed', 'ImageDeleted', 'ChartPushed', 'ChartDeleted'].map(
          (name) => `Microsoft.ContainerRegistry.${name}`,
        ),
      },
      deliveryWithResourceIdentity: {
        identity: { type: 'SystemAssigned' },
        destination: {
          endpointType: 'StorageQueue',
          properties: {
            resourceId: account,
            queueName: 'registry-events',
            queueMessageTimeToLiveInSeconds: -1,
          },
        },
      },
      deadLetterWithResourceIdentity: {
        identity: { type: 'SystemAssigned' },
        deadLetterDestination: {
          endpointType: 'StorageBlob',
          properties: { resourceId: account, blobContainerName: 'dead-letters' },
        },
      },
      retryPolicy: { maxDeliveryAttempts: 30, eventTimeToLiveInMinutes: 1440 },
    });
  });

  test('a topic that is there is taken, where the registry is', () => {
    expect(namesOf(two, 'Microsoft.EventGrid/systemTopics')).toEqual([]);
    expect(one(two, 'Microsoft.EventGrid/systemTopics/eventSubscriptions').id).toMatch(
      /^\/subscriptions\/0{8}-0000-0000-0000-0{11}2\/resourceGroups\/rg-source\/.*\/systemTopics\/topic-of-source\//,
    );
  });

  test('settings of the app', () => {
    const settings = one(least, 'Microsoft.Web/sites/config').properties ?? {};
    expect(Object.keys(settings).sort()).toEqual([
      'ALLOWED_REGISTRIES',
      'APPLICATIONINSIGHTS_AUTHENTICATION_STRING',
      'APPLICATIONINSIGHTS_CONNECTION_STRING',
      'AZURE_CLIENT_ID',
      'AzureWebJobsStorage__accountName',
      'AzureWebJobsStorage__clientId',
      'AzureWebJobsStorage__credential',
      'PROMOTION_PAUSED',
      'PROMOTION_RULES',
      'PROMOTION_SCHEDULE',
      'RUN_RETENTION_DAYS',
    ]);
    expect(settings).toMatchObject({
      ALLOWED_REGISTRIES:
        "[join(createArray(format('{0}{1}', 'example', environment().suffixes.acrLoginServer)), ',')]",
      AzureWebJobsStorage__credential: 'managedidentity',
      PROMOTION_PAUSED: 'false',
      PROMOTION_SCHEDULE: DEFAULT_SCHEDULE,
      RUN_RETENTION_DAYS: '30',
      PROMOTION_RULES: expect.stringMatching(/^\[format\('\{0\}rules\/rules\.json', /),
    });
    const given = one(two, 'Microsoft.Web/sites/config').properties;
    expect(given).toMatchObject({
      PROMOTION_PAUSED: 'true',
      PROMOTION_SCHEDULE: '0 0 * * * *',
      PROMOTION_RULES: 'rules.yaml',
      SIGNING_KEY: expect.stringMatching(/\/keys\/signing', '[^']+'\)\.keyUriWithVersion\]$/),
      SIGNING_CERTIFICATE_CHAIN: 'https://vault.example/certificates/chain/1',
    });
    expect(String(given?.['ALLOWED_REGISTRIES'])).toMatch(/'sourcereg'.*'targetreg'.*docker\.io/);
    expect(JSON.parse(String(given?.['JOB_CREDENTIALS']))).toMatchObject({ hub: { username: 'robot' } });
  });

  describe('the compiled template', () => {
    let text = '';
    beforeAll(() => {
      text = workspace.run(['build', join('infra', 'main.bicep'), '--stdout']).stdout;
    });

    test('takes no key and gives no secret', () => {
      expect(text).not.toMatch(
        /listKeys|listAccountSas|listServiceSas|listSecrets|AccountKey|SharedAccess|secureString|secureObject|core\.windows\.net/i,
      );
      const { outputs } = JSON.parse(text) as { outputs: Record<string, unknown> };
      expect(Object.keys(outputs).sort()).toEqual([
        'AZURE_RESOURCE_GROUP',
        'KEY_VAULT_URL',
        'PROMOTER_NAME',
        'PROMOTER_URL',
        'SIGNING_KEY',
        'STORAGE_ACCOUNT_NAME',
      ]);
    });

    test('its types and versions', () => {
      const types = new Set(least.predictedResources.map(({ type, apiVersion }) => `${type}@${apiVersion}`));
      expect([...types].sort()).toEqual([
        'Microsoft.Authorization/roleAssignments@2022-04-01',
        'Microsoft.EventGrid/systemTopics/eventSubscriptions@2025-02-15',
        'Microsoft.EventGrid/systemTopics@2025-02-15',
        'Microsoft.Insights/components@2020-02-02',
        'Microsoft.KeyVault/vaults/keys@2026-05-15',
        'Microsoft.KeyVault/vaults@2026-05-15',
        'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30',
        'Microsoft.OperationalInsights/workspaces@2026-03-01',
        'Microsoft.Resources/resourceGroups@2025-04-01',
        'Microsoft.Storage/storageAccounts/blobServices/containers@2026-06-01',
        'Microsoft.Storage/storageAccounts/blobServices@2026-06-01',
        'Microsoft.Storage/storageAccounts/queueServices/queues@2026-06-01',
        'Microsoft.Storage/storageAccounts/queueServices@2026-06-01',
        'Microsoft.Storage/storageAccounts/tableServices/tables@2026-06-01',
        'Microsoft.Storage/storageAccounts/tableServices@2026-06-01',
        'Microsoft.Storage/storageAccounts@2026-06-01',
        'Microsoft.Web/serverfarms@2025-03-01',
        'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2025-03-01',
        'Microsoft.Web/sites/config@2025-03-01',
        'Microsoft.Web/sites@2025-03-01',
      ]);
    });
  });
});
