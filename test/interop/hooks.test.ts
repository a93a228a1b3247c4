import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import type { RequestListener } from 'node:http';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { BlobServiceClient, type ContainerClient } from '@azure/storage-blob';
import { loadKeys } from '../../local/identity/keys.js';
import { basicCredentials, createRegistries, packArtifact, pushPacked } from '../../src/oci/index.js';
import { startVault, type RunningVault } from '../support/vault/server.js';
import { Vault } from '../support/vault/vault.js';
import { issue, issueAuthority } from '../support/certificates.js';
import { describeWithPeers } from '../support/peers.js';
import { ending, startEverything, type Everything } from '../support/stack/everything.js';
import { notationVerify } from '../support/stack/programs.js';

// azure.yaml's hook, as azd runs it after provisioning: against stand-ins of az and azd that refuse what they do not know, a vault
// that has nothing but the key that the template makes, and the local environment, which then promotes and signs.

const SUBSCRIPTION = '00000000-0000-0000-0000-000000000001';
const ACCOUNT = 'sthooks';
const BLOB_HOST = `${ACCOUNT}.blob.core.windows.net`;
const SUBJECT = 'C=US, ST=WA, O=Example, CN=release';

interface Ran {
  code: number | null;
  out: string;
  err: string;
}

describeWithPeers('the hook after provisioning', ['notation'], ([notation = '']) => {
  let folder: string;
  let up: Everything;
  let running: RunningVault;
  let vault: Vault;
  let certificates: ContainerClient;
  let connectionString: string;
  let tenantId: string;
  let state: string;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'hooks-'));
    ({ tenantId } = await loadKeys(join(folder, 'identity')));
    vault = new Vault({ tenantId });
    running = await startVault(folder, vault, { [BLOB_HOST]: (request, response) => serveBlob(request, response) });
    up = await startEverything({
      dataDir: folder,
      settings: {
        ...running.environment,
        SIGNING_KEY: `${vault.url}/keys/signing`,
        SIGNING_CERTIFICATE_CHAIN: `https://${BLOB_HOST}/certificates/signing.pem`,
      },
    });
    connectionString = readFileSync(join(folder, 'storage-connection-string.txt'), 'utf8').trim();
    certificates = BlobServiceClient.fromConnectionString(connectionString).getContainerClient('certificates');
    // What infra/ makes: the container and the key.
    await certificates.create();
    vault.rotate('signing');
    state = join(folder, 'az.json');
    for (const name of ['az', 'azd']) {
      const program = join(folder, 'bin', name);
      mkdirSync(join(folder, 'bin'), { recursive: true });
      writeFileSync(
        program,
        `#!/bin/sh\nexec '${process.execPath}' '${resolve(`test/support/azd/${name}.mjs`)}' "$@"\n`,
      );
      chmodSync(program, 0o755);
    }
  }, 180_000);
  afterAll(async () => {
    await up?.stop();
    running?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  /** Azure's blobs are reached over TLS alone; this leads to the blobs of Azurite, for anybody who has a token. */
  const serveBlob: RequestListener = (request, response) => {
    if (request.headers.authorization?.startsWith('Bearer ') !== true || request.method !== 'GET') {
      return void response.writeHead(403, { 'x-ms-error-code': 'AuthorizationPermissionMismatch' }).end();
    }
    const name = (request.url ?? '').replace(/^\/certificates\//, '');
    return void certificates
      .getBlobClient(name)
      .downloadToBuffer()
      .then((bytes) => {
        response.writeHead(200, { 'content-length': bytes.length, etag: `"${bytes.length}"` }).end(bytes);
      })
      .catch(() => {
        response.writeHead(404, { 'x-ms-error-code': 'BlobNotFound' }).end();
      });
  };

  /** What `azd provision` leaves in the environment: the template's outputs. */
  const outputs = (): Record<string, string> => ({
    AZURE_ENV_NAME: 'dev',
    AZURE_SUBSCRIPTION_ID: SUBSCRIPTION,
    STORAGE_ACCOUNT_NAME: ACCOUNT,
    SIGNING_KEY: `${vault.url}/keys/signing`,
    SIGNING_CERTIFICATE_CHAIN: `https://${BLOB_HOST}/certificates/signing.pem`,
    SIGNING_SUBJECT: SUBJECT,
  });

  interface Given {
    values?: Record<string, string>;
    /** How many first calls for blobs are denied. */
    deniedCalls?: number;
    signedOut?: boolean;
    path?: string;
    /** Folder of the project; this one by default. */
    project?: string;
    /** Called with what is printed. */
    heard?: (text: string) => void;
  }

  function azd(
    args: string[],
    { values = {}, deniedCalls = 0, signedOut = false, path, project, heard }: Given = {},
  ): Promise<Ran> {
    writeFileSync(state, JSON.stringify({ deniedCalls, signedOut }));
    rmSync(`${state}.log`, { force: true });
    const az = { connectionString, account: ACCOUNT, subscription: SUBSCRIPTION, tenantId, state };
    const env = {
      ...running.environment,
      HOME: folder,
      PATH: path ?? `${join(folder, 'bin')}${delimiter}${process.env['PATH'] ?? ''}`,
      FAKE_AZ: JSON.stringify(az),
      FAKE_AZD: JSON.stringify({ values: { ...outputs(), ...values } }),
    };
    return new Promise((done, reject) => {
      const child = spawn(join(folder, 'bin', 'azd'), args, { env, stdio: ['ignore', 'pipe', 'pipe'], cwd: project });
      let [out, err] = ['', ''];
      child.stdout.on('data', (chunk: Buffer) => {
        out += chunk.toString();
        heard?.(out);
      });
      child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
      child.on('error', reject);
      child.on('close', (code) => done({ code, out, err }));
    });
  }
  const hook = (given?: Given): Promise<Ran> => azd(['hooks', 'run', 'postprovision'], given);

  /** The commands that az was given, without their options. */
  const asked = (): string[] =>
    existsSync(`${state}.log`)
      ? readFileSync(`${state}.log`, 'utf8')
          .trim()
          .split('\n')
          .map((line) =>
            (JSON.parse(line) as string[])
              .filter((_, at, all) => !all.slice(0, at + 1).some((word) => word.startsWith('--')))
              .join(' '),
          )
      : [];
  const stored = async (): Promise<string> =>
    (await certificates.getBlobClient('signing.pem').downloadToBuffer()).toString();
  const inBlob = async (): Promise<X509Certificate[]> =>
    ((await stored()).match(/-----BEGIN[^-]+-----[^-]+-----END[^-]+-----/g) ?? []).map(
      (pem) => new X509Certificate(pem),
    );

  test('the hook reports what is missing with a remedy and changes nothing', async () => {
    const missing = await hook({ values: { STORAGE_ACCOUNT_NAME: '' } });
    expect(missing).toMatchObject({ code: 1, err: expect.stringContaining('STORAGE_ACCOUNT_NAME not set') });
    const signedOut = await hook({ signedOut: true });
    expect(signedOut).toMatchObject({ code: 1, err: expect.stringContaining('Run az login, then azd hooks run') });
    const elsewhere = await hook({ values: { AZURE_SUBSCRIPTION_ID: SUBSCRIPTION.replace(/1$/, '2') } });
    expect(elsewhere).toMatchObject({ code: 1, err: expect.stringContaining('az cannot see the subscription') });
    const withoutAz = join(folder, 'no-az');
    mkdirSync(withoutAz, { recursive: true });
    writeFileSync(join(withoutAz, 'node'), `#!/bin/sh\nexec '${process.execPath}' "$@"\n`, { mode: 0o755 });
    const lacking = await hook({ path: withoutAz });
    expect(lacking).toMatchObject({ code: 1, err: expect.stringContaining('az is not installed') });
    const never = await hook({ deniedCalls: 1_000, values: { ROLE_WAIT_SECONDS: '3' } });
    expect(never).toMatchObject({ code: 1, err: expect.stringContaining('gave up after 3 s') });
    expect(never.err).toContain('Storage Blob Data Contributor');
    expect(await certificates.getBlobClient('signing.pem').exists()).toBe(false);
  }, 60_000);

  test('the stand-ins of az and azd refuse unknown commands', async () => {
    expect(await azd(['up'])).toMatchObject({ code: 1, err: expect.stringContaining('unknown command "up"') });
    expect(await azd(['hooks', 'run', 'postdeploy'])).toMatchObject({ code: 1 });
  });

  test('the hook waits for late roles, and the app then promotes and signs', async () => {
    // The role on the key comes some seconds after it is first missed.
    let missedAt: number | undefined;
    vault.allows = () => Date.now() - (missedAt ??= Date.now()) > 3_000;
    const ran = await hook({ deniedCalls: 1 });
    expect({ ...ran, out: '' }).toEqual({ code: 0, out: '', err: '' });
    expect(ran.out).toContain(`Storage account ${ACCOUNT}: waiting until the role has taken effect, up to 15 minutes`);
    expect(ran.out).toContain('Signing key https://contoso.vault.azure.net/keys/signing: waiting until the role');
    expect(ran.out).toContain("Stored the signing key's certificate: ");
    expect(asked().filter((command) => command === 'storage blob upload')).toHaveLength(1);

    const client = createRegistries({
      credentials: basicCredentials(up.user.name, up.user.password, [up.source, up.staging]),
    });
    const packed = packArtifact({
      artifactType: 'doc/example',
      layers: [{ mediaType: 'text/plain', bytes: Buffer.from('from an empty vault') }],
    });
    const since = Date.now();
    await pushPacked(client.repository(up.source, 'samples/note'), packed, { tag: 'v1' });
    const row = await up.ended('samples/note', 'v1', since);
    expect(ending(row.last)).toMatchObject({ outcome: 'promoted' });
    const trusted = join(folder, 'trusted.pem');
    writeFileSync(trusted, await stored());
    const reference = `${row.destination.split(':v1')[0]}@${packed.descriptor.digest}`;
    expect(await notationVerify(notation, reference, trusted, up.user)).toMatchObject({ code: 0 });
    await client.close();
  }, 180_000);

  test('a second run of the hook changes nothing', async () => {
    const before = await certificates.getBlobClient('signing.pem').getProperties();
    const ran = await hook();
    expect(ran).toMatchObject({ code: 0, out: expect.stringContaining('Nothing to do.'), err: '' });
    const after = await certificates.getBlobClient('signing.pem').getProperties();
    expect(after.etag).toBe(before.etag);
    expect(asked()).toEqual([
      'account show',
      'storage blob exists',
      'storage blob download',
      'account get-access-token',
    ]);
  }, 60_000);

  test('the hook waits until azd up has built the command line', async () => {
    const project = join(folder, 'project');
    for (const path of ['azure.yaml', 'package.json', 'infra/hooks', 'bin', 'tools/node22.mjs']) {
      cpSync(path, join(project, path), { recursive: true });
    }
    symlinkSync(resolve('node_modules'), join(project, 'node_modules'));
    const ran = await hook({
      project,
      heard: (text) => {
        if (!text.includes('until it is built') || existsSync(join(project, 'dist/bundle/acr-promoter.mjs'))) return;
        cpSync('dist/bundle', join(project, 'dist/bundle'), { recursive: true });
      },
    });
    expect(ran).toMatchObject({ code: 0, err: '', out: expect.stringContaining('Nothing to do.') });
    expect(ran.out).toContain('The command line: waiting until it is built, up to 5 minutes');
    rmSync(join(project, 'node_modules'));
    const uninstalled = await hook({ project });
    expect(uninstalled).toMatchObject({ code: 1, err: expect.stringContaining('Run npm ci, then azd hooks run') });
  }, 60_000);

  test('a rotated key gets its own certificate beside the previous one', async () => {
    const [former] = await inBlob();
    const { publicKey } = vault.rotate('signing');
    // By the default subject, too.
    expect(await hook({ values: { SIGNING_SUBJECT: '' } })).toMatchObject({ code: 0, err: '' });
    const [newest, second, ...more] = await inBlob();
    expect(newest?.publicKey.equals(publicKey)).toBe(true);
    expect(newest?.subject).toBe('C=ZZ\nST=none\nO=acr-promoter\nCN=dev');
    expect(second?.fingerprint256).toBe(former?.fingerprint256);
    expect(more).toEqual([]);
  }, 60_000);

  test('the hook leaves certificates of an authority as they are', async () => {
    const authority = issueAuthority({});
    const leaf = issue({ issuer: authority });
    const pem = `${leaf.pem}${authority.pem}`;
    await certificates.getBlockBlobClient('signing.pem').upload(pem, pem.length);
    const ran = await hook();
    expect(ran).toMatchObject({
      code: 0,
      out: expect.stringContaining('An authority issues the certificates'),
      err: '',
    });
    expect(await stored()).toBe(pem);
  }, 60_000);

  test('without signing the hook waits only for the role on the storage account', async () => {
    const ran = await hook({
      values: { SIGNING_KEY: '', SIGNING_CERTIFICATE_CHAIN: '' },
      deniedCalls: 1,
    });
    expect(ran).toMatchObject({ code: 0, out: expect.stringContaining('This app does not sign'), err: '' });
    expect(new Set(asked())).toEqual(new Set(['account show', 'storage blob exists']));
  }, 60_000);
});
