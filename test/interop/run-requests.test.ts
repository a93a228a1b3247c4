import { InvocationContext } from '@azure/functions';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { channel } from 'node:diagnostics_channel';
import type { ClientRequest } from 'node:http';
import type { RequestLogEntry } from '../../local/registry/call.js';
import type { RunningRegistry } from '../../local/registry/server.js';
import { createStorage } from '../../src/azure/storage.js';
import { basicCredentials, createRegistries, type Descriptor, type Repository } from '../../src/oci/index.js';
import { startAzurite, type Azurite } from '../support/azurite.js';
import { pushImage, pushMultiPlatform } from '../support/images.js';
import { newPlayedWorld, outcomes } from '../support/played-world.js';
import { register } from '../support/registered.js';
import { atEnd, cleanUpAfterEach, start } from '../support/registry-harness.js';
import { rule } from '../support/rules.fixture.js';

cleanUpAfterEach();

// HTTP requests of one run, from its push event to its result event, at Azurite's tables and at two registries with
// sign-in. test/unit/functions/run-requests.test.ts counts calls of ports. The figures may only shrink.

const USER = { name: 'promoter', password: 'secret' };
const REPOSITORY = 'samples/app';
const TAG = 'v1';

interface Counts {
  table: number;
  registry: number;
  signIn: number;
  requests: string[];
}

let azurite: Azurite;
beforeAll(async () => {
  azurite = await startAzurite();
}, 60_000);
afterAll(() => azurite?.stop());

/** Records the requests to the table service until the test ends. */
function recordTableRequests(connectionString: string): string[] {
  const port = /TableEndpoint=http:\/\/[^:/;]+:([0-9]+)/.exec(connectionString)?.[1] ?? '';
  const requests: string[] = [];
  const note = (message: unknown): void => {
    const { request } = message as { request: ClientRequest };
    if (String(request.getHeader('host')).endsWith(`:${port}`)) requests.push(`${request.method} ${request.path}`);
  };
  const sent = channel('http.client.request.start');
  sent.subscribe(note);
  atEnd(async () => sent.unsubscribe(note));
  return requests;
}

/** Without the writes of a progress row between its first and its last: there is one for each second that a step takes. */
function withoutSeconds(requests: readonly string[]): string[] {
  const isProgress = (request: string): boolean => request.includes("PartitionKey='progress%7C");
  return requests.filter(
    (request, index) =>
      !isProgress(request) || requests.indexOf(request) === index || requests.lastIndexOf(request) === index,
  );
}

const isSignIn = ({ path, status }: RequestLogEntry): boolean => path.startsWith('/oauth2/') || status === 401;

async function count(
  push: (source: Repository) => Promise<Pick<Descriptor, 'digest'>>,
): Promise<{ first: Counts; unchanged: Counts }> {
  const source = await start({ users: [USER] });
  const staging = await start({ users: [USER] });
  const connectionString = azurite.newAccount();
  const storage = createStorage({ connectionString });
  await storage.ensureCreated();
  const hosts = [source.name, staging.name];
  const open = (): ReturnType<typeof createRegistries> => {
    const client = createRegistries({
      credentials: basicCredentials(USER.name, USER.password, hosts),
      lease: storage.lease,
      retry: { unanswered: false },
    });
    atEnd(() => client.close());
    return client;
  };
  const { digest } = await push(open().repository(source.name, REPOSITORY));
  const play = newPlayedWorld(
    rule({
      existing: 'promote',
      sign: ['notary'],
      sbom: { formats: ['cyclonedx'] },
      source: { registry: source.name, repositories: ['samples/**'] },
      destination: { reference: `${staging.name}/staging/{repository}:{tag}` },
    }),
  );
  const { world } = play;
  const registries = open();
  world.jobPolicy = { ...world.jobPolicy, allowedRegistries: hosts };
  const { lease, documents, files } = storage;
  Object.assign(world, { registries, listing: registries, lease, documents, files, store: storage.runs });
  const app = register(world);
  const tables = recordTableRequests(connectionString);
  const logs: RunningRegistry[] = [source, staging];
  let events = 0;
  const run = async (outcome: string): Promise<Counts> => {
    tables.length = 0;
    const before = logs.map(({ log }) => log.length);
    events += 1;
    world.nowMs += 60_000;
    const event = {
      id: `event-${events}`,
      eventType: 'Microsoft.ContainerRegistry.ImagePushed',
      eventTime: world.now().toISOString(),
      data: { target: { repository: REPOSITORY, tag: TAG, digest }, request: { host: source.name } },
    };
    const context = new InvocationContext({ functionName: 'onRegistryEvent', logHandler: () => {} });
    await app.functions.get('onRegistryEvent')?.handler(event, context);
    expect(outcomes(await play.playAll())).toEqual([outcome]);
    const made = logs.flatMap(({ log }, index) =>
      log.slice(before[index]).map((entry) => ({ ...entry, side: index === 0 ? 'source' : 'staging' })),
    );
    made.sort((a, b) => (a.time < b.time ? -1 : Number(a.time > b.time)));
    const asked = made.filter((entry) => !isSignIn(entry));
    const stored = withoutSeconds(tables);
    return {
      table: stored.length,
      registry: asked.length,
      signIn: made.length - asked.length,
      requests: [...stored, ...made.map(({ side, method, path, status }) => `${side} ${method} ${path} ${status}`)],
    };
  };
  const first = await run('promoted');
  // A step that takes long asks more often whether its run is cancelled, so the run with the fewest requests counts.
  const unchanged = [await run('unchanged'), await run('unchanged'), await run('unchanged')];
  const [least] = unchanged.toSorted((a, b) => a.table - b.table);
  if (least === undefined) throw new Error('no run');
  return { first, unchanged: least };
}

function expectAtMost(what: string, counts: Counts, most: { table: number; registry: number }): void {
  const { table, registry, signIn, requests } = counts;
  process.stdout.write(`${what}: ${table} at tables, ${registry} at registries, ${signIn} to sign in\n`);
  const isNoMore = table <= most.table && registry <= most.registry;
  // If there are more, the message names each of them.
  expect({ table, registry, more: isNoMore ? [] : requests }).toEqual({ table, registry, more: [] });
}

test('a first and an unchanged run of one image make no more requests than before', async () => {
  const { first, unchanged } = await count((source) => pushImage(source, { tag: TAG }));
  expectAtMost('first run of one image', first, { table: 47, registry: 90 });
  expectAtMost('unchanged run of one image', unchanged, { table: 15, registry: 14 });
}, 60_000);

test('a first and an unchanged run of two platforms make no more requests than before', async () => {
  const { first, unchanged } = await count(async (source) => (await pushMultiPlatform(source, TAG)).root);
  expectAtMost('first run of two platforms', first, { table: 68, registry: 228 });
  expectAtMost('unchanged run of two platforms', unchanged, { table: 20, registry: 46 });
}, 60_000);
