import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startIdentity, type RunningIdentity } from '../../local/identity/server.js';
import { startRegistry, type RunningRegistry } from '../../local/registry/server.js';
import { DIFFERENCES } from './oras/differences.js';
import { runOurs, runProgram, type Ran } from './oras/side-by-side.js';
import { describeWithPeers } from '../support/peers.js';
import { startBehindNginx, type RunningPeer } from '../support/registry-peers.js';

/** The user of those who sign in with a token instead. */
const TOKEN_USER = '00000000-0000-0000-0000-000000000000';
const SERVICE_PRINCIPAL = { name: '5f0c8d3e-0000-4000-8000-00000000a5a5', password: 'sp~secret:with:colons' };
const SCOPED = { name: 'oras-token', password: 'scoped+secret/=' };
const REPOSITORY = 'net-monitor';
const COMMAND = fileURLToPath(new URL('../../bin/acr-promoter.mjs', import.meta.url));
const SECRETS = [SERVICE_PRINCIPAL.password, SCOPED.password];

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sign-in-'));
  await writeFile(join(folder, 'note.txt'), 'a note');
});
afterAll(() => rm(folder, { recursive: true, force: true }));

type Program = (line: string, options?: { input?: string; docker?: string; path?: string }) => Promise<Ran>;

/** Both programs, each run with a Docker config folder that is named. */
function programs(oras: string): Record<'oras' | 'ours', Program> {
  const env = (docker: string, path?: string) => ({
    HOME: folder,
    DOCKER_CONFIG: join(folder, docker),
    ...(path !== undefined && { PATH: `${path}${delimiter}${process.env['PATH'] ?? ''}` }),
  });
  return {
    oras: (line, { input = '', docker = 'docker', path } = {}) =>
      runProgram(oras, line.split(' '), { cwd: folder, input, env: env(docker, path) }),
    ours: async (line, { input = '', docker = 'docker', path } = {}) => {
      const ran = await runOurs(line.split(' '), { input, env: env(docker, path) });
      // Whatever happens, no secret is shown.
      for (const secret of SECRETS) expect(ran.out + ran.err).not.toContain(secret);
      return ran;
    },
  };
}

async function writeConfig(docker: string, config: object): Promise<string> {
  await mkdir(join(folder, docker), { recursive: true });
  const path = join(folder, docker, 'config.json');
  await writeFile(path, JSON.stringify(config));
  return path;
}

async function readConfig(docker: string): Promise<unknown> {
  return JSON.parse(await readFile(join(folder, docker, 'config.json'), 'utf8'));
}

const auth = (username: string, password: string) => ({
  auth: Buffer.from(`${username}:${password}`).toString('base64'),
});

