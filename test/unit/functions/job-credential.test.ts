import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InvocationContext } from '@azure/functions';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { OrchestrationHandler } from 'durable-functions';
import { startRegistry, type RunningRegistry } from '../../../local/registry/server.js';
import { createJobRegistries } from '../../../src/azure/job-registries.js';
import { keyVaultSecrets } from '../../../src/azure/key-vault-secrets.js';
import { JOB_OPERATIONS } from '../../../src/operations/job-schema.js';
import {
  basicCredentials,
  createRegistries,
  pushPacked,
  packArtifact,
  type Credentials,
  type RegistryClient,
} from '../../../src/oci/index.js';
import { refusal } from '../../support/vault/answers.js';
import { httpClientOf, identityOf } from '../../support/vault/sdk.js';
import { Vault } from '../../support/vault/vault.js';
import { openJobRun } from '../../support/job-world.js';
import { newWorld, runOf, type World } from '../../support/world.js';
import { register, type Registered } from '../../support/registered.js';
import { replay, type Activity, type Played } from '../../support/replay.js';

// Jobs that name a credential, from the queue to two registries that want a password, with Key Vault between.

const PASSWORDS = { source: 'pass:word for the source', hub: 'pass/word+for=hub' };
let folder = '';
const VAULT = 'https://contoso.vault.azure.net';
/** Of a token that the identity gave: `{"alg":"none"`. */
const TOKEN_START = 'eyJhbGciOiJub25l';
let vault: Vault;
let source: RunningRegistry;
let hub: RunningRegistry;
let clients: RegistryClient[] = [];
let world: World;
let app: Registered;
let logged: string[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'job-credential-'));
  const start = (name: keyof typeof PASSWORDS): Promise<RunningRegistry> =>
    startRegistry({ dataDir: join(folder, name), users: [{ name: 'robot', password: PASSWORDS[name] }] });
  [source, hub] = await Promise.all([start('source'), start('hub')]);
});
afterAll(async () => {
  await Promise.all([source.close(), hub.close(), ...clients.map((client) => client.close())]);
  await rm(folder, { recursive: true, force: true });
});

function connect(credentials: Credentials): RegistryClient {
  const client = createRegistries({ credentials, retry: { baseMs: 1, attempts: 1 } });
  clients.push(client);
  return client;
}

const signedIn = (name: keyof typeof PASSWORDS): Credentials =>
  basicCredentials('robot', PASSWORDS[name], [host(name)]);
const host = (name: 'source' | 'hub'): string => `localhost:${(name === 'source' ? source : hub).port}`;

beforeEach(() => {
  vault = new Vault();
  vault.secrets.set('hub-password', PASSWORDS.hub);
  logged = [];
  world = newWorld();
  const identity = signedIn('source');
  const entries = {
    hub: { registry: host('hub'), username: 'robot', secret: `${VAULT}/secrets/hub-password` },
    wrong: { registry: host('hub'), username: 'nobody', secret: `${VAULT}/secrets/hub-password` },
    gone: { registry: host('hub'), username: 'robot', secret: `${VAULT}/secrets/none` },
    elsewhere: { registry: 'other.example.org', username: 'robot', secret: `${VAULT}/secrets/hub-password` },
  };
  const registries = connect(identity);
  const httpClient = httpClientOf(vault);
  Object.assign(world, {
    registries,
    listing: registries,
    jobPolicy: {
      allowedRegistries: [host('source'), host('hub')],
      operations: JOB_OPERATIONS,
      scopes: {},
      credentials: entries,
    },
    jobRegistries: createJobRegistries({
      entries,
      others: identity,
      readSecret: keyVaultSecrets(identityOf(), { httpClient, retryOptions: { maxRetries: 0 } }),
      connect,
    }),
  });
  app = register(world);
});

async function play(job: Record<string, unknown>, runId: string): Promise<Played> {
  await openJobRun(world, job, runId);
  const context = new InvocationContext({
    functionName: 'activity',
    logHandler: (_level, ...words) => void logged.push(words.map(String).join(' ')),
  });
  const activities: Record<string, Activity> = Object.fromEntries(
    [...app.activities].map(([name, { handler }]) => [name, (input: unknown) => handler(input, context)]),
  );
  return replay(app.orchestrations.get('runJob') as OrchestrationHandler, { input: { runId }, activities });
}

