import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { appendFileSync, cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bicep, Workspace } from './bicep.js';

const suite = bicep === undefined && process.env['CI'] === undefined ? describe.skip : describe;

const ENVIRONMENT: Record<string, string> = {
  AZURE_ENV_NAME: 'dev',
  AZURE_LOCATION: 'westeurope',
  AZURE_SUBSCRIPTION_ID: '00000000-0000-0000-0000-000000000001',
  REGISTRY_NAME: 'example',
  REGISTRY_RESOURCE_GROUP: 'rg-registry',
};

suite('the compiler says nothing of infra/', () => {
  let workspace: Workspace;

  beforeAll(() => {
    workspace = new Workspace(bicep);
  });
  afterAll(() => workspace?.remove());

  test.each(['build', 'lint'])('%s main.bicep', (command) => {
    const args = command === 'build' ? ['--stdout'] : [];
    const ran = workspace.run([command, join('infra', 'main.bicep'), ...args]);
    expect(ran).toMatchObject({ status: 0, stderr: '' });
  });

  test('main.bicepparam compiles with only what azd and docs/how-to/deploy.md ask for', () => {
    const ran = workspace.run(['build-params', join('infra', 'main.bicepparam'), '--stdout'], ENVIRONMENT);
    expect(ran).toMatchObject({ status: 0, stderr: '' });
    const { parametersJson } = JSON.parse(ran.stdout) as { parametersJson: string };
    const { parameters } = JSON.parse(parametersJson) as { parameters: Record<string, { value: unknown }> };
    const registry = {
      name: 'example',
      resourceGroup: 'rg-registry',
      subscriptionId: ENVIRONMENT.AZURE_SUBSCRIPTION_ID,
      repositoryPrefixes: [],
    };
    expect(parameters['sourceRegistry']?.value).toEqual(registry);
    expect(parameters['destinationRegistry']?.value).toEqual(registry);
    expect(parameters['promotionPaused']?.value).toBe(false);
    // Without a principal, nobody gets the hook's roles; azd always gives one.
    expect(parameters['principalId']?.value).toBe('');
    expect(parameters['principalType']?.value).toBe('User');
    expect(parameters['signing']?.value).toBe(true);
    expect(parameters['vaultPurgeProtection']?.value).toBe(true);
  });

  test('main.bicepparam compiles with all that docs/how-to/deploy.md lists', () => {
    const ran = workspace.run(['build-params', join('infra', 'main.bicepparam'), '--stdout'], {
      ...ENVIRONMENT,
      REGISTRY_REPOSITORY_PREFIXES: 'samples/,base/',
      DESTINATION_REGISTRY_NAME: 'target',
      AZURE_PRINCIPAL_ID: '00000000-0000-0000-0000-00000000000b',
      AZURE_PRINCIPAL_TYPE: 'ServicePrincipal',
      SIGNING: 'false',
      KEY_VAULT_PURGE_PROTECTION: 'false',
    });
    expect(ran).toMatchObject({ status: 0, stderr: '' });
    const { parametersJson } = JSON.parse(ran.stdout) as { parametersJson: string };
    const { parameters } = JSON.parse(parametersJson) as { parameters: Record<string, { value: unknown }> };
    expect(parameters['sourceRegistry']?.value).toMatchObject({ repositoryPrefixes: ['samples/', 'base/'] });
    expect(parameters['destinationRegistry']?.value).toMatchObject({ name: 'target', repositoryPrefixes: [] });
    expect(parameters['principalType']?.value).toBe('ServicePrincipal');
    expect(parameters['signing']?.value).toBe(false);
    expect(parameters['vaultPurgeProtection']?.value).toBe(false);
  });

  test('the compiler names a missing parameter', () => {
    const { REGISTRY_NAME: _missing, ...env } = ENVIRONMENT;
    const ran = workspace.run(['build-params', join('infra', 'main.bicepparam'), '--stdout'], env);
    expect(ran).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/BCP427: Environment variable "REGISTRY_NAME"/),
    });
  });

  test('the compiler names a value that is not allowed', () => {
    const env = { ...ENVIRONMENT, AZURE_PRINCIPAL_TYPE: 'Group' };
    const ran = workspace.run(['build-params', join('infra', 'main.bicepparam'), '--stdout'], env);
    expect(ran).toMatchObject({ status: 1, stderr: expect.stringContaining("type \"'ServicePrincipal' | 'User'\"") });
  });

  test('the compiler reports warnings, which do not fail it', () => {
    const path = join(workspace.folder, 'infra', 'wrong.bicep');
    const module = readFileSync(join(workspace.folder, 'infra', 'modules', 'storage.bicep'), 'utf8');
    writeFileSync(path, module.replaceAll("'../", "'").replace('minimumTlsVersion', 'minTls'));
    const ran = workspace.run(['build', join('infra', 'wrong.bicep'), '--stdout']);
    expect(ran).toMatchObject({ status: 0, stderr: expect.stringContaining('BCP037') });
  });

  test('the rules of bicepconfig.json are in force', () => {
    const path = join(workspace.folder, 'infra', 'unused.bicep');
    appendFileSync(path, "@description('Unused.')\nparam unused string\n");
    const ran = workspace.run(['lint', join('infra', 'unused.bicep')]);
    expect(ran.status).not.toBe(0);
    expect(ran.stderr).toContain('Error no-unused-params');
  });

  test('every file is formatted', () => {
    cpSync('infra', join(workspace.folder, 'formatted'), { recursive: true });
    for (const pattern of ['**/*.bicep', '*.bicepparam']) {
      expect(workspace.run(['format', '--pattern', `formatted/${pattern}`])).toMatchObject({ status: 0, stderr: '' });
    }
    const names = readdirSync('infra', { recursive: true, encoding: 'utf8' }).filter((name) =>
      /\.bicep(param)?$/.test(name),
    );
    expect(names.length).toBeGreaterThan(10);
    for (const name of names) {
      const text = readFileSync(join(workspace.folder, 'formatted', name), 'utf8');
      expect({ name, text }).toEqual({ name, text: readFileSync(join('infra', name), 'utf8') });
    }
  });

  test('the check reports a file that is not formatted', () => {
    const path = join(workspace.folder, 'loose.bicep');
    writeFileSync(path, 'param   location   string\n');
    expect(workspace.run(['format', 'loose.bicep', '--stdout']).stdout).toBe('param location string\n');
  });
});
