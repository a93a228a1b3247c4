import { describe, expect, test } from '@jest/globals';
import { existsSync, readFileSync } from 'node:fs';
import { parse } from 'yaml';

interface Script {
  shell: string;
  run: string;
  interactive?: boolean;
}

interface AzureYaml {
  hooks: Record<string, Record<string, Script>>;
  requiredVersions: { azd: string };
  infra: { path: string; module: string };
  services: Record<string, Record<string, unknown> & { hooks: { prepackage: Record<string, { run: string }> } }>;
}

const azure = parse(readFileSync('azure.yaml', 'utf8')) as AzureYaml;
const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> };

describe('azure.yaml', () => {
  test('deploys the folder that npm run package stages, unchanged', () => {
    expect(Object.keys(azure.services)).toEqual(['promoter']);
    expect(azure.services['promoter']).toMatchObject({
      project: '.',
      host: 'function',
      language: 'ts',
      dist: 'out/package',
      remoteBuild: false,
    });
    expect(readFileSync('tools/package.mjs', 'utf8')).toContain("join(out, 'package')");
  });

  test('makes that folder first, on every system, with an existing script', () => {
    const { prepackage } = azure.services['promoter']?.hooks ?? { prepackage: {} };
    expect(Object.keys(prepackage).sort()).toEqual(['posix', 'windows']);
    expect(Object.values(prepackage).map(({ run }) => run)).toEqual(['npm run package', 'npm run package']);
    expect(scripts).toMatchObject({ package: expect.any(String), build: expect.any(String) });
  });

  test('calls one Node script after provisioning, on every system, and shows its output', () => {
    const { posix, windows, ...more } = azure.hooks['postprovision'] ?? {};
    expect(Object.keys(azure.hooks)).toEqual(['postprovision']);
    expect(more).toEqual({});
    expect(posix).toEqual({ shell: 'sh', run: 'node infra/hooks/postprovision.mjs', interactive: true });
    expect(windows).toEqual({ ...posix, shell: 'pwsh' });
    expect(existsSync('infra/hooks/postprovision.mjs')).toBe(true);
  });

  test('requires an azd version that does not delete the registry’s resource group', () => {
    expect(azure.requiredVersions.azd).toBe('>= 1.24.1');
  });

  test('names an existing template', () => {
    expect(azure.infra).toMatchObject({ path: 'infra', module: 'main' });
    expect(readFileSync('infra/main.bicepparam', 'utf8')).toContain("using 'main.bicep'");
  });

  test('.funcignore does not exclude node_modules at any depth', () => {
    const patterns = readFileSync('.funcignore', 'utf8')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'));
    expect(patterns.filter((pattern) => pattern.includes('node_modules'))).toEqual([]);
    expect(patterns.filter((pattern) => !pattern.startsWith('/'))).toEqual(['.git*']);
  });
});