describeWithPeers('the four ways of signing in to ACR, beside oras', ['oras'], ([program = '']) => {
  const { oras, ours } = programs(program);
  let identity: RunningIdentity;
  let registry: RunningRegistry;
  let host = '';

  beforeAll(async () => {
    identity = await startIdentity({ dataDir: join(folder, 'identity') });
    registry = await startRegistry({
      dataDir: join(folder, 'registry'),
      entraKeysFile: identity.publicKeysFile,
      users: [
        SERVICE_PRINCIPAL,
        {
          ...SCOPED,
          grants: [{ repository: REPOSITORY, actions: ['pull', 'push', 'metadata_read'] }],
        },
      ],
    });
    host = `localhost:${registry.port}`;
  });
  afterAll(async () => {
    await Promise.all([registry.close(), identity.close()]);
  });

  /** What `az acr login` gets: an Entra token, exchanged for a refresh token of the registry's. */
  async function acrToken(): Promise<string> {
    const { IDENTITY_ENDPOINT, IDENTITY_HEADER } = identity.environment;
    const query = new URLSearchParams({ resource: 'https://containerregistry.azure.net', 'api-version': '2019-08-01' });
    const headers = { 'x-identity-header': IDENTITY_HEADER };
    const issued = (await (await fetch(`${IDENTITY_ENDPOINT}?${query.toString()}`, { headers })).json()) as {
      access_token: string;
    };
    const body = new URLSearchParams({
      grant_type: 'access_token',
      service: registry.name,
      access_token: issued.access_token,
    });
    const exchanged = await fetch(`${registry.url}/oauth2/exchange`, { method: 'POST', body });
    const { refresh_token: token } = (await exchanged.json()) as { refresh_token: string };
    SECRETS.push(token);
    return token;
  }

  /** What every way must be able to do in a repository: write, read, tag, list, copy, and no more than it may. */
  async function expectWorks(docker: string, repository: string): Promise<void> {
    const app = `${host}/${repository}`;
    const note = join(folder, 'note.txt');
    const did = async (line: string): Promise<string> => {
      const ran = await ours(line, { docker });
      expect({ line, code: ran.code, err: ran.err }).toEqual({ line, code: 0, err: '' });
      return ran.out;
    };
    await did(`push --disable-path-validation --artifact-type test/note ${app}:v1 ${note}:text/plain`);
    await did(`attach --disable-path-validation --artifact-type test/about ${app}:v1 ${note}:text/plain`);
    await did(`tag ${app}:v1 v2`);
    expect(await did(`repo tags ${app}`)).toBe('v1\nv2\n');
    const manifest = await did(`manifest fetch ${app}:v2`);
    expect((await oras(`manifest fetch ${app}:v1`, { docker })).out).toBe(manifest);
    expect(await did(`discover --format json ${app}:v1`)).toContain('test/about');
    await did(`copy -r ${app}:v1 ${app}:v3`);
  }

  test('1: the Docker config as az acr login leaves it', async () => {
    const token = await acrToken();
    for (const [name, entry] of [
      ['password', auth(TOKEN_USER, token)],
      ['identity-token', { ...auth(TOKEN_USER, ''), identitytoken: token }],
    ] as const) {
      const docker = `az-${name}`;
      await writeConfig(docker, { auths: { [host]: entry } });
      await expectWorks(docker, `samples/${name}`);
      const listed = await ours(`repo ls ${host}`, { docker });
      expect(listed).toEqual({ ...(await oras(`repo ls ${host}`, { docker })), err: '' });
    }
    // Only this registry's own token endpoint was asked, and by its refresh token.
    expect(registry.log.filter(({ subject }) => subject === `entra:${identity.clientId}`).length).toBeGreaterThan(10);
  });

  test('2: login with the all-zero user and a token', async () => {
    const token = await acrToken();
    const ran = await ours(`login ${host} --username ${TOKEN_USER} --password ${token}`, { docker: 'token' });
    expect(ran).toEqual({
      code: 0,
      out: 'Login Succeeded\n',
      err: 'WARNING! Using --password via the CLI is insecure. Use --password-stdin.\n',
    });
    const other = await oras(`login ${host} --username ${TOKEN_USER} --password ${token}`, { docker: 'token-oras' });
    expect(other).toEqual(ran);
    expect(await readConfig('token')).toEqual(await readConfig('token-oras'));
    expect((await stat(join(folder, 'token', 'config.json'))).mode & 0o777).toBe(0o600);
    await expectWorks('token', 'samples/token');
  });

  test('3: login as a service principal', async () => {
    const { name, password } = SERVICE_PRINCIPAL;
    const ran = await ours(`login ${host} --username ${name} --password-stdin`, {
      docker: 'sp',
      input: `${password}\n`,
    });
    expect(ran).toEqual({ code: 0, out: 'Login Succeeded\n', err: '' });
    await oras(`login ${host} --username ${name} --password-stdin`, { docker: 'sp-oras', input: password });
    expect(await readConfig('sp')).toEqual(await readConfig('sp-oras'));
    await expectWorks('sp', 'samples/sp');
    await expectWorks('sp-oras', 'samples/sp2');
  });

  test('4: login with a repository-scoped token, which is good for one repository', async () => {
    const { name, password } = SCOPED;
    await ours(`login ${host} --username ${name} --password-stdin`, { docker: 'scoped', input: password });
    await expectWorks('scoped', REPOSITORY);
    for (const line of [
      `repo tags ${host}/samples/sp`,
      `manifest fetch ${host}/samples/sp:v1`,
      `tag ${host}/samples/sp:v1 v9`,
      `cp ${host}/${REPOSITORY}:v1 ${host}/samples/sp:v9`,
      `manifest delete -f ${host}/${REPOSITORY}:v1`,
      `repo ls ${host}`,
    ]) {
      const [own, other] = [await ours(line, { docker: 'scoped' }), await oras(line, { docker: 'scoped' })];
      expect({ line, code: own.code, out: own.out }).toEqual({ line, code: other.code, out: other.out });
      expect(own.err).toMatch(/ \((?:UNAUTHORIZED|DENIED)\)\n/);
      expect(own.err).toContain(host);
    }
  });

  test.each([
    ['a wrong password', () => `login HOST -u ${SERVICE_PRINCIPAL.name} -p wrong`, ''],
    ['a wrong token', () => `login HOST -u ${TOKEN_USER} -p wrong`, ''],
    ['a wrong identity token', () => 'login HOST --identity-token wrong', ''],
    ['a wrong identity token from standard input', () => 'login HOST --identity-token-stdin', 'wrong'],
    ['a password without a user', () => 'login HOST -p wrong', ''],
    ['nothing on standard input', () => 'login HOST -u name --password-stdin', ''],
    ['nothing at the prompts', () => 'login HOST', ''],
    ['an empty user and an empty token', () => 'login HOST', '\n\n'],
    ['a user and no password', () => 'login HOST -u name', ''],
    ['both a password and one from standard input', () => 'login HOST -u a -p b --password-stdin', 'c'],
    ['a user beside an identity token', () => 'login HOST -u a --identity-token b', ''],
    ['a scheme', () => 'login https://HOST -u a -p b', ''],
    ['a repository', () => 'login HOST/repo -u a -p b', ''],
    ['no registry there', () => 'login localhost:1 -u a -p b', ''],
    ['no registry named', () => 'login', ''],
    ['two registries named', () => 'login a b', ''],
    ['logout without a registry', () => 'logout', ''],
  ])('%s is refused as oras does, and what was kept stays', async (_what, line, input) => {
    const config = { auths: { [host]: auth('before', 'kept') }, HttpHeaders: { 'X-Mine': '1' } };
    await writeConfig('refused', config);
    const command = line().replace('HOST', host);
    const own = await ours(command, { docker: 'refused', input });
    const other = await oras(command, { docker: 'refused', input });
    expect([own.code, other.code]).toEqual([1, 1]);
    const differs = DIFFERENCES.some((each) => each.line === line());
    if (differs) expect(own.out).not.toBe(other.out);
    else expect(own.out).toBe(other.out);
    expect(await readConfig('refused')).toEqual(config);
  });

  test('asked for, user and password are read line by line', async () => {
    const { name, password } = SERVICE_PRINCIPAL;
    const asked = `${name}\n${password}\n`;
    const own = await ours(`login ${host}`, { docker: 'asked', input: asked });
    expect(own).toEqual({ code: 0, out: 'Username: Password: Login Succeeded\n', err: '' });
    expect(own.out).toBe((await oras(`login ${host}`, { docker: 'asked-oras', input: asked })).out);
    const token = await acrToken();
    const byToken = await ours(`login ${host}`, { docker: 'asked', input: `\n${token}\n` });
    expect(byToken).toEqual({ code: 0, out: 'Username: Token: Login Succeeded\n', err: '' });
    await expectWorks('asked', 'samples/asked');
  });

  test('an identity token is kept as one', async () => {
    const token = await acrToken();
    const own = await ours(`login ${host} --identity-token-stdin`, { docker: 'identity', input: `${token}\n` });
    expect(own).toEqual({ code: 0, out: 'Login Succeeded\n', err: '' });
    await oras(`login ${host} --identity-token-stdin`, { docker: 'identity-oras', input: token });
    expect(await readConfig('identity')).toEqual(await readConfig('identity-oras'));
    await expectWorks('identity', 'samples/identity');
  });

  test('--registry-config names another file, whose folder is made', async () => {
    const { name, password } = SERVICE_PRINCIPAL;
    const path = join(folder, 'made', 'for', 'it.json');
    await ours(`login --registry-config ${path} ${host} -u ${name} --password-stdin`, { input: password });
    expect(JSON.parse(await readFile(path, 'utf8'))).toEqual({ auths: { [host]: auth(name, password) } });
    expect((await ours(`repo ls ${host} --registry-config ${path}`, { docker: 'none' })).code).toBe(0);
    expect((await ours(`repo ls ${host}`, { docker: 'none' })).code).toBe(1);
    expect(await ours(`logout --registry-config ${path} ${host}`)).toEqual({ code: 0, out: '', err: '' });
    expect(JSON.parse(await readFile(path, 'utf8'))).toEqual({ auths: {} });
  });

  test('of several --registry-config, the first that has anything is read, and the first is written', async () => {
    const { name, password } = SERVICE_PRINCIPAL;
    await writeConfig('none-of-it', { auths: { 'other.example.org': auth('c', 'd') } });
    await writeConfig('all-of-it', { auths: { [host]: auth(name, password) } });
    const [first, second] = ['none-of-it', 'all-of-it'].map((docker) => join(folder, docker, 'config.json'));
    const both = `--registry-config ${first} --registry-config ${second}`;
    for (const [line, code] of [
      [`repo ls ${host} ${both}`, 0],
      [`repo ls ${host} --registry-config ${second} --registry-config ${first}`, 0],
      [`repo ls ${host} --registry-config ${first}`, 1],
      [`logout ${host} ${both}`, 0],
      [`repo ls ${host} ${both}`, 0],
    ] as const) {
      const [own, other] = [await ours(line, { docker: 'none' }), await oras(line, { docker: 'none' })];
      expect({ line, ours: own.code, theirs: other.code }).toEqual({ line, ours: code, theirs: code });
    }
    await ours(`login ${host} ${both} -u ${name} --password-stdin`, { input: password });
    expect(await readConfig('none-of-it')).toMatchObject({ auths: { [host]: auth(name, password) } });
  });

  test('logout takes one registry out, under its older names too, and leaves all else', async () => {
    const before = {
      auths: { [host]: auth('a', 'b'), [`https://${host}/v1/`]: auth('a', 'b'), 'other.example.org': auth('c', 'd') },
      HttpHeaders: { 'X-Mine': '1' },
    };
    await writeConfig('leaving', before);
    expect(await ours(`logout ${host}`, { docker: 'leaving' })).toEqual({ code: 0, out: '', err: '' });
    expect(await readConfig('leaving')).toEqual({ ...before, auths: { 'other.example.org': auth('c', 'd') } });
    // There is nothing left to forget, and that is no error.
    for (const gone of [host, 'nowhere.example.org', `https://${host}`]) {
      const [own, other] = [
        await ours(`logout ${gone}`, { docker: 'leaving' }),
        await oras(`logout ${gone}`, { docker: 'leaving' }),
      ];
      expect(own).toEqual(other);
    }
    expect(await readConfig('leaving')).toMatchObject({ HttpHeaders: { 'X-Mine': '1' } });
  });

  describe('with a credential helper in the Docker config', () => {
    const kept = () => join(folder, 'helper', 'kept');
    const path = () => join(folder, 'helper');

    beforeAll(async () => {
      await mkdir(path());
      // As Docker's helpers do: JSON through the standard streams, one entry that is kept in a file.
      const script = `#!/bin/sh
case $1 in
  store) cat > '${kept()}' ;;
  get) cat > /dev/null; if [ -f '${kept()}' ]; then cat '${kept()}'; else echo 'credentials not found in native keychain'; exit 1; fi ;;
  erase) cat > /dev/null; rm -f '${kept()}' ;;
esac
`;
      await writeFile(join(path(), 'docker-credential-test'), script, { mode: 0o755 });
    });

    test.each([
      ['credsStore', () => ({ credsStore: 'test', HttpHeaders: { 'X-Mine': '1' } })],
      ['credHelpers', () => ({ credHelpers: { [host]: 'test' } })],
    ])('%s: what one program keeps there, the other finds', async (kind, configOf) => {
      const { name, password } = SERVICE_PRINCIPAL;
      const docker = `helper-${kind}`;
      const config = configOf();
      await writeConfig(docker, config);
      for (const [keeper, finder] of [
        [ours, oras],
        [oras, ours],
      ] as const) {
        const options = { docker, path: path() };
        const signedIn = await keeper(`login ${host} -u ${name} --password-stdin`, { ...options, input: password });
        expect(signedIn).toEqual({ code: 0, out: 'Login Succeeded\n', err: '' });
        expect(JSON.parse(await readFile(kept(), 'utf8'))).toEqual({
          ServerURL: host,
          Username: name,
          Secret: password,
        });
        // Not a word of it in the file.
        expect(await readConfig(docker)).toEqual(config);
        expect((await finder(`repo ls ${host}`, options)).code).toBe(0);
        expect((await ours(`logout ${host}`, options)).code).toBe(0);
        await expect(stat(kept())).rejects.toThrow('ENOENT');
        expect((await finder(`repo ls ${host}`, options)).code).toBe(1);
        expect(await readConfig(docker)).toEqual(config);
      }
    });

    test('one that has nothing is the end of it, whatever the file says; a key with a path stands for its host', async () => {
      const { name, password } = SERVICE_PRINCIPAL;
      const auth = Buffer.from(`${name}:${password}`).toString('base64');
      const auths = { [`${host}/any/path`]: { auth } };
      for (const [docker, config, code] of [
        ['helper-empty', { auths, credsStore: 'test' }, 1],
        ['key-with-path', { auths }, 0],
      ] as const) {
        await writeConfig(docker, config);
        for (const tool of [oras, ours])
          expect((await tool(`repo ls ${host}`, { docker, path: path() })).code).toBe(code);
      }
    });

    test('one that is not there is said, and nothing is kept in its place', async () => {
      const { name, password } = SERVICE_PRINCIPAL;
      await writeConfig('helper-absent', { credsStore: 'absent' });
      const options = { docker: 'helper-absent', path: path(), input: password };
      const own = await ours(`login ${host} -u ${name} --password-stdin`, options);
      expect(own.err).toContain('(CREDENTIAL_HELPER_FAILED)');
      expect(own.code).toBe((await oras(`login ${host} -u ${name} --password-stdin`, options)).code);
      expect(await readConfig('helper-absent')).toEqual({ credsStore: 'absent' });
    });
  });
});

