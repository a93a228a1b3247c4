import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { existsSync, readdirSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startIdentity, type RunningIdentity } from '../../local/identity/server.js';
import { startRegistry, type RunningRegistry } from '../../local/registry/server.js';
import { commandsIn, GUIDE } from './guide.js';
import { formatPage, steady } from './guide/page.js';
import { GUIDES_REGISTRY, typeGuide, type Did } from './guide/session.js';

const SEEDS = join('..', 'shared', 'seeds');
const PAGE = join('docs', 'how-to', 'oras-guide.md');
const PRINCIPAL = { name: '5f0c8d3e-0000-4000-8000-00000000a5a5', password: 'sp~secret:with:colons' };
const TOKEN = {
  name: 'oras-token',
  password: 'scoped+secret/=',
  grants: [{ repository: '*', actions: ['pull', 'push', 'delete', 'metadata_read'] }],
};
const all = GUIDE.flatMap(({ commands }) => commands);

describe('the list of the guide’s commands', () => {
  test('lists every command of the guide in order', async () => {
    const there = existsSync(SEEDS);
    // In CI the guide stands beside the checkout.
    if (process.env['CI'] !== undefined) expect(there).toBe(true);
    if (!there) return;
    const [name = ''] = readdirSync(SEEDS).filter((each) => each.endsWith('.txt'));
    const commands = commandsIn(await readFile(join(SEEDS, name), 'utf8'));
    expect(commands.length).toBeGreaterThan(50);
    expect(all.map(({ line }) => line)).toEqual(commands);
  });

  test('runs every oras line, or gives a reason why not', () => {
    for (const { line, notRun, instead, why } of all) {
      if (notRun === true) expect(line).toMatch(/^(?:az|curl|tar|cp|tree) /);
      if (notRun === true || instead !== undefined) expect({ line, why }).toEqual({ line, why: expect.any(String) });
      if (/\boras (?!login)/.test(line) && instead !== undefined) {
        expect({ line, instead }).toEqual({ line, instead: expect.stringMatching(/^oras /) });
        // Only what the guide makes up is replaced.
        expect(line).toContain('...');
      }
    }
  });
});

describe('the guide, typed from its first line to its last', () => {
  let folder = '';
  let identity: RunningIdentity;
  let registry: RunningRegistry;
  let did: Did[] = [];

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
    return ((await exchanged.json()) as { refresh_token: string }).refresh_token;
  }

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'guide-'));
    identity = await startIdentity({ dataDir: join(folder, 'identity') });
    registry = await startRegistry({
      dataDir: join(folder, 'registry'),
      name: GUIDES_REGISTRY,
      entraKeysFile: identity.publicKeysFile,
      users: [PRINCIPAL, TOKEN],
    });
    did = await typeGuide(folder, `127.0.0.1:${registry.port}`, {
      LOCAL_ACR_TOKEN: await acrToken(),
      LOCAL_PRINCIPAL_ID: PRINCIPAL.name,
      LOCAL_PRINCIPAL_PASSWORD: PRINCIPAL.password,
      LOCAL_TOKEN_PASSWORD: TOKEN.password,
    });
  }, 300_000);
  afterAll(async () => {
    await Promise.all([registry.close(), identity.close()]);
    await rm(folder, { recursive: true, force: true });
  });

  test('every command exits with 0 and prints the expected output', () => {
    expect(did.length).toBeGreaterThan(45);
    for (const { command, code, printed } of did) {
      expect({ line: command.line, code, printed }).toEqual({ line: command.line, code: 0, printed });
      const { prints } = command;
      if (prints !== undefined)
        expect({ line: command.line, printed }).toEqual({ line: command.line, printed: expect.stringMatching(prints) });
    }
  });

  test('every oras line prints something, and no secret', () => {
    const secrets = [PRINCIPAL.password, TOKEN.password];
    for (const { command, printed } of did) {
      if (/\boras /.test(command.line)) expect(command.prints).toBeDefined();
      for (const secret of secrets) expect(printed).not.toContain(secret);
    }
  });

  test('docs/how-to/oras-guide.md shows the present output', async () => {
    const page = formatPage(did);
    const before = await readFile(PAGE, 'utf8');
    // Another machine's digests of archives are no news.
    if (steady(before) !== steady(page) && process.env['WRITE_DOCS'] !== undefined) await writeFile(PAGE, page);
    expect(steady(await readFile(PAGE, 'utf8'))).toBe(steady(page));
  });
});
