// azd runs this after provisioning (azure.yaml). It waits until the roles of the principal that deploys take effect, creates the
// certificate of the signing key, and stores it where the app reads it. A second run changes nothing, unless the certificate expires
// within 60 days or the key was rotated. To run it by hand: azd hooks run postprovision.
import { X509Certificate } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { HookError, run } from './run.mjs';
import { waitUntil } from './wait.mjs';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
/** Twice the warning of the app (30 days), so that one run a month is enough. */
const RENEW_DAYS = 60;
/** What the app reads of the blob. */
const MOST_BYTES = 1024 * 1024;
const DEFAULT_WAIT_SECONDS = 900;
const BUILD_WAIT_MS = 300_000;
const ROLE = 'the role has taken effect';

const say = (line) => process.stdout.write(`${line}\n`);

function settings(env) {
  const wanted = ['AZURE_ENV_NAME', 'AZURE_SUBSCRIPTION_ID', 'STORAGE_ACCOUNT_NAME'];
  const missing = wanted.filter((name) => (env[name] ?? '') === '');
  if (missing.length > 0) {
    throw new HookError(
      `${missing.join(', ')} not set: run this with azd, after azd provision (azd hooks run postprovision)`,
    );
  }
  const waitSeconds = Number(env.ROLE_WAIT_SECONDS ?? DEFAULT_WAIT_SECONDS);
  if (!(waitSeconds >= 0)) throw new HookError('ROLE_WAIT_SECONDS is not a number of seconds');
  const name = env.AZURE_ENV_NAME;
  return {
    key: env.SIGNING_KEY ?? '',
    chain: env.SIGNING_CERTIFICATE_CHAIN ?? '',
    account: env.STORAGE_ACCOUNT_NAME,
    subscription: env.AZURE_SUBSCRIPTION_ID,
    subject: env.SIGNING_SUBJECT || `C=ZZ, ST=none, O=acr-promoter, CN=${name}`,
    waitMs: waitSeconds * 1000,
  };
}

/** The last lines of what a program said, for an error. */
const lastLines = (text) => text.trim().split('\n').slice(-5).join('\n');

const DENIED = /You do not have the required permissions|AuthorizationPermissionMismatch/;

/** Runs az on the storage account, as who is signed in; waits for the role. @returns what az answers, parsed */
function storage({ account, subscription, waitMs }, verb, args) {
  const signIn = ['--account-name', account, '--auth-mode', 'login', '--subscription', subscription];
  const attempt = async () => {
    const { code, out, err } = await run('az', ['storage', 'blob', verb, ...args, ...signIn, '--output', 'json']);
    if (code === 0) return { done: JSON.parse(out) };
    if (DENIED.test(err)) return { notYet: lastLines(err) };
    throw new HookError(`az storage blob ${verb} failed: ${lastLines(err)}`);
  };
  return waitUntil(`Storage account ${account}`, attempt, {
    until: ROLE,
    waitMs,
    say,
    remedy:
      'Sign in to az (az login) as the principal that deploys. It needs Storage Blob Data Contributor on the account. A pipeline also needs azd env set AZURE_PRINCIPAL_TYPE ServicePrincipal.',
  });
}

async function checkSignIn({ subscription }) {
  const { code, err } = await run('az', ['account', 'show', '--subscription', subscription, '--output', 'json']);
  if (code === 0) return;
  const remedy = 'Run az login, then azd hooks run postprovision.';
  throw new HookError(`az cannot see the subscription ${subscription}: ${lastLines(err)}\n${remedy}`);
}

/** Runs our own command. @returns {Promise<{code: number, out: string, err: string, unbuilt: boolean}>} */
async function command(args) {
  // Use az's sign-in, whatever other credentials this machine has.
  const env = { ...process.env, AZURE_TOKEN_CREDENTIALS: 'AzureCliCredential' };
  const ran = await run(process.execPath, [join(root, 'bin', 'acr-promoter.mjs'), ...args], env);
  return { ...ran, unbuilt: /ERR_MODULE_NOT_FOUND|SyntaxError/.test(ran.err) };
}