/** No secret is in history, rows, documents, messages or logs. */
async function expectNothingTold(played: Played, runId: string): Promise<void> {
  const told = [
    JSON.stringify(played),
    JSON.stringify(await runOf(world, runId)),
    JSON.stringify(world.queues.sent),
    ...logged,
    JSON.stringify([source.log, hub.log]),
  ].join('\n');
  for (const secret of [...Object.values(PASSWORDS), TOKEN_START]) {
    expect(told).not.toContain(secret);
    expect(told).not.toContain(Buffer.from(`robot:${secret}`).toString('base64'));
  }
}

async function pushTo(name: 'source' | 'hub', repository: string): Promise<string> {
  const layers = [{ mediaType: 'text/plain', bytes: Buffer.from(repository) }];
  const packed = packArtifact({ artifactType: 'doc/example', layers });
  await pushPacked(connect(signedIn(name)).repository(host(name), repository), packed, { tag: 'v1' });
  return packed.descriptor.digest;
}

test('a copy uses the credential for one registry and the identity for the other, in both directions', async () => {
  const digest = await pushTo('source', 'samples/out');
  const out = { operation: 'copy', source: `${host('source')}/samples/out:v1`, destination: `${host('hub')}/in:v1` };
  const without = await play(out, 'without');
  expect(without.output).toMatchObject({ outcome: 'failed', code: 'UNAUTHORIZED' });
  const played = await play({ ...out, credential: 'hub' }, 'out');
  expect(played.output).toMatchObject({ outcome: 'completed', digest });
  await expectNothingTold(played, 'out');
  const back = { operation: 'copy', source: `${host('hub')}/in:v1`, destination: `${host('source')}/back:v1` };
  expect((await play({ ...back, credential: 'hub' }, 'back')).output).toMatchObject({ outcome: 'completed', digest });
  // One read for both, and each registry saw its own user only.
  expect(vault.asked.filter(({ signedIn: known }) => known)).toHaveLength(1);
});

test('operations with one step use the credential', async () => {
  await pushTo('hub', 'samples/read');
  const reference = `${host('hub')}/samples/read`;
  for (const [job, runId] of [
    [{ operation: 'tags', reference }, 'tags'],
    [{ operation: 'repos', registry: host('hub') }, 'repos'],
    [{ operation: 'discover', reference: `${reference}:v1` }, 'discover'],
    [{ operation: 'tag', reference: `${reference}:v1`, tags: ['v2'] }, 'tag'],
    [{ operation: 'push', reference: `${reference}:v3`, files: [{ path: 'a', text: 'a' }] }, 'push'],
    [{ operation: 'manifest.delete', reference: `${reference}:v3` }, 'delete'],
  ] as const) {
    const played = await play({ ...job, credential: 'hub' }, runId);
    expect({ runId, output: played.output }).toMatchObject({ runId, output: { outcome: 'completed' } });
    await expectNothingTold(played, runId);
  }
});

test.each([
  ['one that the settings lack', 'none', 'refused', 'CREDENTIAL_UNKNOWN'],
  ['one for another registry', 'elsewhere', 'refused', 'CREDENTIAL_NOT_FOR_THIS'],
  ['one whose secret is not there', 'gone', 'failed', 'CREDENTIAL_UNREADABLE'],
  ['one that the registry does not take', 'wrong', 'failed', 'UNAUTHORIZED'],
])('a credential that cannot be used ends the job: %s', async (_what, credential, outcome, code) => {
  const runId = `refused-${credential}`;
  const job = { operation: 'tags', reference: `${host('hub')}/samples/read`, credential };
  const played = await play(job, runId);
  expect(played.output).toMatchObject({ outcome, code });
  expect((played.output as { remedy?: string }).remedy).toBeDefined();
  await expectNothingTold(played, runId);
});

test('a promote job uses no credential', async () => {
  const job = { operation: 'promote', source: `${host('hub')}/samples/read:v1`, credential: 'hub' };
  expect((await play(job, 'promote')).output).toMatchObject({ outcome: 'refused', code: 'CREDENTIAL_NOT_FOR_THIS' });
});

test('a vault that is busy is asked again by the engine', async () => {
  await pushTo('hub', 'samples/busy');
  vault.faults.push(...Array.from({ length: 3 }, () => refusal(503, 'ServiceUnavailable', 'busy')));
  const job = { operation: 'resolve', reference: `${host('hub')}/samples/busy:v1`, credential: 'hub' };
  expect((await play(job, 'busy')).output).toMatchObject({ outcome: 'completed' });
  expect(vault.faults).toEqual([]);
  expect(logged.join('\n')).toContain('CREDENTIAL_UNREADABLE');
});