describe('who is signed in to Azure, by the command as it is installed', () => {
  let identity: RunningIdentity;
  let registry: RunningRegistry;
  let open: RunningRegistry;
  let host = '';
  const azFolder = () => join(folder, 'az');

  beforeAll(async () => {
    identity = await startIdentity({ dataDir: join(folder, 'azure-identity') });
    const entraKeysFile = identity.publicKeysFile;
    registry = await startRegistry({ dataDir: join(folder, 'azure-registry'), entraKeysFile });
    open = await startRegistry({ dataDir: join(folder, 'open-registry'), entraKeysFile, anonymousPull: true });
    host = `localhost:${registry.port}`;
    await mkdir(azFolder());
    // As the Azure CLI answers, as far as DefaultAzureCredential asks it.
    const script = `#!/bin/sh
echo "$*" >> '${join(folder, 'az-asked')}'
cat '${join(folder, 'az-answer')}'
`;
    await writeFile(join(azFolder(), 'az'), script, { mode: 0o755 });
  });
  afterAll(async () => {
    await Promise.all([registry.close(), open.close(), identity.close()]);
  });

  interface Machine {
    /** Folders with programs. */
    path?: string;
    env?: Record<string, string>;
    input?: string;
    /** What counts as an Azure Container Registry; by default both. */
    azure?: string;
  }

  /** A machine with no more than what is named: no Docker config, no IDENTITY_ENDPOINT, no other credential. */
  const command = (line: string, { path = '', env = {}, input = '', azure }: Machine = {}): Promise<Ran> =>
    runProgram(process.execPath, [COMMAND, ...line.split(' ')], {
      cwd: folder,
      input,
      env: {
        HOME: folder,
        DOCKER_CONFIG: join(folder, 'docker-none'),
        PATH: `${path}${delimiter}/usr/bin${delimiter}/bin`,
        ACR_PROMOTER_AZURE_REGISTRIES: azure ?? `${host}, localhost:${open.port}`,
        ...env,
      },
    });

  test('a managed identity: its token is exchanged, and good for whatever there is to do', async () => {
    const env = { ...identity.environment };
    const app = `${host}/samples/managed`;
    const note = 'note.txt:text/plain';
    for (const line of [`push ${app}:v1 ${note}`, `tag ${app}:v1 v2`, `copy -r ${app}:v1 ${app}/copy:v1`]) {
      expect({ line, ...(await command(line, { env })) }).toMatchObject({ line, code: 0, err: '' });
    }
    expect(await command(`repo tags ${app}`, { env })).toEqual({ code: 0, out: 'v1\nv2\n', err: '' });
    expect(await command(`repo ls ${host}`, { env })).toMatchObject({
      code: 0,
      out: 'samples/managed\nsamples/managed/copy\n',
    });
    expect(identity.log.every(({ resource }) => resource === 'https://containerregistry.azure.net')).toBe(true);
    expect(registry.log.some(({ subject }) => subject === `entra:${identity.clientId}`)).toBe(true);
    // One command, one token of Entra's: also for both sides of a copy.
    expect(identity.log).toHaveLength(5);
  });

  test('az login, where there is no managed identity', async () => {
    const { IDENTITY_ENDPOINT, IDENTITY_HEADER } = identity.environment;
    const query = 'api-version=2019-08-01&resource=https://containerregistry.azure.net';
    const headers = { 'x-identity-header': IDENTITY_HEADER };
    const issued = (await (await fetch(`${IDENTITY_ENDPOINT}?${query}`, { headers })).json()) as {
      access_token: string;
    };
    const answer = {
      accessToken: issued.access_token,
      expiresOn: '2099-01-01 00:00:00.000000',
      expires_on: 4_070_908_800,
      tenant: identity.tenantId,
      tokenType: 'Bearer',
    };
    await writeFile(join(folder, 'az-answer'), JSON.stringify(answer));
    const ran = await command(`push ${host}/samples/az:v1 note.txt`, { path: azFolder() });
    expect(ran).toMatchObject({ code: 0, err: '' });
    expect(ran.out).not.toContain(issued.access_token);
    expect(await readFile(join(folder, 'az-asked'), 'utf8')).toBe(
      'account get-access-token --output json --resource https://containerregistry.azure.net\n',
    );
    // Whom the registry doesn't know may still read what anybody may, and is told what to do for all else.
    await writeFile(join(folder, 'az-answer'), JSON.stringify({ ...answer, accessToken: 'a.b.c' }));
    const refused = await command(`repo tags ${host}/samples/az`, { path: azFolder() });
    expect(refused).toMatchObject({ code: 1, err: expect.stringContaining('(AZURE_ACCOUNT_REFUSED)') });
    expect(refused.err).toContain('az login --tenant');
  });

  test('nobody: what anybody may read is read, and all else says az login', async () => {
    const env = { ...identity.environment };
    const pub = `localhost:${open.port}/samples/public`;
    expect(await command(`push ${pub}:v1 note.txt`, { env })).toMatchObject({ code: 0 });
    expect(await command(`repo tags ${pub}`)).toEqual({ code: 0, out: 'v1\n', err: '' });
    for (const line of [`repo tags ${host}/samples/az`, `push ${pub}:v2 note.txt`, `copy ${pub}:v1 ${host}/copy:v1`]) {
      const ran = await command(line);
      expect({ line, ...ran }).toMatchObject({ line, code: 1, err: expect.stringContaining('(AZURE_NOT_SIGNED_IN)') });
      expect(ran.err).toContain('Run az login');
    }
  });

  test('the Azure token goes to no other registry, and to none with a credential of its own', async () => {
    const before = identity.log.length;
    const env = { ...identity.environment };
    const other = await command(`repo tags ${host}/samples/az`, { env, azure: 'localhost:1' });
    expect(other).toMatchObject({ code: 1, err: expect.stringContaining('(NOT_SIGNED_IN)') });
    const named = await command(`repo tags ${host}/samples/az --username u --password-stdin`, { env, input: 'wrong' });
    expect(named).toMatchObject({ code: 1, err: expect.stringContaining('(UNAUTHORIZED)') });
    const loose = await command(`repo tags ${host}/samples/az --insecure`, { env });
    expect(loose).toMatchObject({ code: 1, err: expect.stringContaining('(NOT_SIGNED_IN)') });
    expect(identity.log).toHaveLength(before);
  });

  test('a wrong Azure setting is reported', async () => {
    const ran = await command(`repo ls ${host}`, { env: { AZURE_TOKEN_CREDENTIALS: 'nonsense' } });
    expect(ran).toMatchObject({ code: 1, err: expect.stringContaining('(AZURE_SIGN_IN_FAILED)') });
  });
});

