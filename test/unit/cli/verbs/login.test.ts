import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { lstat, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startRegistry, type RunningRegistry } from '../../../../local/registry/server.js';
import { run } from '../../../../src/cli/run.js';
import { createMemoryIo } from '../../../support/memory-io.js';

const SECRET = 'p:ä ß+/=';

let folder = '';
let registry: RunningRegistry;
let host = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cli-login-'));
  registry = await startRegistry({ dataDir: join(folder, 'registry'), users: [{ name: 'me', password: SECRET }] });
  host = `localhost:${registry.port}`;
});
afterAll(async () => {
  await registry.close();
  await rm(folder, { recursive: true, force: true });
});

async function acrPromoter(
  argv: string[],
  docker: string,
  input = '',
): Promise<{ code: number; out: string; err: string }> {
  const { io, out, err } = createMemoryIo({ input, env: { DOCKER_CONFIG: join(folder, docker) } });
  const code = await run(argv, io);
  return { code, out: out().toString(), err: err() };
}

const read = (docker: string): Promise<string> => readFile(join(folder, docker, 'config.json'), 'utf8');

test('a credential is stored for the owner only, in one write, and only if the registry accepts it', async () => {
  const argv = ['login', host, '-u', 'me', '--password-stdin'];
  const wrong = await acrPromoter(argv, 'docker', 'wrong');
  expect(wrong).toMatchObject({ code: 1, out: '' });
  expect(wrong.err).toMatch(/\(UNAUTHORIZED\)\n.*three hours/);
  expect(await readdir(folder)).not.toContain('docker');
  expect(await acrPromoter(argv, 'docker', `${SECRET}\r\n`)).toEqual({ code: 0, out: 'Login Succeeded\n', err: '' });
  expect(JSON.parse(await read('docker'))).toEqual({
    auths: { [host]: { auth: Buffer.from(`me:${SECRET}`).toString('base64') } },
  });
  const path = join(folder, 'docker', 'config.json');
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect((await stat(join(folder, 'docker'))).mode & 0o777).toBe(0o700);
  expect(await readdir(join(folder, 'docker'))).toEqual(['config.json']);
  // What is wrong afterwards does not take away what is right.
  const before = await read('docker');
  expect((await acrPromoter(argv, 'docker', 'wrong')).code).toBe(1);
  expect(await read('docker')).toBe(before);
  expect(await acrPromoter(['repo', 'ls', host], 'docker')).toEqual({ code: 0, out: '', err: '' });
  expect(await acrPromoter(['logout', host], 'docker')).toEqual({ code: 0, out: '', err: '' });
  expect(JSON.parse(await read('docker'))).toEqual({ auths: {} });
  // Nobody is signed in any more: said with what it is about, and what to type.
  const out = await acrPromoter(['repo', 'ls', host], 'docker');
  expect(out.err).toMatch(/^Error: (\S+): not signed in to \1: .* \(NOT_SIGNED_IN\)\nSign in: acr-promoter login \1;/);
  // Signed in to the Docker config that the command names, and not to another.
  const other = await acrPromoter(['repo', 'ls', '--registry-config', join(folder, 'my auth.json'), host], 'docker');
  expect(other.err).toContain(
    `\nSign in: acr-promoter login --registry-config '${join(folder, 'my auth.json')}' ${host}; for an`,
  );
  const resolve = await acrPromoter(['resolve', `${host}/some/app:v1`], 'docker');
  expect(resolve.err).toContain(`Error: ${host}/some/app:v1: not signed in to ${host}: `);
  const wrongly = await acrPromoter(['resolve', `${host}/some/app:v1`, '-u', 'x', '-p', 'y'], 'docker');
  expect(wrongly.err).toContain('(UNAUTHORIZED)');
});

