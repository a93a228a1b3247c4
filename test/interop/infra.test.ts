import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { join } from 'node:path';
import { DEFAULT_SCHEDULE } from '../../src/settings.js';
import { bicep, Workspace } from './infra/bicep.js';
import type { Snapshot } from './infra/bicep.js';
import { createdNames } from './infra/created-names.js';
import { namesOf, one, rolesOf } from './infra/predicted.js';
import type { Modes } from './infra/predicted.js';
import { API_VERSIONS, REFUSED_ON_FLEX, SITE_CHILDREN, SITE_PROPERTIES } from './infra/sources.js';

const suite = bicep === undefined && process.env['CI'] === undefined ? describe.skip : describe;

const CLASSIC: Modes = { Example: 'classic' };
const TWO: Modes = { sourcereg: 'abac', targetreg: 'classic' };
const LOGIN_SERVER =
  "toLower(reference('/subscriptions/00000000-0000-0000-0000-00000000000N/resourceGroups/GROUP/providers/Microsoft.ContainerRegistry/registries/NAME', '2025-11-01').loginServer)";

/** How a snapshot writes the host of a registry: read from the registry itself, in subscription N. */
function loginServer(subscription: number, group: string, name: string): string {
  return LOGIN_SERVER.replace('N/', `${subscription}/`).replace('GROUP', group).replace('NAME', name);
}

/** Paths of all values in an object, as `a.b.c`; a list's index is left out. */
function paths(value: unknown, prefix = ''): string[] {
  if (typeof value !== 'object' || value === null) return [prefix];
  const isList = Array.isArray(value);
  return Object.entries(value).flatMap(([key, inner]) =>
    paths(inner, isList ? prefix : prefix === '' ? key : `${prefix}.${key}`),
  );
}

