import { describe, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { DEFAULT_JOB_OPERATIONS, DEFAULT_SCHEDULE, namesSet, readSettings, type Settings } from '../../src/settings.js';

function problemsOf(environment: Record<string, string>): string[] {
  return readSettings(environment).problems.map(({ setting, message }) => `${setting}: ${message}`);
}

/** The settings; fails the test if there is a problem. */
function settingsOf(environment: Record<string, string>): Settings {
  const { settings, problems } = readSettings(environment);
  expect(problems).toEqual([]);
  return settings;
}

const REGISTRY_ID = '/subscriptions/11/resourceGroups/g/providers/Microsoft.ContainerRegistry/registries/DemoRegistry';

const DEFAULTS = {
  PROMOTION_RULES: undefined,
  PROMOTION_SCHEDULE: DEFAULT_SCHEDULE,
  PROMOTION_PAUSED: false,
  RUN_RETENTION_DAYS: 30,
  ALLOWED_REGISTRIES: [],
  AZURE_REGISTRIES: [],
  REGISTRY_IDS: new Map(),
  SIGNING_KEY: undefined,
  SIGNING_CERTIFICATE_CHAIN: [],
  JOB_OPERATIONS: DEFAULT_JOB_OPERATIONS.split(','),
  JOB_SCOPES: {},
  JOB_CREDENTIALS: {},
  COPY_PART_BYTES: 256 * 1024 ** 2,
  WALK_REQUESTS: 5000,
  SCAN_REQUESTS: 250,
  RESYNC_REQUESTS: 25,
  SBOM_LIMITS: {},
  AZURE_CLIENT_ID: undefined,
  AzureWebJobsStorage: undefined,
  AzureWebJobsStorage__accountName: undefined,
};

test('without settings no registry is allowed and everything else has its default', () => {
  expect(settingsOf({})).toEqual(DEFAULTS);
  expect(settingsOf({ PATH: '/bin', WEBSITE_SITE_NAME: 'x' })).toEqual(settingsOf({}));
});

test('an empty value is the same as no value', () => {
  const empty = Object.fromEntries(
    Object.keys(DEFAULTS)
      .filter((name) => name !== 'JOB_OPERATIONS')
      .map((name) => [name, ' ']),
  );
  expect(settingsOf(empty)).toEqual(settingsOf({}));
});

describe('a valid setting', () => {
  test.each([
    ['PROMOTION_RULES', '{"rules":[]}', '{"rules":[]}'],
    ['PROMOTION_SCHEDULE', '30 0 */2 * * 1-5', '30 0 */2 * * 1-5'],
    ['PROMOTION_SCHEDULE', '0 0 6 1 Jan,Jul *', '0 0 6 1 Jan,Jul *'],
    ['PROMOTION_PAUSED', 'true', true],
    ['PROMOTION_PAUSED', 'False', false],
    ['PROMOTION_PAUSED', '1', true],
    [
      'REGISTRY_IDS',
      ` Demo-a1b2.azurecr.io=${REGISTRY_ID} `,
      new Map([[REGISTRY_ID.toLowerCase(), 'demo-a1b2.azurecr.io']]),
    ],
    [
      'ALLOWED_REGISTRIES',
      ' a.azurecr.io , localhost:5100,, [::1]:5000 ',
      ['a.azurecr.io', 'localhost:5100', '[::1]:5000'],
    ],
    ['ALLOWED_REGISTRIES', 'MyRegistry.AzureCR.io', ['myregistry.azurecr.io']],
    ['SIGNING_KEY', 'keys/key.pem', 'keys/key.pem'],
    [
      'JOB_CREDENTIALS',
      '{"hub":{"registry":"docker.io","username":"robot","secret":"https://v-a.vault.azure.net/secrets/hub"}}',
      { hub: { registry: 'docker.io', username: 'robot', secret: 'https://v-a.vault.azure.net/secrets/hub' } },
    ],
    ['SIGNING_KEY', 'https://v-a.vault.azure.net/keys/signing', 'https://v-a.vault.azure.net/keys/signing'],
    ['SIGNING_CERTIFICATE_CHAIN', 'keys/chain.pem', ['keys/chain.pem']],
    [
      'SIGNING_CERTIFICATE_CHAIN',
      'https://v-a.vault.azure.net/certificates/signing, issuers.pem',
      ['https://v-a.vault.azure.net/certificates/signing', 'issuers.pem'],
    ],
    ['JOB_OPERATIONS', 'promote, sign', ['promote', 'sign']],
    ['JOB_OPERATIONS', '', []],
    ['COPY_PART_BYTES', '33554432', 33_554_432],
    ['WALK_REQUESTS', '100', 100],
    ['SCAN_REQUESTS', '1000', 1000],
    ['RESYNC_REQUESTS', ' ', 25],
    ['SBOM_LIMITS', '{"entries":8000000,"workMs":1000}', { entries: 8_000_000, workMs: 1000 }],
    ['RUN_RETENTION_DAYS', '1', 1],
    ['RUN_RETENTION_DAYS', ' ', 30],
    ['JOB_SCOPES', '{"copy":["samples/**","!samples/tmp/**"]}', { copy: ['samples/**', '!samples/tmp/**'] }],
    ['JOB_SCOPES', '{"copy":{"from":["a/**"],"to":["b/**"]}}', { copy: { from: ['a/**'], to: ['b/**'] } }],
    ['JOB_SCOPES', '{"copy":{"to":["b/**"]}}', { copy: { to: ['b/**'] } }],
    ['AZURE_CLIENT_ID', 'id', 'id'],
    ['AzureWebJobsStorage', 'UseDevelopmentStorage=true', 'UseDevelopmentStorage=true'],
    ['AzureWebJobsStorage__accountName', 'account', 'account'],
    ['AzureWebJobsStorage__blobServiceUri', 'https://b', 'https://b'],
    ['AzureWebJobsStorage__queueServiceUri', 'https://q', 'https://q'],
    ['AzureWebJobsStorage__tableServiceUri', 'https://t', 'https://t'],
    ['AzureWebJobsStorage__clientId', 'id', 'id'],
  ] as [keyof Settings, string, unknown][])('%s=%s', (name, text, value) => {
    expect(settingsOf({ [name]: text })[name]).toEqual(value);
  });
});

test('certificates at a URL require a key in Key Vault', () => {
  const chain = 'https://account.blob.core.windows.net/rules/signing.pem';
  const named = { SIGNING_CERTIFICATE_CHAIN: chain, SIGNING_KEY: 'https://v-a.vault.azure.net/keys/signing' };
  expect(problemsOf(named)).toEqual([]);
  expect(problemsOf({ ...named, SIGNING_KEY: 'keys/key.pem' })).toEqual([
    expect.stringMatching(/^SIGNING_CERTIFICATE_CHAIN: /),
  ]);
});

describe('an invalid setting', () => {
  test.each([
    ['PROMOTION_SCHEDULE', '*/5 * * * *'],
    ['SIGNING_KEY', 'https://v-a.vault.azure.net/secrets/signing'],
    ['SIGNING_KEY', 'https://v-a.vault.example/keys/signing'],
    ['SIGNING_KEY', 'http://v-a.vault.azure.net/keys/signing'],
    ['PROMOTION_SCHEDULE', '0 */5 * * * * *'],
    ['PROMOTION_SCHEDULE', '0 61 * * * *'],
    ['PROMOTION_SCHEDULE', '@hourly'],
    ['PROMOTION_SCHEDULE', '00:05:00'],
    // Accepted by the library that checks it, but not by the Functions host.
    ['PROMOTION_SCHEDULE', '0 0 0 L * *'],
    ['PROMOTION_SCHEDULE', '0 0 0 ? * 1#2'],
    ['PROMOTION_PAUSED', 'perhaps'],
    ['ALLOWED_REGISTRIES', 'https://a.azurecr.io'],
    ['ALLOWED_REGISTRIES', 'a.azurecr.io/samples'],
    ['ALLOWED_REGISTRIES', '*'],
    ['AZURE_REGISTRIES', 'https://registry.example.org'],
    ['REGISTRY_IDS', 'demo.azurecr.io'],
    ['REGISTRY_IDS', 'demo.azurecr.io=demo'],
    ['REGISTRY_IDS', `https://demo.azurecr.io=${REGISTRY_ID}`],
    ['REGISTRY_IDS', `demo.azurecr.io=${REGISTRY_ID}/connectedRegistries/factory`],
    ['REGISTRY_IDS', `demo.azurecr.io=${REGISTRY_ID},other.azurecr.io=${REGISTRY_ID.toLowerCase()}`],
    ['REGISTRY_IDS', Array.from({ length: 101 }, (_, n) => `demo.azurecr.io=${REGISTRY_ID}${n}`).join(',')],
    ['JOB_OPERATIONS', 'promote,coppy'],
    ['JOB_SCOPES', '{"coppy":["samples/**"]}'],
    ['JOB_SCOPES', 'samples/**'],
    ['JOB_SCOPES', '{"copy":"samples/**"}'],
    ['JOB_SCOPES', '{"copy":[]}'],
    ['JOB_SCOPES', '["copy"]'],
    ['JOB_SCOPES', '{"copy":{}}'],
    ['JOB_SCOPES', '{"copy":{"to":[]}}'],
    ['JOB_SCOPES', '{"copy":{"to":["a/**"],"form":["b/**"]}}'],
    ['JOB_SCOPES', '{"copy":{"to":["localhost:5100/jobs/**"]}}'],
    ['JOB_SCOPES', '{"tag":{"to":["samples/**"]}}'],
    ['JOB_SCOPES', '{"push":["localhost:5100/jobs/**"]}'],
    ['JOB_SCOPES', '{"push":["jobs/**","!localhost:5100/jobs/tmp/**"]}'],
    ['JOB_SCOPES', '{"push":["https://a.azurecr.io/jobs/**"]}'],
    ['JOB_SCOPES', '{"push":["jobs/app:v1"]}'],
    ['JOB_CREDENTIALS', 'the-password'],
    ['JOB_CREDENTIALS', '{"hub":{"registry":"docker.io","username":"robot","secret":"the-password"}}'],
    ['JOB_CREDENTIALS', '{"hub":{"registry":"docker.io","username":"robot","password":"the-password"}}'],
    ['JOB_CREDENTIALS', '{"hub":{"registry":"https://docker.io","username":"robot","secret":"SECRET"}}'],
    ['JOB_CREDENTIALS', '{"Hub":{"registry":"docker.io","username":"robot","secret":"SECRET"}}'],
    ['JOB_CREDENTIALS', '{"hub":{"registry":"docker.io","secret":"SECRET"}}'],
    ['COPY_PART_BYTES', '4 GiB'],
    ['RUN_RETENTION_DAYS', '0'],
    ['RUN_RETENTION_DAYS', '1.5'],
    ['RUN_RETENTION_DAYS', 'for ever'],
    ['COPY_PART_BYTES', '1000'],
    ['WALK_REQUESTS', 'many'],
    ['WALK_REQUESTS', '99'],
    ['SCAN_REQUESTS', '0'],
    ['RESYNC_REQUESTS', '2.5'],
    ['SBOM_LIMITS', 'entries=1'],
    ['SBOM_LIMITS', '{"enties":1}'],
    ['SBOM_LIMITS', '{"entries":0}'],
    ['SBOM_LIMITS', '{"entries":"many"}'],
  ])('%s=%s', (name, text) => {
    const problems = problemsOf({ [name]: text.replace('SECRET', 'https://v-a.vault.azure.net/secrets/hub') });
    expect(problems[0]).toMatch(new RegExp(`^${name}: `));
    for (const problem of problems) expect(problem).not.toContain('the-password');
  });

  test('a scope that starts with an allowed registry is refused, other first segments are accepted', () => {
    const withHosts = (glob: string): Record<string, string> => ({
      ALLOWED_REGISTRIES: 'a.azurecr.io,localhost:5100',
      JOB_SCOPES: JSON.stringify({ push: [glob] }),
    });
    for (const glob of ['a.azurecr.io/jobs/**', '!A.azurecr.io/**', 'a.azurecr.io']) {
      expect(problemsOf(withHosts(glob))).toEqual([expect.stringMatching(/^JOB_SCOPES: ".*" names a host/)]);
    }
    for (const glob of ['docker.io/library/**', 'a.azurecr.io.old/**', '**', 'jobs/a.azurecr.io/**']) {
      expect(settingsOf(withHosts(glob)).JOB_SCOPES).toEqual({ push: [glob] });
    }
  });

  test('all problems are reported at once', () => {
    const problems = problemsOf({
      PROMOTION_SCHEDULE: 'sometimes',
      PROMOTION_PAUSED: 'perhaps',
      ALLOWED_REGISTRIES: 'a b,c d',
      JOB_SCOPES: '{',
      JOB_OPERATIONS: 'x',
    });
    expect(problems.map((problem) => problem.split(':')[0])).toEqual([
      'PROMOTION_SCHEDULE',
      'PROMOTION_PAUSED',
      'ALLOWED_REGISTRIES',
      'ALLOWED_REGISTRIES',
      'JOB_OPERATIONS',
      'JOB_SCOPES',
    ]);
  });

  test('the other settings are still read, and an invalid one gets its default', () => {
    const { settings } = readSettings({ PROMOTION_PAUSED: 'perhaps', RUN_RETENTION_DAYS: '7' });
    expect(settings).toMatchObject({ PROMOTION_PAUSED: false, RUN_RETENTION_DAYS: 7 });
  });

  test.each([
    [
      'ALLOWED_REGISTRIES',
      'DefaultEndpointsProtocol=https;AccountName=a;AccountKey=c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0;x',
    ],
    ['PROMOTION_SCHEDULE', 'https://a.blob.core.windows.net/r?sv=2024-01-01&sig=c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0'],
  ])('a secret that was put into %s by mistake is not shown', (name, text) => {
    const problems = problemsOf({ [name]: text });
    expect(problems).not.toEqual([]);
    for (const problem of problems) expect(problem).not.toContain('c2VjcmV0');
  });
});

test('namesSet returns the names of settings without their values', () => {
  expect(namesSet({ SIGNING_KEY: 'keys/key.pem', PROMOTION_RULES: ' ', PATH: '/bin' })).toEqual(['SIGNING_KEY']);
});

test('local.settings.sample.json is valid', () => {
  const sample = JSON.parse(readFileSync('local.settings.sample.json', 'utf8')) as { Values: Record<string, string> };
  expect(settingsOf(sample.Values)).toMatchObject({ ALLOWED_REGISTRIES: ['localhost:5100', 'localhost:5101'] });
});
