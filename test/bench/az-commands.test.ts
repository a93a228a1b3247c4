import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { GENERATED, PAGES, blocksOf } from '../interop/docs/blocks.js';
import { commandsOf } from '../interop/docs/commands.js';
import { bicep } from '../interop/infra/bicep.js';

// The full run alone: the Azure CLI is 400 MB. Signed out, it parses a command and then stops at "Please run 'az login'", before it
// asks anybody anything; what it cannot parse ends with exit code 2.

const VERSION = '2.91.0';

/** Path of `az`: what the variable AZ says, or installed from PyPI, and kept for the next run. */
function findAz(): string {
  const said = process.env['AZ'];
  if (said !== undefined && said !== '') return said;
  const folder = join(tmpdir(), `acr-promoter-azure-cli-${VERSION}`);
  const az = join(folder, 'bin', 'az');
  if (existsSync(az)) return az;
  const made = [
    spawnSync('python3', ['-m', 'venv', folder], { encoding: 'utf8' }),
    spawnSync(join(folder, 'bin', 'pip'), ['install', '--quiet', '--no-compile', `azure-cli==${VERSION}`], {
      encoding: 'utf8',
    }),
  ];
  for (const { status, stderr } of made) {
    if (status === 0) continue;
    rmSync(folder, { recursive: true, force: true });
    throw new Error(`the Azure CLI cannot be installed: ${stderr}`);
  }
  return az;
}

function findBicep(): string {
  if (bicep === undefined) throw new Error('there is no bicep: set BICEP to its path');
  return bicep;
}

const documented = PAGES.filter((page) => page !== GENERATED)
  .flatMap(blocksOf)
  .filter(({ language }) => language === 'sh')
  .flatMap(({ text }) => commandsOf(text))
  .filter(([program]) => program === 'az')
  .map(([, ...words]) => words);
// Signing in asks a browser.
const parsed = documented.filter(([first]) => first !== 'login');
const ofHook = [
  ['account', 'show', '--subscription', 'x', '--output', 'json'],
  ...[
    'exists',
    'download --file x --no-progress',
    'upload --file x --overwrite --no-progress --content-type application/x-pem-file',
  ].map((text) => {
    const place = '--container-name x --name x --account-name x';
    return `storage blob ${text} ${place} --auth-mode login --subscription x --output json`.split(' ');
  }),
];

describe('the real az', () => {
  let az: string;
  let config: string;
  beforeAll(() => {
    az = findAz();
    config = mkdtempSync(join(tmpdir(), 'az-signed-out-'));
    cpSync('infra', join(config, 'infra'), { recursive: true });
    writeFileSync(join(config, 'password.txt'), 'a password');
  }, 600_000);
  afterAll(() => rmSync(config, { recursive: true, force: true }));

  function ask(words: readonly string[]): { status: number | null; stderr: string } {
    const env = {
      PATH: [dirname(findBicep()), process.env['PATH']].join(delimiter),
      HOME: config,
      AZURE_CONFIG_DIR: config,
      AZURE_CORE_COLLECT_TELEMETRY: 'false',
      // It compiles the template before it signs in.
      AZURE_BICEP_USE_BINARY_FROM_PATH: 'true',
      AZURE_BICEP_CHECK_VERSION: 'false',
      AZURE_ENV_NAME: 'dev',
      AZURE_LOCATION: 'westeurope',
      AZURE_SUBSCRIPTION_ID: '00000000-0000-0000-0000-000000000001',
      REGISTRY_NAME: 'myregistry',
      REGISTRY_RESOURCE_GROUP: 'rg-of-the-registry',
    };
    const { status, stderr } = spawnSync(az, [...words], { cwd: config, encoding: 'utf8', env, timeout: 120_000 });
    return { status, stderr };
  }

  test('az reports a command that it cannot parse', () => {
    expect(ask(['storage', 'blob', 'exists', '--nope', 'x'])).toMatchObject({ status: 2 });
    expect(ask(['keyvault', 'uncover'])).toMatchObject({ status: 2 });
  }, 120_000);

  test('docs/how-to/deploy.md has az commands', () => {
    expect(parsed.length).toBeGreaterThan(20);
  });

  test.each([...new Set([...parsed, ...ofHook].map((words) => JSON.stringify(words)))])(
    'parses az %s',
    (words) => {
      // `account set` finds no subscription to set.
      const signedOut = expect.stringMatching(/az login|subscription of '\w+' doesn't exist/);
      expect(ask(JSON.parse(words) as string[])).toEqual({ status: 1, stderr: signedOut });
    },
    120_000,
  );
});
