import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import {
  dockerConfigCredentials,
  eraseDockerCredential,
  storeDockerCredential,
  type Credential,
} from '../../../../src/oci/index.js';
import { failureOf } from './clients.js';

let folder = '';
let path = '';
let environment: Record<string, string | undefined> = {};

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'docker-config-'));
  path = join(folder, 'config.json');
  environment = { PATH: `${folder}${delimiter}${process.env['PATH'] ?? ''}` };
});

afterEach(async () => {
  await rm(folder, { recursive: true });
});

const encode = (text: string): string => Buffer.from(text).toString('base64');
const ZERO = '00000000-0000-0000-0000-000000000000';

async function get(config: unknown, registry: string): Promise<Credential> {
  await writeFile(path, typeof config === 'string' ? config : JSON.stringify(config));
  return dockerConfigCredentials({ path, environment }).get(registry);
}

/** A credential helper that stores its entries in a file next to it. */
async function helper(name: string, entries: Record<string, { Username: string; Secret: string }>): Promise<void> {
  const store = join(folder, `${name}.json`);
  await writeFile(store, JSON.stringify(entries));
  const program = join(folder, `docker-credential-${name}`);
  const script = `#!${process.execPath}
const fs = require('node:fs');
const entries = JSON.parse(fs.readFileSync(${JSON.stringify(store)}, 'utf8'));
const input = fs.readFileSync(0, 'utf8');
const save = () => fs.writeFileSync(${JSON.stringify(store)}, JSON.stringify(entries));
if (process.argv[2] === 'store') { const { ServerURL, ...rest } = JSON.parse(input); entries[ServerURL] = rest; save(); }
else if (process.argv[2] === 'erase') { delete entries[input]; save(); }
else if (input === 'fails') process.exit(3);
else if (entries[input] === undefined) { console.log('credentials not found in native keychain'); process.exit(1); }
else console.log(JSON.stringify({ ServerURL: input, ...entries[input] }));
`;
  await writeFile(program, script);
  await chmod(program, 0o755);
}

describe('entries', () => {
  const basic: Credential = { kind: 'basic', username: 'u', password: 'p:w' };
  const entry = { auth: encode('u:p:w') };

  test.each<[string, Record<string, unknown>, string, Credential]>([
    ['by host', { 'r.example': entry }, 'r.example', basic],
    ['by host and port', { 'localhost:5000': entry }, 'localhost:5000', basic],
    ['by an older key', { 'https://r.example': entry }, 'r.example', basic],
    ['by an older key with a path', { 'https://r.example/v1/': entry }, 'r.example', basic],
    ['by an older key without TLS', { 'http://r.example/': entry }, 'r.example', basic],
    ['in capitals', { 'R.example': entry }, 'r.EXAMPLE', basic],
    ['the exact key first', { 'https://r.example': { auth: encode('x:y') }, 'r.example': entry }, 'r.example', basic],
    ['with a path', { 'r.example/namespace': entry, 'x.example/namespace': {} }, 'r.example', basic],
    ['with a path and a scheme', { 'http://r.example:80/a/b': entry }, 'r.example:80', basic],
    [
      'one with a path last',
      { 'r.example/a': { auth: encode('x:y') }, 'https://r.example/': entry },
      'r.example',
      basic,
    ],
    ['Docker Hub by any of its names', { 'https://index.docker.io/v1/': entry }, 'docker.io', basic],
    ["Docker Hub's API host", { 'https://index.docker.io/v1/': entry }, 'registry-1.docker.io', basic],
    ['with user and password in clear', { 'r.example': { username: 'u', password: 'p:w' } }, 'r.example', basic],
    ['padded with zero bytes', { 'r.example': { auth: encode('u:p:w\0\0') } }, 'r.example', basic],
    [
      'az acr login: a refresh token as identitytoken',
      { 'r.example': { auth: encode(`${ZERO}:`), identitytoken: 'rt' } },
      'r.example',
      { kind: 'refreshToken', refreshToken: 'rt' },
    ],
    [
      'az acr login: a refresh token as password',
      { 'r.example': { auth: encode(`${ZERO}:rt`) } },
      'r.example',
      { kind: 'refreshToken', refreshToken: 'rt' },
    ],
    [
      'of another host',
      { 'r.example.org': entry, 'r.example.org/r.example': entry, 'x.r.example': entry },
      'r.example',
      { kind: 'anonymous' },
    ],
    ['on another port', { 'r.example:8443': entry }, 'r.example', { kind: 'anonymous' }],
    ['empty', { 'r.example': {} }, 'r.example', { kind: 'anonymous' }],
    ['empty text', { 'r.example': { auth: '' } }, 'r.example', { kind: 'anonymous' }],
    ['malformed, of another registry', { 'q.example': { auth: '!!' } }, 'r.example', { kind: 'anonymous' }],
    ['of a name that every object has', {}, 'constructor', { kind: 'anonymous' }],
  ])('%s', async (_, auths, registry, expected) => {
    expect(await get({ auths }, registry)).toEqual(expected);
  });

  test('a missing or empty file has no credentials', async () => {
    expect(await dockerConfigCredentials({ path: join(folder, 'absent') }).get('r')).toEqual({ kind: 'anonymous' });
    expect(await get('', 'r')).toEqual({ kind: 'anonymous' });
  });

  test.each(['{"auths": {"r": {"auth": "c2VjcmV0', '[]'])('a malformed file is an error: %s', async (text) => {
    const error = await failureOf(get(text, 'r'));
    expect(error).toMatchObject({ code: 'DOCKER_CONFIG_INVALID' });
    expect(String(error)).not.toContain('c2VjcmV0');
  });

  test.each(['!!', 'c2VjcmV0'])('an auth without user and password is an error: %s', async (auth) => {
    const error = await failureOf(get({ auths: { 'https://r.example/v1/': { auth } } }, 'r.example'));
    expect(error).toMatchObject({ code: 'DOCKER_CONFIG_INVALID' });
    expect(String(error)).toContain('https://r.example/v1/');
    expect(String(error)).not.toContain(auth);
    expect(String(error)).not.toContain('secret');
  });
});

