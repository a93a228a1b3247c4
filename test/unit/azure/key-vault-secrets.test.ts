import { beforeEach, describe, expect, test } from '@jest/globals';
import { keyVaultSecrets } from '../../../src/azure/key-vault-secrets.js';
import { isVaultId } from '../../../src/azure/vault-id.js';
import { ANSWERS, refusal } from '../../support/vault/answers.js';
import { httpClientOf, identityOf, type FakeIdentity } from '../../support/vault/sdk.js';
import { Vault } from '../../support/vault/vault.js';

const VAULT = 'https://contoso.vault.azure.net';
let vault: Vault;
let identity: FakeIdentity;
let read: ReturnType<typeof keyVaultSecrets>;

beforeEach(() => {
  vault = new Vault();
  identity = identityOf();
  vault.secrets.set('hub', 'the password');
  const httpClient = httpClientOf(vault);
  read = keyVaultSecrets(identity, { httpClient, retryOptions: { maxRetries: 1, retryDelayInMs: 1 } });
});

const failure = async (url: string): Promise<unknown> => read(url).catch((error: unknown) => error);
const reads = (): string[] => vault.asked.filter(({ signedIn }) => signedIn).map(({ path }) => path);

test('a secret is read with the identity after the vault’s challenge, and cached', async () => {
  const all = await Promise.all(Array.from({ length: 10 }, () => read(`${VAULT}/secrets/hub`)));
  expect(new Set(all)).toEqual(new Set(['the password']));
  expect(identity.scopes).toEqual(['https://vault.azure.net/.default']);
  expect(reads()).toEqual(['/secrets/hub/']);
  expect(vault.asked).toHaveLength(2);
  await read(`${VAULT}/secrets/hub`);
  expect(vault.asked).toHaveLength(2);
});

test('a given version of a secret is read', async () => {
  const version = 'b'.repeat(32);
  vault.secrets.set(`hub/${version}`, 'the older one');
  expect(await read(`${VAULT}/secrets/hub/${version}`)).toBe('the older one');
});

describe('a secret that cannot be read', () => {
  test.each([
    ['is not there', 'none', [], false],
    ['is forbidden', 'hub', [refusal(403, 'Forbidden', 'Forbidden')], false],
    ['is throttled for long', 'hub', Array.from({ length: 4 }, () => ANSWERS.throttled(0)), true],
    ['a vault in trouble', 'hub', Array.from({ length: 4 }, () => refusal(503, 'ServiceUnavailable', 'busy')), true],
  ])('%s', async (_what, name, faults, transient) => {
    vault.faults.push(...faults);
    const error = await failure(`${VAULT}/secrets/${name}`);
    expect(error).toMatchObject({ code: 'CREDENTIAL_UNREADABLE', transient });
    expect((error as { remedy?: string }).remedy).toContain('Key Vault Secrets User');
    expect(JSON.stringify(error)).not.toContain('eyJ');
  });

  test.each(['ForbiddenByFirewall', 'ForbiddenByConnection'])(
    '%s is reported as a network problem, not a missing role',
    async (inner) => {
      vault.faults.push(refusal(403, 'Forbidden', 'Client address is not authorized.', inner));
      expect(await failure(`${VAULT}/secrets/hub`)).toMatchObject({
        code: 'KEY_VAULT_FIREWALL',
        transient: false,
        remedy: expect.stringContaining('A role does not help'),
      });
    },
  );

  test('an empty secret is an error', async () => {
    vault.secrets.set('empty', '');
    expect(await failure(`${VAULT}/secrets/empty`)).toMatchObject({ code: 'CREDENTIAL_UNREADABLE', transient: false });
  });

  test('a failure is not cached', async () => {
    vault.faults.push(refusal(403, 'Forbidden', 'Forbidden'));
    expect(await failure(`${VAULT}/secrets/hub`)).toMatchObject({ code: 'CREDENTIAL_UNREADABLE' });
    expect(await read(`${VAULT}/secrets/hub`)).toBe('the password');
  });

  test('a missing identity is reported as such', async () => {
    const httpClient = httpClientOf(vault);
    const credential = {
      getToken: () => Promise.reject(Object.assign(new Error('none'), { name: 'CredentialUnavailableError' })),
    };
    const without = keyVaultSecrets(credential, { httpClient });
    await expect(without(`${VAULT}/secrets/hub`)).rejects.toMatchObject({
      code: 'IDENTITY_UNAVAILABLE',
      transient: true,
    });
  });
});

test("a caller's signal ends only its own wait", async () => {
  const stop = new AbortController();
  const [stopped, other] = [read(`${VAULT}/secrets/hub`, stop.signal), read(`${VAULT}/secrets/hub`)];
  stop.abort();
  await expect(stopped).rejects.toMatchObject({ name: 'AbortError' });
  expect(await other).toBe('the password');
});

test.each([
  ['https://contoso.vault.azure.net/secrets/hub', true],
  [`https://contoso.vault.azure.cn/secrets/hub/${'a'.repeat(32)}`, true],
  ['https://contoso.vault.usgovcloudapi.net/secrets/hub', true],
  ['http://contoso.vault.azure.net/secrets/hub', false],
  ['https://contoso.vault.azure.net.example.org/secrets/hub', false],
  ['https://vault.azure.net/secrets/hub', false],
  ['https://contoso.vault.azure.net/keys/hub', false],
  ['https://user@contoso.vault.azure.net/secrets/hub', false],
  ['https://contoso.vault.azure.net:8443/secrets/hub', false],
  ['https://contoso.vault.azure.net/secrets/hub?x=1', false],
  ['the password', false],
])('%s: %s', (text, is) => {
  expect(isVaultId('secrets', text)).toBe(is);
});