/** azd up packages while it provisions, and that builds the command line anew. */
async function commandIsBuilt() {
  const remedy = 'Run npm ci, then azd hooks run postprovision.';
  if (!existsSync(join(root, 'node_modules'))) throw new HookError(`the command line is not installed: ${remedy}`);
  const attempt = async () => {
    const { code, err, unbuilt } = await command(['version']);
    if (code === 0) return { done: true };
    if (unbuilt) return { notYet: lastLines(err) };
    throw new HookError(`acr-promoter version failed: ${lastLines(err)}`);
  };
  await waitUntil('The command line', attempt, { until: 'it is built', waitMs: BUILD_WAIT_MS, say, remedy });
}

/** Makes the certificate, unless the one in the file is for the newest version of the key and good for long enough. */
async function makeCertificate({ key, subject, waitMs }, file) {
  await commandIsBuilt();
  const create = ['certificate', 'create', key, '--subject', subject, '--output', file];
  const attempt = async () => {
    const { code, out, err, unbuilt } = await command([
      ...create,
      '--renew-within',
      String(RENEW_DAYS),
      '--format',
      'json',
    ]);
    if (code === 0) return { done: JSON.parse(out) };
    if (unbuilt || err.includes('KEY_VAULT_DENIED')) return { notYet: lastLines(err) };
    throw new HookError(`acr-promoter certificate create failed: ${lastLines(err)}`);
  };
  return waitUntil(`Signing key ${key}`, attempt, {
    until: ROLE,
    waitMs,
    say,
    remedy: 'Sign in to az (az login) as the principal that deploys. It needs Key Vault Crypto User on the key.',
  });
}

/** The arguments of az for `https://ACCOUNT.blob.…/CONTAINER/NAME`. */
function blobOf(url) {
  const [, container, ...rest] = new URL(url).pathname.split('/');
  return ['--container-name', container, '--name', rest.join('/')];
}

function certificatesIn(pem) {
  const found = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return found.map((text) => new X509Certificate(text));
}

async function storeCertificate(given, folder) {
  const blob = blobOf(given.chain);
  const file = join(folder, 'signing.pem');
  const { exists } = await storage(given, 'exists', blob);
  if (exists) await storage(given, 'download', [...blob, '--file', file, '--no-progress']);
  const former = exists ? readFileSync(file, 'utf8') : '';
  if (certificatesIn(former).some(({ issuer, subject }) => issuer !== subject)) {
    return say(
      `An authority issues the certificates in ${given.chain}: this hook leaves them alone (docs/how-to/deploy.md).`,
    );
  }
  const { created, subject, notAfter } = await makeCertificate(given, file);
  if (!created) return say(`The signing key has its certificate: ${subject}, valid until ${notAfter}. Nothing to do.`);
  // Keep the former certificates: until the app reads the blob again, the former version of the key signs.
  const all = `${readFileSync(file, 'utf8').trimEnd()}\n${former}`;
  if (Buffer.byteLength(all) > MOST_BYTES) {
    throw new HookError(`${given.chain} grows over 1 MiB: remove the certificates of former keys from it`);
  }
  writeFileSync(file, all);
  const how = ['--file', file, '--overwrite', '--no-progress', '--content-type', 'application/x-pem-file'];
  await storage(given, 'upload', [...blob, ...how]);
  return say(
    `Stored the signing key's certificate: ${subject}, valid until ${notAfter}. The app reads it within five minutes.`,
  );
}

async function main() {
  const given = settings(process.env);
  await checkSignIn(given);
  if (given.key === '') {
    await storage(given, 'exists', ['--container-name', 'rules', '--name', 'rules.json']);
    return say('This app does not sign (SIGNING=false): no certificate is created.');
  }
  const folder = mkdtempSync(join(tmpdir(), 'acr-promoter-hook-'));
  try {
    return await storeCertificate(given, folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

try {
  await main();
} catch (error) {
  const text = error instanceof HookError ? error.message : (error?.stack ?? String(error));
  process.stderr.write(`postprovision: ${text}\n`);
  process.exitCode = 1;
}