test('a Docker config that can’t be written is an error', async () => {
  await writeFile(join(folder, 'a-file'), '');
  for (const path of ['/proc/no-such-folder/config.json', join(folder, 'a-file', 'config.json')]) {
    const argv = ['login', host, '-u', 'me', '--password-stdin', '--registry-config', path];
    const { code, err } = await acrPromoter(argv, 'docker', SECRET);
    expect(code).toBe(1);
    expect(err).toMatch(/\((?:DOCKER_CONFIG_UNWRITABLE|DOCKER_CONFIG_INVALID)\)\n.+/);
    expect(err).not.toContain(SECRET);
  }
});

test('a link to the Docker config stays a link', async () => {
  const real = join(folder, 'real.json');
  await writeFile(real, '{"HttpHeaders":{"X-Mine":"1"}}');
  await mkdir(join(folder, 'linked'));
  await symlink(real, join(folder, 'linked', 'config.json'));
  await acrPromoter(['login', host, '-u', 'me', '--password-stdin'], 'linked', SECRET);
  expect((await lstat(join(folder, 'linked', 'config.json'))).isSymbolicLink()).toBe(true);
  expect(JSON.parse(await readFile(real, 'utf8'))).toMatchObject({
    HttpHeaders: { 'X-Mine': '1' },
    auths: { [host]: {} },
  });
  expect((await stat(real)).mode & 0o777).toBe(0o600);
});

test('a secret on the command line is a warning, and is not shown', async () => {
  const { code, out, err } = await acrPromoter(['login', host, '-u', 'me', '-p', SECRET], 'warned');
  expect({ code, out }).toEqual({ code: 0, out: 'Login Succeeded\n' });
  expect(err).toBe('WARNING! Using --password via the CLI is insecure. Use --password-stdin.\n');
});

test('a wrong password is reported in one sentence', async () => {
  const { err } = await acrPromoter(['login', host, '-u', 'me', '--password-stdin'], 'never', 'wrong');
  expect(err).toMatch(new RegExp(`^Error: ${host} refuses the credential \\(UNAUTHORIZED\\)\nCheck user and password`));
});

test('missing user and password are prompted for', async () => {
  const asked = await acrPromoter(['login', host], 'asked', `me\n${SECRET}\n`);
  expect(asked).toEqual({ code: 0, out: 'Username: Password: Login Succeeded\n', err: '' });
  const half = await acrPromoter(['login', host, '-u', 'me'], 'asked', SECRET);
  expect(half).toEqual({ code: 0, out: 'Password: Login Succeeded\n', err: '' });
  expect(await acrPromoter(['login', host], 'asked', '\n')).toMatchObject({ code: 1, out: 'Username: Token: ' });
});

test('a Docker config that is not JSON is left unchanged, and not quoted', async () => {
  const path = join(folder, 'broken.json');
  await writeFile(path, '{"auths": {"a": "geheim"');
  const argv = ['login', host, '-u', 'me', '--password-stdin', '--registry-config', path];
  const ran = await acrPromoter(argv, 'none', SECRET);
  expect(ran.err).toContain('(DOCKER_CONFIG_INVALID)');
  expect(ran.err).not.toContain('geheim');
  expect(await readFile(path, 'utf8')).toBe('{"auths": {"a": "geheim"');
});

test.each([
  [['login', 'HOST', '-p', 'a', '--password-stdin'], 'OPTIONS_EXCLUSIVE'],
  [['login', 'HOST', '-u', 'a', '--identity-token', 'b'], 'OPTIONS_EXCLUSIVE'],
  [['login', 'HOST', '--password-stdin', '--identity-token-stdin'], 'OPTIONS_EXCLUSIVE'],
  [['login', 'HOST', '-u', 'a', '--password-stdin'], 'CREDENTIAL_MISSING'],
  [['login', 'HOST', '--identity-token-stdin'], 'CREDENTIAL_MISSING'],
  [['login', 'HOST', '-u', 'a'], 'CREDENTIAL_MISSING'],
  [['login', 'https://HOST', '-u', 'a', '-p', 'b'], 'REFERENCE_INVALID'],
  [['login', 'HOST/app', '-u', 'a', '-p', 'b'], 'REFERENCE_INVALID'],
  [['login', 'HOST', '-u', 'a', '-p', 'b'], 'UNAUTHORIZED'],
])('%j: %s', async (argv, code) => {
  const ran = await acrPromoter(
    argv.map((word) => word.replace('HOST', host)),
    'never',
  );
  expect(ran.code).toBe(1);
  expect(ran.err).toMatch(new RegExp(`^Error: [^\\n]*\\(${code}\\)$`, 'm'));
  expect(await readdir(folder)).not.toContain('never');
});

