import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { explainReference } from '../../../src/promotions/explain-reference.js';
import {
  OCI_IMAGE_INDEX,
  OCI_IMAGE_MANIFEST,
  basicCredentials,
  createRegistries,
  type RegistryClient,
} from '../../../src/oci/index.js';
import { promotionId, fingerprint } from '../../../src/rules/rule.js';
import { NOTARY_SIGNATURE } from '../../../src/signing/index.js';
import { rule } from '../../support/rules.fixture.js';
import { freePort } from '../../support/free-port.js';
import { newWorld } from '../../support/world.js';

// A promotion that was in sync when its run ended, and registries that give no answer, by their real client over real connections.

const DIGEST = `sha256:${'a'.repeat(64)}`;
const servers: Server[] = [];
const clients: RegistryClient[] = [];
afterAll(async () => {
  await Promise.all(clients.map((client) => client.close()));
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  servers.push(server.listen(0, '127.0.0.1'));
  await once(server, 'listening');
  return `localhost:${(server.address() as AddressInfo).port}`;
}

/** How often a registry has answered that has all. */
let answered = 0;
/** The tag is the digest that was promoted, and it is signed. */
const answers: RequestListener = ({ url = '' }, response) => {
  response.once('finish', () => (answered += 1));
  if (url.includes('/referrers/')) {
    const signature = { mediaType: OCI_IMAGE_MANIFEST, artifactType: NOTARY_SIGNATURE, digest: DIGEST, size: 1 };
    const index = { schemaVersion: 2, mediaType: OCI_IMAGE_INDEX, manifests: [signature] };
    response.writeHead(200, { 'content-type': OCI_IMAGE_INDEX }).end(JSON.stringify(index));
    return;
  }
  // No referrers by tag.
  if (url.includes('/manifests/sha256-')) return void response.writeHead(404).end();
  const headers = { 'content-type': OCI_IMAGE_MANIFEST, 'content-length': '7', 'docker-content-digest': DIGEST };
  response.writeHead(200, headers).end();
};
const says =
  (status: number, headers: Record<string, string> = {}): RequestListener =>
  (_request, response) =>
    void response.writeHead(status, headers).end();

/** Each way in which a registry gives no answer, and what is said of it. */
const TROUBLE: [what: string, registry: () => Promise<string>, code: RegExp][] = [
  [
    'is down',
    async () => {
      const port = await freePort();
      return `localhost:${port}`;
    },
    /^(?:CONNECT_FAILED|TIMEOUT)$/,
  ],
  ['hangs', () => serve(() => {}), /^TIMEOUT$/],
  [
    'sends the head of its answer, and hangs',
    () => serve((_request, response) => void response.writeHead(200, { 'content-length': '9' }).write('{')),
    /^(?:TIMEOUT|MANIFEST_INVALID|DIGEST_MISMATCH|REGISTRY_ANSWER_INVALID)$/,
  ],
  ['answers 401', () => serve(says(401)), /^(?:HTTP_401|UNAUTHORIZED|NOT_SIGNED_IN)$/],
  ['answers 403', () => serve(says(403)), /^(?:HTTP_403|DENIED)$/],
  ['answers 429', () => serve(says(429)), /^(?:HTTP_429|TOOMANYREQUESTS|TIMEOUT)$/],
  ['answers 429, to come back in ten seconds', () => serve(says(429, { 'retry-after': '10' })), /^TIMEOUT$/],
  ['answers 500', () => serve(says(500)), /^(?:HTTP_500|TIMEOUT)$/],
  [
    'leads to the web page of a proxy, to sign in',
    () =>
      serve((request, response) => {
        if (request.url !== '/login') return void response.writeHead(302, { location: '/login' }).end();
        response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end('<html>Sign in</html>');
      }),
    /^ANSWER_INVALID$/,
  ],
  ['has a name that no name server knows', async () => 'registry.invalid', /^(?:CONNECT_FAILED|TIMEOUT)$/],
];

type Sides = { source: string; staging: string };

/** @param changes of the rule, which was edited since the last run */
async function explained({ source, staging }: Sides, changes?: Record<string, unknown>) {
  const staged = rule({
    source: { registry: source, repositories: ['samples/**'] },
    destination: { reference: `${staging}/staging/{repository}:{tag}` },
    ...changes,
  });
  const world = newWorld(staged);
  const client = createRegistries({ credentials: basicCredentials('u', 'p', []) });
  clients.push(client);
  const name = { registry: source, repository: 'samples/app', tag: 'v1' };
  const at = world.now().toISOString();
  await world.store.insertPromotion({
    id: promotionId(staged.name, name),
    rule: staged.name,
    source: name,
    destination: `${staging}/staging/samples/app:v1`,
    generation: 1,
    incrementedAt: at,
    observedGeneration: 1,
    state: 'in_sync',
    runId: 'r1',
    runOpen: false,
    runBegun: true,
    failures: 0,
    last: {
      outcome: 'promoted',
      digest: DIGEST,
      runId: 'r1',
      finishedAt: at,
      fingerprint: changes ? 'before' : fingerprint(staged),
    },
  });
  const explanation = await explainReference(
    { ...world, signing: undefined, registries: client },
    `${source}/samples/app:v1`,
  );
  return { explanation, at };
}

test('both registries answer: it is in sync, with its evidence', async () => {
  const both = await serve(answers);
  const { explanation } = await explained({ source: both, staging: both });
  expect(explanation).toMatchObject({
    promoted: true,
    promotions: [
      {
        state: 'in_sync',
        checks: {
          source: { state: 'there', digest: DIGEST },
          destination: { state: 'there', digest: DIGEST },
          evidence: { state: 'there' },
        },
      },
    ],
  });
});

test('a destination without the signature is not in sync', async () => {
  const source = await serve(answers);
  const staging = await serve((request, response) => {
    if (!(request.url ?? '').includes('/referrers/')) return answers(request, response);
    const index = { schemaVersion: 2, mediaType: OCI_IMAGE_INDEX, manifests: [] };
    response.writeHead(200, { 'content-type': OCI_IMAGE_INDEX }).end(JSON.stringify(index));
  });
  for (const edited of [undefined, { triggers: ['push'] }]) {
    const { explanation } = await explained({ source, staging }, edited);
    expect(explanation).toMatchObject({ promoted: false, promotions: [{ state: 'waiting' }] });
  }
});

test('a tag with a digest is refused', async () => {
  const ask = explainReference(
    { ...newWorld(), signing: undefined },
    `r.azurecr.io/samples/app:v1@sha256:${'b'.repeat(64)}`,
  );
  await expect(ask).rejects.toMatchObject({ code: 'REFERENCE_INVALID' });
});

const SIDES: [side: string, (bad: string, good: string) => Sides, unknown: string[]][] = [
  ['the source', (bad, good) => ({ source: bad, staging: good }), ['source']],
  ['the destination', (bad, good) => ({ source: good, staging: bad }), ['destination', 'evidence']],
  ['both', (bad) => ({ source: bad, staging: bad }), ['source', 'destination', 'evidence']],
];

describe('a registry that does not answer within five seconds makes the answer unknown', () => {
  let all: Map<string, Awaited<ReturnType<typeof explained>>>;

  // At once: most of them wait until their time is over. It is over when all others have what they asked for.
  beforeAll(async () => {
    const good = await serve(answers);
    const before = answered;
    await explained({ source: good, staging: good });
    const ofBoth = answered - before;
    const over = new AbortController();
    const timeout = AbortSignal.timeout.bind(AbortSignal);
    const clock = jest
      .spyOn(AbortSignal, 'timeout')
      .mockImplementation((ms) => (ms === 5_000 ? over.signal : timeout(ms)));
    const done: Promise<unknown>[] = [];
    const cases = TROUBLE.flatMap(([what, registry, code]) =>
      SIDES.map(async ([side, sides]): Promise<[string, Awaited<ReturnType<typeof explained>>]> => {
        const asked = explained(sides(await registry(), good));
        if (!code.test('TIMEOUT')) done.push(asked);
        return [`${side} ${what}`, await asked];
      }),
    );
    // Each trouble has a good source once, and a good destination once.
    while (answered < before + (1 + TROUBLE.length) * ofBoth) await new Promise((resolve) => setTimeout(resolve, 10));
    await Promise.all(done);
    // The last answers are in the sockets: each turn of the event loop reads them.
    for (let turns = 0; turns < 20; turns += 1) await new Promise((resolve) => setImmediate(resolve));
    over.abort(new DOMException('it took too long', 'TimeoutError'));
    all = new Map(await Promise.all(cases));
    clock.mockRestore();
  }, 60_000);

  test.each(
    TROUBLE.flatMap(([what, , code]) => SIDES.map(([side, , unknown]) => ({ name: `${side} ${what}`, code, unknown }))),
  )('$name', ({ name, code, unknown }) => {
    const { explanation, at } = all.get(name) ?? {};
    expect(explanation?.promoted).toBeNull();
    const [promotion] = explanation?.promotions ?? [];
    expect(promotion).toMatchObject({ state: 'in_sync', code: expect.stringMatching(code) });
    for (const [part, check] of Object.entries(promotion?.checks ?? {})) {
      expect({ part, check }).toMatchObject({ part, check: { state: unknown.includes(part) ? 'unknown' : 'there' } });
      if (check?.state !== 'unknown') continue;
      expect(check).toMatchObject({ code: expect.stringMatching(code), reason: expect.stringMatching(/./) });
      expect(Date.parse(check.since)).toBeGreaterThanOrEqual(Date.parse(at ?? ''));
    }
  });
});

test('if only the list of referrers fails, only the evidence is unknown', async () => {
  const both = await serve((request, response) =>
    (request.url ?? '').includes('/referrers/') ? says(500)(request, response) : answers(request, response),
  );
  const { explanation } = await explained({ source: both, staging: both });
  expect(explanation).toMatchObject({
    promoted: null,
    promotions: [
      {
        state: 'in_sync',
        checks: { source: { state: 'there' }, destination: { state: 'there' }, evidence: { state: 'unknown' } },
      },
    ],
  });
});
