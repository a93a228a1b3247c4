import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { LoadProblems } from '../../src/load-problems.js';
import { loadSigner } from '../../src/load-signer.js';
import { PromoterError } from '../../src/oci/index.js';
import type { Signer, SignerSource } from '../../src/signing/index.js';
import { httpClientOf, identityOf } from '../support/vault/sdk.js';
import { Vault } from '../support/vault/vault.js';
import { issue, issueChain } from '../support/certificates.js';

const KEY = 'https://contoso.vault.azure.net/keys/signing';
const CERTIFICATE = 'https://contoso.vault.azure.net/certificates/signing';
let folder = '';
let vault: Vault;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'load-signer-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
beforeEach(() => {
  vault = new Vault();
});

async function load(key: string | undefined, ...chain: string[]): Promise<{ source?: SignerSource; codes: string[] }> {
  const problems = new LoadProblems([]);
  const source = await loadSigner(
    {
      settings: { SIGNING_KEY: key, SIGNING_CERTIFICATE_CHAIN: chain },
      root: folder,
      credential: identityOf(),
      now: () => new Date(),
      client: { httpClient: httpClientOf(vault) },
    },
    problems,
  );
  return { ...(source && { source }), codes: problems.list.map(({ setting, code }) => `${setting}: ${code}`) };
}

async function signerOf(key: string, ...chain: string[]): Promise<Signer> {
  const { source, codes } = await load(key, ...chain);
  expect(codes).toEqual([]);
  if (source === undefined) throw new Error('no source');
  return source.current();
}

async function failureOf(key: string, ...chain: string[]): Promise<PromoterError> {
  const error = await signerOf(key, ...chain).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof PromoterError)) throw new Error(String(error));
  return error;
}

function file(name: string, text: string): string {
  writeFileSync(join(folder, name), text);
  return name;
}

const bytes = (certificates: readonly Uint8Array[]): Buffer[] => certificates.map((der) => Buffer.from(der));

test('without SIGNING_KEY there is no signer', async () => {
  expect(await load(undefined, 'chain.pem')).toEqual({ codes: [] });
});

describe('a PEM key', () => {
  test('is read at once and identified by its path', async () => {
    const { keyPem, pem } = issue();
    const signer = await signerOf(file('key.pem', keyPem), file('chain.pem', pem));
    expect(signer).toMatchObject({ keyId: 'key.pem', algorithm: 'ES256' });
  });

  test('with missing files gives one problem per setting', async () => {
    expect((await load('none.pem', 'nothing.pem')).codes).toEqual([
      'SIGNING_KEY: SIGNING_KEY_UNREADABLE',
      'SIGNING_CERTIFICATE_CHAIN: SIGNING_CERTIFICATE_UNREADABLE',
    ]);
    expect((await load('none.pem')).codes).toEqual([
      'SIGNING_CERTIFICATE_CHAIN: SIGNING_CERTIFICATE_MISSING',
      'SIGNING_KEY: SIGNING_KEY_UNREADABLE',
    ]);
  });
});

describe('a key in Key Vault', () => {
  test('is not read at start-up', async () => {
    expect((await load(KEY, 'not-there-yet.pem')).codes).toEqual([]);
    expect(vault.asked).toEqual([]);
  });

  test('requires a certificate chain', async () => {
    expect((await load(KEY)).codes).toEqual(['SIGNING_CERTIFICATE_CHAIN: SIGNING_CERTIFICATE_MISSING']);
  });

  test('takes its certificate from a file', async () => {
    const { id, privateKey } = vault.rotate('signing');
    const issued = issue({ key: privateKey });
    const signer = await signerOf(KEY, file('vault.pem', issued.pem));
    expect(signer.keyId).toBe(id);
    expect(bytes(signer.certificates)).toEqual([issued.der]);
  });

  test('takes its certificate from Key Vault and the issuers’ from a file', async () => {
    const { id, privateKey } = vault.rotate('signing');
    const [leaf, intermediate, root] = issueChain({ key: privateKey });
    vault.putCertificate('signing', leaf.der, id);
    const issuers = file('issuers.pem', root.pem + intermediate.pem);
    const signer = await signerOf(KEY, CERTIFICATE, issuers);
    expect(bytes(signer.certificates)).toEqual(bytes([leaf.der, intermediate.der, root.der]));
    expect((await failureOf(KEY, CERTIFICATE)).code).toBe('SIGNING_CERTIFICATE_INVALID');
    // Reads only the public part, never the secret of the same name.
    expect(vault.asked.filter(({ path }) => path.startsWith('/secrets/'))).toEqual([]);
  });

  test('can use a given version of a certificate', async () => {
    const { privateKey } = vault.rotate('signing');
    const issued = issue({ key: privateKey });
    const version = vault.putCertificate('signing', issued.der);
    vault.putCertificate('signing', issue().der);
    expect(bytes((await signerOf(KEY, version)).certificates)).toEqual([issued.der]);
    expect((await failureOf(KEY, CERTIFICATE)).code).toBe('SIGNING_KEY_MISMATCH');
  });

  test.each<[string, () => string, string, boolean]>([
    ['not there', () => CERTIFICATE, 'KEY_VAULT_ITEM_UNKNOWN', false],
    ['a file that is not there', () => 'none.pem', 'SIGNING_CERTIFICATE_UNREADABLE', false],
    ['a file without certificates', () => file('empty.pem', 'nothing'), 'SIGNING_CERTIFICATE_INVALID', false],
  ])('whose certificate is %s causes an error when it is used', async (_what, chain, code, transient) => {
    vault.rotate('signing');
    expect(await failureOf(KEY, chain())).toMatchObject({ code, transient });
  });

  test('whose certificate cannot be read yet causes a retry', async () => {
    vault.rotate('signing');
    vault.putCertificate('signing', issue().der);
    vault.allows = (action) => !action.includes('certificates');
    expect(await failureOf(KEY, CERTIFICATE)).toMatchObject({
      code: 'KEY_VAULT_DENIED',
      transient: true,
      remedy: expect.stringContaining('Key Vault Certificate User'),
    });
  });
});