test('an expired token is reported, and nothing is stored', async () => {
  const users = [{ name: 'me', password: SECRET }];
  // What it issues has expired when it arrives.
  const brief = await startRegistry({ dataDir: join(folder, 'brief'), users, refreshTokenSeconds: 0 });
  try {
    const form = { grant_type: 'password', username: 'me', password: SECRET, access_type: 'offline' };
    const issued = await fetch(`${brief.url}/oauth2/token`, { method: 'POST', body: new URLSearchParams(form) });
    const { refresh_token: token } = (await issued.json()) as { refresh_token: string };
    const at = `localhost:${brief.port}`;
    for (const [argv, input] of [
      [['--identity-token-stdin'], token],
      [['--password-stdin'], token],
    ] as const) {
      const { code, out, err } = await acrPromoter(['login', at, ...argv], 'never', input);
      expect({ argv, code, out }).toEqual({ argv, code: 1, out: '' });
      expect(err).toMatch(
        new RegExp(`^Error: ${at} refuses the credential: .*\\(TOKEN_EXPIRED\\)\n.*or the token.*three hours`),
      );
      expect(err).not.toContain('stored');
      expect(err).not.toContain(token);
      // One that was kept before, and has expired since: another word, and the advice to sign in.
      const used = await acrPromoter(['repo', 'ls', at, ...argv], 'never', input);
      expect(used.err).toMatch(/no longer accepts the stored login: .*\(TOKEN_EXPIRED\)\nLog in again/);
    }
    expect(await readdir(folder)).not.toContain('never');
  } finally {
    await brief.close();
  }
});

test('an identity token works with every command, and excludes a user', async () => {
  const body = new URLSearchParams({
    grant_type: 'password',
    username: 'me',
    password: SECRET,
    access_type: 'offline',
  });
  const issued = await fetch(`${registry.url}/oauth2/token`, { method: 'POST', body });
  const { refresh_token: token } = (await issued.json()) as { refresh_token: string };
  const works = { code: 0, out: '', err: '' };
  expect(await acrPromoter(['repo', 'ls', host, '--identity-token', token], 'never')).toEqual({
    ...works,
    err: expect.stringMatching(/^WARNING! Using --identity-token [^\n]*\n$/),
  });
  expect(await acrPromoter(['repo', 'ls', host, '--identity-token-stdin'], 'never', `${token}\n`)).toEqual(works);
  for (const [argv, code] of [
    [['--identity-token', 'x'], 'TOKEN_EXPIRED'],
    [['--identity-token-stdin'], 'CREDENTIAL_MISSING'],
    [['--identity-token', token, '-u', 'me'], 'OPTIONS_EXCLUSIVE'],
    [['--identity-token', token, '--password-stdin'], 'OPTIONS_EXCLUSIVE'],
  ] as const) {
    const ran = await acrPromoter(['repo', 'ls', host, ...argv], 'never');
    expect({ argv, code: ran.code }).toEqual({ argv, code: 1 });
    expect(ran.err).toContain(`(${code})`);
    expect(ran.err).not.toContain(token);
  }
  const kept = await acrPromoter(['login', host, '--identity-token-stdin'], 'identity', token);
  expect(kept).toEqual({ code: 0, out: 'Login Succeeded\n', err: '' });
  expect(JSON.parse(await read('identity'))).toEqual({ auths: { [host]: { identitytoken: token } } });
});