describe('helpers', () => {
  test('a helper for a host takes precedence over the store, and a helper over the file', async () => {
    await helper('own', { 'r.example': { Username: 'own', Secret: '1' } });
    await helper('store', {
      's.example': { Username: '<token>', Secret: '2' },
      'https://index.docker.io/v1/': { Username: 'hub', Secret: '3' },
    });
    const config = {
      auths: { 'r.example': { auth: encode('u:p') }, 's.example': {}, 'f.example': { auth: encode('file:4') } },
      credHelpers: { 'r.example': 'own' },
      credsStore: 'store',
    };
    expect(await get(config, 'r.example')).toEqual({ kind: 'basic', username: 'own', password: '1' });
    expect(await get(config, 's.example')).toEqual({ kind: 'refreshToken', refreshToken: '2' });
    expect(await get(config, 'docker.io')).toEqual({ kind: 'basic', username: 'hub', password: '3' });
    expect(await get(config, 'f.example')).toEqual({ kind: 'anonymous' });
    const own = { auths: config.auths, credHelpers: { 'x.example': 'own' } };
    expect(await get(own, 'f.example')).toEqual({ kind: 'basic', username: 'file', password: '4' });
    expect(await get(config, 'other.example')).toEqual({ kind: 'anonymous' });
  });

  test.each<[string, string]>([
    ['that is not there', 'absent'],
    ['whose name leads elsewhere', '../evil'],
    ['that fails', 'own'],
  ])('one %s', async (_, name) => {
    await helper('own', {});
    expect(await failureOf(get({ credHelpers: { fails: name } }, 'fails'))).toMatchObject({
      code: 'CREDENTIAL_HELPER_FAILED',
    });
  });
});

describe('storing and erasing', () => {
  test('changes only its entry in the file, which only the owner can read', async () => {
    await writeFile(
      path,
      JSON.stringify({ detachKeys: 'x', auths: { 'https://r.example/v1/': { auth: 'old' }, other: { auth: 'kept' } } }),
    );
    await storeDockerCredential('r.example', 'u', 'p', { path, environment });
    expect(JSON.parse(await readFile(path, 'utf8'))).toEqual({
      detachKeys: 'x',
      auths: { other: { auth: 'kept' }, 'r.example': { auth: encode('u:p') } },
    });
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await dockerConfigCredentials({ path, environment }).get('r.example')).toEqual({
      kind: 'basic',
      username: 'u',
      password: 'p',
    });
    expect(await eraseDockerCredential('r.example', { path, environment })).toBe(true);
    expect(await eraseDockerCredential('r.example', { path, environment })).toBe(false);
    expect(JSON.parse(await readFile(path, 'utf8')).auths).toEqual({ other: { auth: 'kept' } });
  });

  test('keeps an entry with a path', async () => {
    const below = { auth: encode('n:s') };
    await writeFile(path, JSON.stringify({ auths: { 'r.example/namespace': below, 'https://r.example': below } }));
    await storeDockerCredential('r.example', 'u', 'p', { path });
    expect(Object.keys((JSON.parse(await readFile(path, 'utf8')) as { auths: object }).auths)).toEqual([
      'r.example/namespace',
      'r.example',
    ]);
    expect(await eraseDockerCredential('r.example', { path })).toBe(true);
    expect(JSON.parse(await readFile(path, 'utf8'))).toEqual({ auths: { 'r.example/namespace': below } });
  });

  test('creates a missing file, and stores a token without a user', async () => {
    const fresh = join(folder, 'deep', 'config.json');
    await storeDockerCredential('docker.io', '', 'token', { path: fresh });
    expect(JSON.parse(await readFile(fresh, 'utf8')).auths).toEqual({
      'https://index.docker.io/v1/': { identitytoken: 'token' },
    });
  });

  test('uses the helper that the config names', async () => {
    await helper('store', {});
    await writeFile(path, JSON.stringify({ credsStore: 'store' }));
    await storeDockerCredential('r.example', 'u', 'p', { path, environment });
    expect(await dockerConfigCredentials({ path, environment }).get('r.example')).toEqual({
      kind: 'basic',
      username: 'u',
      password: 'p',
    });
    expect(await readFile(path, 'utf8')).not.toContain('auths');
    await eraseDockerCredential('r.example', { path, environment });
    expect(await dockerConfigCredentials({ path, environment }).get('r.example')).toEqual({ kind: 'anonymous' });
  });
});
