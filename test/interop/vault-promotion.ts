import { execFile } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { expect } from '@jest/globals';
import { loadKeys } from '../../local/identity/keys.js';
import { basicCredentials, createRegistries, packArtifact, parseReference, pushPacked } from '../../src/oci/index.js';
import type { StepProgress } from '../../src/rows/step-progress.js';
import { NOTARY_SIGNATURE } from '../../src/signing/index.js';
import { startVault, type RunningVault } from '../support/vault/server.js';
import type { KeyKind } from '../support/vault/vault-keys.js';
import { Vault } from '../support/vault/vault.js';
import { ending, startEverything, until, type Everything } from '../support/stack/everything.js';
import { notationVerify } from '../support/stack/programs.js';

export const SUBJECT = 'C=US, ST=WA, O=Example, CN=release';
export const KEY = 'https://contoso.vault.azure.net/keys/signing';

/** The Azure CLI, as far as signing in with it goes: a token for the resource and the tenant that it is asked for. */
function fakeAz(folder: string, tenantId: string): string {
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

export interface Ran {
  code: number;
  out: string;
  err: string;
}

/** Runs the command as somebody who is signed in with the Azure CLI. @param folder for its files */
export function acrPromoterWithVault(
  { running, tenantId, folder }: { running: RunningVault; tenantId: string; folder: string },
  ...args: string[]
): Promise<Ran> {
  const path = `${fakeAz(folder, tenantId)}${delimiter}${process.env['PATH'] ?? ''}`;
  const env = { ...running.environment, PATH: path, HOME: folder, AZURE_TOKEN_CREDENTIALS: 'AzureCliCredential' };
  return new Promise((resolve) => {
    execFile(process.execPath, ['bin/acr-promoter.mjs', ...args], { env, timeout: 60_000 }, (error, out, err) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : error === null ? 0 : 1, out, err });
    });
  });
}

/**
 * Promotes with a key in the vault, whose role arrives after the run has begun, and verifies with `notation`.
 * @param args more options of `npm start`
 */
export async function promoteWithVaultKey(kind: KeyKind, notation: string, args: readonly string[]): Promise<void> {
  const dataDir = mkdtempSync(join(tmpdir(), 'key-vault-app-'));
  const { tenantId } = await loadKeys(join(dataDir, 'identity'));
  const vault = new Vault({ tenantId });
  vault.rotate('signing', kind);
  const running = await startVault(dataDir, vault);
  const signedIn = { running, tenantId, folder: dataDir };
  let up: Everything | undefined;
  try {
    const chain = join(dataDir, 'signing.pem');
    const made = await acrPromoterWithVault(signedIn, 'certificate', 'create', KEY, '--subject', SUBJECT, '-o', chain);
    expect(made).toMatchObject({ code: 0, err: '' });
    // The app's role has not arrived yet.
    vault.allows = () => false;
    const since = Date.now();
    up = await startEverything({
      dataDir,
      args,
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
}
