import { execFile, execFileSync } from 'node:child_process';
import { createPublicKey } from 'node:crypto';
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { loadKeys } from '../../local/identity/keys.js';
import { basicCredentials, createRegistries, packArtifact, parseReference, pushPacked } from '../../src/oci/index.js';
import type { StepProgress } from '../../src/runs/rows.js';
import { NOTARY_SIGNATURE } from '../../src/signing/index.js';
import { startVault, type RunningVault } from '../support/vault/server.js';
import type { KeyKind } from '../support/vault/vault-keys.js';
import { Vault } from '../support/vault/vault.js';
import { describeWithPeers } from './peers.js';
import { ending, startEverything, until, type Everything } from './promotion/everything.js';
import { notationVerify } from './promotion/programs.js';

// A key in a vault that stands in for Key Vault, reached over TLS under its real name: the command makes its certificate, the app
// signs with it, and notation verifies.

const SUBJECT = 'C=US, ST=WA, O=Example, CN=release';
const KEY = 'https://contoso.vault.azure.net/keys/signing';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'key-vault-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The Azure CLI, as far as signing in with it goes: a token for the resource and the tenant that it is asked for. */
function fakeAz(tenantId: string): string {
  const path = join(folder, 'az');
  const script = `#!${process.execPath}
const value = (name) => process.argv[process.argv.indexOf(name) + 1];
if (!process.argv.join(' ').includes('account get-access-token')) process.exit(2);
const part = (claims) => Buffer.from(JSON.stringify(claims)).toString('base64url');
const aud = value('--resource');
const token = [part({ alg: 'none' }), part({ aud, iss: 'https://sts.windows.net/${tenantId}/' }), ''].join('.');
const expires = Math.floor(Date.now() / 1000) + 3600;
console.log(JSON.stringify({ accessToken: token, expires_on: expires, expiresOn: '2099-01-01 00:00:00.000000', tokenType: 'Bearer' }));
`;
  writeFileSync(path, script);
  chmodSync(path, 0o755);
  return folder;
}

interface Ran {
  code: number;
  out: string;
  err: string;
}

function acrPromoter(running: RunningVault, tenantId: string, ...args: string[]): Promise<Ran> {
  const path = `${fakeAz(tenantId)}${delimiter}${process.env['PATH'] ?? ''}`;
  const env = { ...running.environment, PATH: path, HOME: folder, AZURE_TOKEN_CREDENTIALS: 'AzureCliCredential' };
  return new Promise((resolve) => {
    execFile(process.execPath, ['bin/acr-promoter.mjs', ...args], { env, timeout: 60_000 }, (error, out, err) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : error === null ? 0 : 1, out, err });
    });
  });
}

describe('acr-promoter certificate create', () => {
  const tenantId = '33333333-3333-4333-8333-333333333333';
  let running: RunningVault;
  beforeAll(async () => {
    running = await startVault(folder, new Vault({ tenantId }));
  });
  afterAll(() => running.close());

  const create = (file: string, ...more: string[]): Promise<Ran> =>
    acrPromoter(running, tenantId, 'certificate', 'create', KEY, '--subject', SUBJECT, '-o', file, ...more);

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

  test('after a rotation the certificate is made for the new version', async () => {
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

  test('says what is wrong, and what to do', async () => {
    running.vault.rotate('signing');
    running.vault.allows = () => false;
    const denied = await create('-');
    running.vault.allows = () => true;
    expect(denied).toMatchObject({ code: 1, out: '' });
    expect(denied.err).toContain('(KEY_VAULT_DENIED)');
    expect(denied.err).toContain('Key Vault Crypto User');
    const other = await acrPromoter(
      running,
      '44444444-4444-4444-8444-444444444444',
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

describeWithPeers('the app with a key in Key Vault', ['notation'], ([notation = '']) => {
  test.each<KeyKind>(['P-256', 'RSA-3072'])(
    'promotes and signs with %s; notation verifies',
    async (kind) => {
      const dataDir = mkdtempSync(join(tmpdir(), 'key-vault-app-'));
      const { tenantId } = await loadKeys(join(dataDir, 'identity'));
      const vault = new Vault({ tenantId });
      vault.rotate('signing', kind);
      const running = await startVault(dataDir, vault);
      let up: Everything | undefined;
      try {
        const chain = join(dataDir, 'signing.pem');
        const made = await acrPromoter(
          running,
          tenantId,
          'certificate',
          'create',
          KEY,
          '--subject',
          SUBJECT,
          '-o',
          chain,
        );
        expect(made).toMatchObject({ code: 0, err: '' });
        // The app's role has not arrived yet.
        vault.allows = () => false;
        const since = Date.now();
        up = await startEverything({
          dataDir,
          settings: { ...running.environment, SIGNING_KEY: KEY, SIGNING_CERTIFICATE_CHAIN: chain },
        });
        const client = createRegistries({
          credentials: basicCredentials(up.user.name, up.user.password, [up.source, up.staging]),
        });
        const packed = packArtifact({
          artifactType: 'doc/example',
          layers: [{ mediaType: 'text/plain', bytes: Buffer.from(kind) }],
        });
        await pushPacked(client.repository(up.source, 'samples/note'), packed, { tag: 'v1' });
        const app = up;
        const waiting = await until(
          () => `the run to wait for the role\n${app.output().slice(-2000)}`,
          async () => {
            const { runs } = (await (await fetch(`${app.hostUrl}/api/runs`)).json()) as { runs: { id: string }[] };
            if (runs[0] === undefined) return undefined;
            const run = (await (await fetch(`${app.hostUrl}/api/runs/${runs[0].id}`)).json()) as {
              steps: StepProgress[];
            };
            return run.steps.find(({ text }) => text?.includes('KEY_VAULT_DENIED'));
          },
        );
        expect(waiting.state).toBe('waiting');
        vault.allows = () => true;
        const row = await up.ended('samples/note', 'v1', since);
        expect(ending(row.last)).toMatchObject({ outcome: 'promoted' });
        const verified = await notationVerify(
          notation,
          `${row.destination.split(':v1')[0]}@${packed.descriptor.digest}`,
          chain,
          up.user,
        );
        expect(verified).toMatchObject({ code: 0 });
        const { registry, repository } = parseReference(row.destination);
        const listed = await client.repository(registry, repository).listReferrers(packed.descriptor.digest, {});
        expect(listed.map(({ artifactType }) => artifactType)).toEqual([NOTARY_SIGNATURE]);
        expect(readFileSync(chain, 'utf8')).not.toContain('PRIVATE');
        await client.close();
      } finally {
        await up?.stop();
        running.close();
        rmSync(dataDir, { recursive: true, force: true });
      }
    },
    240_000,
  );
});
