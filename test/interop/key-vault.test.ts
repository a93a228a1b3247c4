import { execFileSync } from 'node:child_process';
import { createPublicKey } from 'node:crypto';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startVault, type RunningVault } from '../support/vault/server.js';
import type { KeyKind } from '../support/vault/vault-keys.js';
import { Vault } from '../support/vault/vault.js';
import { acrPromoterWithVault, KEY, SUBJECT, type Ran } from './vault-promotion.js';

// A key in a vault that stands in for Key Vault, reached over TLS under its real name: the command makes its certificate.
// The app signs with such a key in package.test.ts and hooks.test.ts, where notation verifies.

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'key-vault-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('acr-promoter certificate create', () => {
  const tenantId = '33333333-3333-4333-8333-333333333333';
  let running: RunningVault;
  beforeAll(async () => {
    running = await startVault(folder, new Vault({ tenantId }));
  });
  afterAll(() => running.close());

  const create = (file: string, ...more: string[]): Promise<Ran> =>
    acrPromoterWithVault(
      { running, tenantId, folder },
      'certificate',
      'create',
      KEY,
      '--subject',
      SUBJECT,
      '-o',
      file,
      ...more,
    );

  test.each<KeyKind>(['P-256', 'RSA-2048', 'RSA-4096'])(
    'signs with %s in the vault; a second run changes nothing',
    async (kind) => {
      const { id } = running.vault.rotate('signing', kind);
      const file = join(folder, `${kind}.pem`);
      const first = await create(file, '--renew-within', '30');
      expect(first).toMatchObject({ code: 0, err: '' });
      expect(first.out).toMatch(`Created certificate ${file}\nKey: ${id}\n`);
      // OpenSSL checks the signature with the certificate's own key.
      execFileSync('openssl', ['verify', '-CAfile', file, '-purpose', 'any', '-check_ss_sig', file]);
      const { mtimeMs } = statSync(file);
      const second = await create(file, '--renew-within', '30');
      expect(second).toMatchObject({ code: 0, err: '' });
      expect(second.out).toMatch(`Unchanged ${file}\nKey: ${id}\n`);
      expect(statSync(file).mtimeMs).toBe(mtimeMs);
    },
  );

  test('after a rotation the certificate is created for the new version', async () => {
    running.vault.rotate('signing');
    const file = join(folder, 'rotated.pem');
    await create(file, '--renew-within', '30');
    const { id } = running.vault.rotate('signing');
    expect((await create(file, '--renew-within', '30')).out).toMatch(`Created certificate ${file}\nKey: ${id}\n`);
  });

  test('a request is signed in the vault', async () => {
    for (const kind of ['P-256', 'RSA-3072'] as const) {
      const { publicKey } = running.vault.rotate('signing', kind);
      const file = join(folder, 'signing.csr');
      expect(await create(file, '--csr')).toMatchObject({ code: 0, err: '' });
      // OpenSSL checks the request's own signature.
      const text = execFileSync('openssl', ['req', '-in', file, '-verify', '-text', '-noout'], { encoding: 'utf8' });
      expect(text).toMatch(/Subject: C ?= ?US, ST ?= ?WA, O ?= ?Example, CN ?= ?release/);
      expect(text).toMatch(/X509v3 Key Usage: critical\s+Digital Signature\n/);
      expect(text).toMatch(/X509v3 Extended Key Usage: *\s+Code Signing\n/);
      const pem = execFileSync('openssl', ['req', '-in', file, '-pubkey', '-noout'], { encoding: 'utf8' });
      expect(createPublicKey(pem).equals(publicKey)).toBe(true);
    }
  });

  test('an error of the vault is reported with a remedy', async () => {
    running.vault.rotate('signing');
    running.vault.allows = () => false;
    const denied = await create('-');
    running.vault.allows = () => true;
    expect(denied).toMatchObject({ code: 1, out: '' });
    expect(denied.err).toContain('(KEY_VAULT_DENIED)');
    expect(denied.err).toContain('Key Vault Crypto User');
    const other = await acrPromoterWithVault(
      { running, tenantId: '44444444-4444-4444-8444-444444444444', folder },
      'certificate',
      'create',
      KEY,
      '--subject',
      'CN=a',
    );
    expect(other.err).toContain('(KEY_VAULT_UNAUTHORIZED)');
    expect(other.err).not.toContain('eyJ');
  });
});