describeWithPeers(
  'user and password at nginx, before docker-registry',
  ['oras', 'nginx', 'docker-registry'],
  ([program = '', nginx = '', dockerRegistry = '']) => {
    const { oras, ours } = programs(program);
    let peer: RunningPeer;
    beforeAll(async () => {
      peer = await startBehindNginx(nginx, dockerRegistry);
    });
    afterAll(() => peer.stop());

    test('a wrong password is refused; the right one is stored and works for both programs', async () => {
      const { host } = peer;
      const wrong = await ours(`login ${host} -u user --password-stdin`, { docker: 'nginx', input: 'geheim' });
      expect(wrong.code).toBe(1);
      expect(wrong.err).toContain('(UNAUTHORIZED)');
      expect(wrong.err).not.toContain('geheim');
      await expect(stat(join(folder, 'nginx', 'config.json'))).rejects.toThrow('ENOENT');
      const right = await ours(`login ${host} -u user --password-stdin`, { docker: 'nginx', input: 'password\n' });
      expect(right).toEqual({ code: 0, out: 'Login Succeeded\n', err: '' });
      await oras(`login ${host} -u user --password-stdin`, { docker: 'nginx-oras', input: 'password' });
      expect(await readConfig('nginx')).toEqual(await readConfig('nginx-oras'));

      const app = `${host}/samples/app`;
      expect((await oras(`push ${app}:v1 note.txt`, { docker: 'nginx' })).code).toBe(0);
      expect(await ours(`tag ${app}:v1 v2 --concurrency 1`, { docker: 'nginx-oras' })).toMatchObject({
        code: 0,
        err: '',
      });
      for (const line of [`repo tags ${app}`, `repo ls ${host}`, `manifest fetch ${app}:v2`]) {
        const [own, other] = [await ours(line, { docker: 'nginx' }), await oras(line, { docker: 'nginx' })];
        expect({ line, ...own }).toEqual({ line, ...other });
      }
      expect((await ours(`logout ${host}`, { docker: 'nginx' })).code).toBe(0);
      expect((await ours(`repo tags ${app}`, { docker: 'nginx' })).code).toBe(1);
    });
  },
);
