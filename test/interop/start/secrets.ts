import { readFile, readdir } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';

/** Where secrets are kept on purpose, for their owner alone. */
const KEPT: ReadonlySet<string> = new Set([
  'users.json',
  'identity/identity-key.json',
  'signing/key.pem',
  'registry-source/token-secret',
  'registry-staging/token-secret',
]);

/** Every token here is a JWT: the identity's, refresh tokens, access tokens. */
const TOKEN = /eyJ[A-Za-z0-9_-]{16,}\.eyJ[A-Za-z0-9_-]{8,}/;

export interface Secret {
  name: string;
  isIn(text: string): boolean;
}

function literally(name: string, secret: string): Secret {
  if (secret.length < 16) throw new Error(`${name} is too short to be looked for`);
  return { name, isIn: (text) => text.includes(secret) };
}

interface IdentityKey {
  secret: string;
  privateKey: { d: string };
}

/** What must stand nowhere else in the data folder, read from where it is kept. */
export async function secretsOf(dataDir: string): Promise<Secret[]> {
  const [user] = JSON.parse(await readFile(join(dataDir, 'users.json'), 'utf8')) as {
    name: string;
    password: string;
  }[];
  const identity = JSON.parse(await readFile(join(dataDir, 'identity/identity-key.json'), 'utf8')) as IdentityKey;
  const key = await readFile(join(dataDir, 'signing/key.pem'), 'utf8');
  if (user === undefined) throw new Error('there is no user');
  const { name, password } = user;
  return [
    { name: 'a token', isIn: (text) => TOKEN.test(text) },
    literally('the password', password),
    literally('user and password', Buffer.from(`${name}:${password}`).toString('base64').replace(/=+$/, '')),
    literally("the identity endpoint's secret", identity.secret),
    literally("the identity endpoint's key", identity.privateKey.d),
    literally('the signing key', key.split('\n')[1] ?? ''),
    ...(await Promise.all(
      ['registry-source', 'registry-staging'].map(async (registry) =>
        literally(
          `what ${registry} signs with`,
          (await readFile(join(dataDir, registry, 'token-secret'), 'latin1')).trim(),
        ),
      ),
    )),
  ];
}

/** Files that hold one of the secrets, blobs of the registries included. */
export async function filesWith(dataDir: string, secrets: readonly Secret[]): Promise<string[]> {
  const found: string[] = [];
  for (const entry of await readdir(dataDir, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const name = relative(dataDir, path).split(sep).join('/');
    if (KEPT.has(name)) continue;
    const text = await readFile(path, 'latin1').catch(() => '');
    for (const secret of secrets) if (secret.isIn(text)) found.push(`${secret.name} in ${name}`);
  }
  return found;
}

/** A token as the app gets it. */
export async function anEntraToken(dataDir: string): Promise<string> {
  const identity = JSON.parse(await readFile(join(dataDir, 'identity/identity-key.json'), 'utf8')) as IdentityKey;
  const ports = JSON.parse(await readFile(join(dataDir, 'ports.json'), 'utf8')) as { identity: number };
  const query = 'api-version=2019-08-01&resource=https%3A%2F%2Fcontainerregistry.azure.net';
  const answer = await fetch(`http://127.0.0.1:${ports.identity}/msi/token?${query}`, {
    headers: { 'x-identity-header': identity.secret },
  });
  return ((await answer.json()) as { access_token: string }).access_token;
}