suite('infra/', () => {
  let workspace: Workspace;
  let least: Snapshot;
  let withoutSigning: Snapshot;
  let elsewhere: Snapshot;
  let two: Snapshot;
  let readOnly: Snapshot;
  let all: Snapshot[];

  beforeAll(() => {
    workspace = new Workspace(bicep);
    least = workspace.snapshot('least');
    withoutSigning = workspace.snapshot('without-signing');
    elsewhere = workspace.snapshot('abac-elsewhere');
    two = workspace.snapshot('two-registries');
    readOnly = workspace.snapshot('read-only-source');
    all = [least, withoutSigning, elsewhere, two, readOnly];
  }, 240_000);
  afterAll(() => workspace?.remove());

  test('the compiler predicts every resource of every combination without a diagnostic', () => {
    expect(all.map(({ diagnostics }) => diagnostics)).toEqual([[], [], [], [], []]);
  });

  describe('role assignments', () => {
    const group = '1/rg-test/providers';
    const storage = `${group}/Microsoft.Storage/storageAccounts/stTOKEN`;
    const vault = `${group}/Microsoft.KeyVault/vaults/kv-TOKEN`;
    const always = [
      `app: Monitoring Metrics Publisher on ${group}/Microsoft.Insights/components/appi-TOKEN`,
      `app: Storage Blob Data Owner on ${storage}`,
      `app: Storage Queue Data Contributor on ${storage}`,
      `app: Storage Table Data Contributor on ${storage}`,
      `topic: Storage Blob Data Contributor on ${storage}/blobServices/default/containers/dead-letters`,
      `topic: Storage Queue Data Message Sender on ${storage}/queueServices/default/queues/registry-events`,
    ];
    const signs = `app: Key Vault Crypto User on ${vault}/keys/signing`;
    const registry = (place: string): string =>
      place.replace(/\/([^/]+)$/, '/providers/Microsoft.ContainerRegistry/registries/$1');

    test('with the least parameters the app gets only the roles it needs', () => {
      const pushes = `app: AcrPush on ${registry('1/rg-registry/Example')}`;
      expect(rolesOf(least, CLASSIC)).toEqual([...always, pushes, signs].sort());
      expect(rolesOf(withoutSigning, CLASSIC)).toEqual([...always, pushes].sort());
    });

    test('a registry with repository permissions gets conditions', () => {
      expect(rolesOf(least, { Example: 'abac' })).toEqual(
        [
          ...always,
          `app: Container Registry Repository Catalog Lister on ${registry('1/rg-registry/Example')}`,
          `app: Container Registry Repository Writer on ${registry('1/rg-registry/Example')}`,
          signs,
        ].sort(),
      );
    });

    test('in an ABAC registry of another group the app gets the prefixes, and the person what the hook needs', () => {
      const platform = registry('2/rg-platform/labelled');
      expect(rolesOf(elsewhere, { labelled: 'abac' })).toEqual(
        [
          ...always,
          `app: Container Registry Repository Catalog Lister on ${platform}`,
          `app: Container Registry Repository Writer on ${platform} for samples/, base/, staging/`,
          `person: Key Vault Crypto User on ${vault}/keys/signing`,
          `person: Storage Blob Data Contributor on ${storage}`,
          signs,
        ].sort(),
      );
    });

    test('two other registries, jobs with credentials and a deploying pipeline get their roles and no others', () => {
      expect(rolesOf(two, TWO)).toEqual(
        [
          ...always,
          `app: AcrPush on ${registry('3/rg-target/targetreg')}`,
          `app: Container Registry Repository Catalog Lister on ${registry('2/rg-source/sourcereg')}`,
          `app: Container Registry Repository Writer on ${registry('2/rg-source/sourcereg')}`,
          `app: Key Vault Secrets User on ${vault}`,
          `pipeline: Key Vault Crypto User on ${vault}/keys/signing`,
          `pipeline: Key Vault Secrets Officer on ${vault}`,
          `pipeline: Storage Blob Data Contributor on ${storage}`,
          signs,
        ].sort(),
      );
    });

    test.each([
      ['abac', ['Container Registry Repository Catalog Lister', 'Container Registry Repository Reader']],
      ['classic', ['AcrPull']],
    ] as const)('a source that is only read, %s', (mode, expected) => {
      const roles = rolesOf(readOnly, { sourcereg: mode, targetreg: 'classic' });
      const onSource = roles.filter((line) => line.includes(' on 2/rg-source/'));
      expect(onSource.map((line) => line.replace('app: ', '').split(' on ')[0])).toEqual(expected);
      expect(onSource.filter((line) => line.endsWith(' for samples/'))).toHaveLength(mode === 'abac' ? 1 : 0);
    });

    test('a condition names every data action of its role, since an action that it omits is allowed everywhere', () => {
      const conditions = (snapshot: Snapshot): unknown[] =>
        snapshot.predictedResources
          .filter(({ properties }) => typeof properties?.['condition'] === 'string')
          .map(({ properties }) => [properties?.['condition'], properties?.['conditionVersion']]);
      const name = '@Request[Microsoft.ContainerRegistry/registries/repositories:name] StringStartsWithIgnoreCase';
      const not = (actions: string[]): string =>
        actions
          .map((action) => `!(ActionMatches{'Microsoft.ContainerRegistry/registries/repositories/${action}'})`)
          .join(' AND ');
      const read = ['content/read', 'metadata/read'];
      const write = [...read, 'content/write', 'metadata/write'];
      expect(conditions(elsewhere)).toEqual([
        [`((${not(write)}) OR (${name} 'samples/' OR ${name} 'base/' OR ${name} 'staging/'))`, '2.0'],
      ]);
      expect(conditions(readOnly)).toEqual([[`((${not(read)}) OR (${name} 'samples/'))`, '2.0']]);
      expect(conditions(two)).toEqual([]);
    });
  });

  test('storage has no key and no anonymous reader, and lets Event Grid through the firewall', () => {
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

  test('queues, tables and containers are the ones that the code creates', async () => {
    const names = await createdNames();
    // Of the host: the package; of the hook: the certificate; of steps that come later: files of push and pull, layers, rules.
    const more = ['certificates', 'deployment', 'layers', 'rules', 'source', 'target'];
    const storage = 'Microsoft.Storage/storageAccounts';
    expect(namesOf(least, `${storage}/queueServices/queues`)).toEqual(names.queues);
    expect(namesOf(least, `${storage}/tableServices/tables`)).toEqual(names.tables);
    expect(namesOf(least, `${storage}/blobServices/containers`)).toEqual(
      [...new Set([...names.containers, ...more])].sort(),
    );
    expect(names.queues).toHaveLength(6);
  });

  test('the vault has access by role, no early purge by default, and one signing key', () => {
    expect(one(elsewhere, 'Microsoft.KeyVault/vaults').properties?.['enablePurgeProtection']).toBeNull();
    expect(namesOf(withoutSigning, 'Microsoft.KeyVault/vaults')).toEqual([]);
    expect(namesOf(withoutSigning, 'Microsoft.KeyVault/vaults/keys')).toEqual([]);
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

  test('telemetry is sent by identity only', () => {
    expect(one(least, 'Microsoft.Insights/components').properties).toMatchObject({ DisableLocalAuth: true });
    expect(one(least, 'Microsoft.OperationalInsights/workspaces').properties).toMatchObject({
      features: { disableLocalAuth: true },
      workspaceCapping: { dailyQuotaGb: 1 },
    });
  });

  test('the app has Flex Consumption, Node 22, one identity and no password', () => {
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
        siteConfig: { alwaysOn: false },
      },
    });
    expect(one(least, 'Microsoft.Web/sites/basicPublishingCredentialsPolicies').properties).toEqual({ allow: false });
  });

  test('each property of the app has a source that says Flex Consumption accepts it', () => {
    for (const snapshot of all) {
      const { properties } = one(snapshot, 'Microsoft.Web/sites');
      expect(paths(properties).filter((path) => !(path in SITE_PROPERTIES))).toEqual([]);
      const children = snapshot.predictedResources
        .filter(({ type }) => type.startsWith('Microsoft.Web/sites/'))
        .map(({ type, name }) => `${type} ${name.split('/').at(-1)}`);
      expect(children.filter((child) => !(child in SITE_CHILDREN))).toEqual([]);
    }
    const used = new Set(all.flatMap((snapshot) => paths(one(snapshot, 'Microsoft.Web/sites').properties)));
    expect(Object.keys(SITE_PROPERTIES).filter((path) => !used.has(path))).toEqual([]);
    expect(Object.values(SITE_PROPERTIES).every((source) => /^(?:samples|quickstart|terraform)/.test(source))).toBe(
      true,
    );
  });

  test('no resource has a property that Flex Consumption is known to refuse', () => {
    const refused = REFUSED_ON_FLEX.map((name) => name.toLowerCase());
    for (const { predictedResources } of all) {
      const web = predictedResources.filter(({ type }) => type.startsWith('Microsoft.Web/'));
      const names = web.flatMap(({ properties }) => paths(properties)).flatMap((path) => path.toLowerCase().split('.'));
      expect(names.filter((name) => refused.includes(name))).toEqual([]);
    }
    expect(paths({ siteConfig: { ftpsState: 'Disabled' } })).toEqual(['siteConfig.ftpsState']);
  });

  test('events go as CloudEvents by the identity of the topic into the queue, and dead letters are kept', () => {
    expect(one(least, 'Microsoft.EventGrid/systemTopics')).toMatchObject({
      location:
        "[reference('/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-registry/providers/Microsoft.ContainerRegistry/registries/Example', '2025-11-01', 'full').location]",
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

  test('an existing topic is used, in the group of the registry', () => {
    expect(namesOf(two, 'Microsoft.EventGrid/systemTopics')).toEqual([]);
    expect(one(two, 'Microsoft.EventGrid/systemTopics/eventSubscriptions').id).toMatch(
      /^\/subscriptions\/0{8}-0000-0000-0000-0{11}2\/resourceGroups\/rg-source\/.*\/systemTopics\/topic-of-source\//,
    );
  });

  test('the settings of the app are those that the code reads', () => {
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
      'REGISTRY_IDS',
      'RUN_RETENTION_DAYS',
      'SIGNING_CERTIFICATE_CHAIN',
      'SIGNING_KEY',
    ]);
    const host = loginServer(1, 'rg-registry', 'Example');
    expect(settings).toMatchObject({
      // Read from the registry: with a domain name label it is not its name.
      ALLOWED_REGISTRIES: `[join(createArray(${host}), ',')]`,
      REGISTRY_IDS: `[join(createArray(format('{0}={1}', ${host}, '/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-registry/providers/Microsoft.ContainerRegistry/registries/Example')), ',')]`,
      SIGNING_KEY: expect.stringMatching(/\/keys\/signing', '[^']+'\)\.keyUri\]$/),
      SIGNING_CERTIFICATE_CHAIN: expect.stringMatching(
        /^\[format\('\{0\}certificates\/signing\.pem', .*primaryEndpoints\.blob\)\]$/,
      ),
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
    });
    const [source, destination] = [loginServer(2, 'rg-source', 'sourcereg'), loginServer(3, 'rg-target', 'targetreg')];
    expect(given?.['ALLOWED_REGISTRIES']).toBe(
      `[join(union(createArray(${source}, ${destination}), createArray('docker.io')), ',')]`,
    );
    expect(String(given?.['REGISTRY_IDS']).match(/format\('\{0\}=\{1\}'/g)).toHaveLength(2);
    // The same registry twice, written differently: one host.
    expect(one(elsewhere, 'Microsoft.Web/sites/config').properties?.['ALLOWED_REGISTRIES']).toBe(
      `[join(createArray(${loginServer(2, 'rg-platform', 'labelled')}), ',')]`,
    );
    const unsigned = one(withoutSigning, 'Microsoft.Web/sites/config').properties ?? {};
    expect(Object.keys(unsigned).filter((name) => name.startsWith('SIGNING'))).toEqual([]);
    expect(JSON.parse(String(given?.['JOB_CREDENTIALS']))).toMatchObject({ hub: { username: 'robot' } });
  });

  describe('the compiled template', () => {
    let text = '';
    beforeAll(() => {
      text = workspace.run(['build', join('infra', 'main.bicep'), '--stdout']).stdout;
    });

    test('takes no key and outputs no secret', () => {
      expect(text).not.toMatch(
        /listKeys|listAccountSas|listServiceSas|listSecrets|AccountKey|SharedAccess|secureString|secureObject|core\.windows\.net/i,
      );
      const { outputs } = JSON.parse(text) as { outputs: Record<string, unknown> };
      expect(Object.keys(outputs).sort()).toEqual([
        'AZURE_RESOURCE_GROUP',
        'DESTINATION_LOGIN_SERVER',
        'KEY_VAULT_NAME',
        'PROMOTER_NAME',
        'PROMOTER_URL',
        'REGISTRY_LOGIN_SERVER',
        'SIGNING_CERTIFICATE_CHAIN',
        'SIGNING_KEY',
        'STORAGE_ACCOUNT_NAME',
      ]);
    });

    test('every type has a version that the Bicep of azd knows', () => {
      const found = [...text.matchAll(/"type": "(Microsoft\.[^"]+)",\s+"apiVersion": "([^"]+)"/g)];
      const read = [
        ...text.matchAll(/Microsoft\.ContainerRegistry\/registries', parameters\('registryName'\)\), '([^']+)'/g),
      ];
      const types = new Set([
        ...found.map(([, type, version]) => `${type}@${version}`),
        ...read.map(([, version]) => `Microsoft.ContainerRegistry/registries@${version}`),
      ]);
      types.delete('Microsoft.Resources/deployments@2025-04-01');
      expect([...types].sort()).toEqual(API_VERSIONS);
    });
  });
});
