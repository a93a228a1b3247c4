import { describe, expect, test } from '@jest/globals';
import { basicCredentials, digestOf, type Credential, type RegistriesOptions } from '../../../../src/oci/index.js';
import { failureOf, fixedCredentials, quickClient, readAll } from './clients.js';
import { scripted, type Answer, type Exchange, type ScriptedServer } from './scripted-server.js';

const BASIC: Credential = { kind: 'basic', username: 'user', password: 'pa:ss' };
const BASIC_HEADER = `Basic ${Buffer.from('user:pa:ss').toString('base64')}`;
const DIGEST = `sha256:${'a'.repeat(64)}`;
const FOUND: Answer = {
  status: 200,
  headers: {
    'docker-content-digest': DIGEST,
    'content-type': 'application/vnd.oci.image.index.v1+json',
    'content-length': '10',
  },
};
const HEAD = 'HEAD /v2/app/manifests/v1';
const SCOPE = 'repository%3Aapp%3Apull';

function jwt(claims: object): string {
  const part = (json: object): string => Buffer.from(JSON.stringify(json)).toString('base64url');
  return `${part({ alg: 'none' })}.${part(claims)}.x`;
}

function challenged(realm: string, more = ''): Answer {
  return { status: 401, headers: { 'www-authenticate': `Bearer realm="${realm}",service="reg"${more}` } };
}

/** Resolves `app:v1` at a scripted server with a credential. The script may use the server's origin. */
async function resolveWith(
  credential: Credential,
  script: (origin: string) => Exchange[],
  options: Partial<RegistriesOptions> = {},
  then: (server: ScriptedServer, resolve: () => Promise<unknown>) => Promise<void> = async (_, resolve) => {
    expect(await resolve()).toMatchObject({ digest: DIGEST });
  },
): Promise<string[]> {
  const credentials = fixedCredentials(credential);
  await scripted([], async (server) => {
    server.script(...script(server.origin));
    const client = quickClient({ credentials, ...options });
    try {
      await then(server, () => client.repository(server.host, 'app').resolve('v1'));
    } finally {
      await client.close();
    }
  });
  return credentials.asked;
}

describe('Basic', () => {
  test('sends the password only after a challenge, and then with each request', async () => {
    const asked = await resolveWith(
      BASIC,
      () => [
        {
          request: HEAD,
          headers: { authorization: undefined },
          answer: { status: 401, headers: { 'www-authenticate': 'Basic realm="x, y"' } },
        },
        { request: HEAD, headers: { authorization: BASIC_HEADER }, answer: FOUND, times: 2 },
      ],
      {},
      async (_, resolve) => {
        await resolve();
        await resolve();
      },
    );
    expect(asked).toHaveLength(1);
  });

  test('sends a wrong password once and reports the refusal', async () => {
    await resolveWith(
      BASIC,
      () => [
        {
          request: HEAD,
          headers: { authorization: undefined },
          answer: { status: 401, headers: { 'www-authenticate': 'Basic realm="x"' } },
        },
        {
          request: HEAD,
          headers: { authorization: BASIC_HEADER },
          answer: { status: 401, headers: { 'www-authenticate': 'Basic realm="x"' } },
        },
      ],
      {},
      async (_, resolve) => {
        const error = await failureOf(resolve());
        expect(error).toMatchObject({ code: 'UNAUTHORIZED', transient: false });
        expect(JSON.stringify(error)).not.toContain('pa:ss');
      },
    );
  });

  test('returns the 401 if there is no password', async () => {
    await resolveWith(
      { kind: 'anonymous' },
      () => [{ request: HEAD, answer: { status: 401, headers: { 'www-authenticate': 'Basic realm="x"' } } }],
      {},
      async (_, resolve) => expect(await failureOf(resolve())).toMatchObject({ code: 'UNAUTHORIZED' }),
    );
  });
});

describe('Bearer', () => {
  test.each<[string, (origin: string) => string]>([
    ['alone', (origin) => `Bearer realm="${origin}/token",service="reg",scope="repository:app:pull"`],
    ['after Basic in one header', (origin) => `Basic realm="a, b", Bearer realm="${origin}/token",service="reg"`],
    ['with parameters that nobody knows', (origin) => `Bearer foo=bar, realm="${origin}/token", x="1,2",service=reg`],
    ['with an empty scope', (origin) => `BEARER realm="${origin}/token",service="reg",scope=""`],
    [
      'with a wildcard that is not asked for',
      (origin) => `Bearer realm="${origin}/token",service="reg",scope="repository:app:*"`,
    ],
    ['after a scheme that nobody knows', (origin) => `Negotiate abc==, Bearer realm="${origin}/token",service="reg"`],
  ])('%s', async (_, header) => {
    await resolveWith(BASIC, (origin) => [
      {
        request: HEAD,
        headers: { authorization: undefined },
        answer: { status: 401, headers: { 'www-authenticate': header(origin) } },
      },
      {
        request: `GET /token?service=reg&scope=${SCOPE}`,
        headers: { authorization: BASIC_HEADER },
        answer: { status: 200, body: { token: 't1' } },
      },
      { request: HEAD, headers: { authorization: 'Bearer t1' }, answer: FOUND },
    ]);
  });

  test('reads several WWW-Authenticate headers', async () => {
    await resolveWith(BASIC, (origin) => [
      {
        request: HEAD,
        answer: {
          status: 401,
          headers: { 'www-authenticate': ['Basic realm="x"', `Bearer realm="${origin}/token",service="reg"`] },
        },
      },
      { request: `GET /token?service=reg&scope=${SCOPE}`, answer: { status: 200, body: { access_token: 't1' } } },
      { request: HEAD, headers: { authorization: 'Bearer t1' }, answer: FOUND },
    ]);
  });

  test.each<[string, string]>([
    ['no realm', 'Bearer service="reg"'],
    ['a realm that is no URL', 'Bearer realm="http://"'],
    ['a realm with another scheme', 'Bearer realm="file:///etc/passwd"'],
    ['a realm with a user in it', 'Bearer realm="http://a:b@localhost/token"'],
    ['no challenge', ''],
    ['nothing readable', '"""'],
  ])('%s: 401 is all there is', async (_, header) => {
    await resolveWith(
      BASIC,
      () => [{ request: HEAD, answer: { status: 401, headers: header === '' ? {} : { 'www-authenticate': header } } }],
      {},
      async (__, resolve) => expect(await failureOf(resolve())).toMatchObject({ code: 'UNAUTHORIZED' }),
    );
  });

  test('concurrent requests share one 401 and one token request for each scope', async () => {
    await resolveWith(
      BASIC,
      (origin) => [
        { request: HEAD, headers: { authorization: undefined }, answer: challenged(`${origin}/token`) },
        { request: `GET /token?service=reg&scope=${SCOPE}`, answer: { status: 200, body: { token: 't1' } } },
        { request: HEAD, headers: { authorization: 'Bearer t1' }, answer: FOUND, times: 20 },
      ],
      {},
      async (_, resolve) => {
        await Promise.all(Array.from({ length: 20 }, resolve));
      },
    );
  });

  test('a refused token is replaced once for all requests that used it', async () => {
    await resolveWith(
      BASIC,
      (origin) => [
        { request: HEAD, headers: { authorization: undefined }, answer: challenged(`${origin}/token`) },
        { request: `GET /token?service=reg&scope=${SCOPE}`, answer: { status: 200, body: { token: 't1' } } },
        { request: HEAD, headers: { authorization: 'Bearer t1' }, answer: FOUND },
        {
          request: HEAD,
          times: 10,
          answer: ({ headers }) =>
            headers.authorization === 'Bearer t2' ? FOUND : challenged(`${origin}/token`, ',error="invalid_token"'),
        },
        { request: `GET /token?service=reg&scope=${SCOPE}`, answer: { status: 200, body: { token: 't2' } } },
      ],
      {},
      async (_, resolve) => {
        await resolve();
        await Promise.all(Array.from({ length: 5 }, resolve));
      },
    );
  });

  test.each<[string, object]>([
    ['expires_in', { token: 't1', expires_in: 0.05 }],
    ["a JWT's exp, by its own iat", { token: jwt({ iat: 1000, exp: 1000.05 }) }],
  ])('a token is renewed before it ends: %s', async (_, first) => {
    await resolveWith(
      BASIC,
      (origin) => [
        { request: HEAD, headers: { authorization: undefined }, answer: challenged(`${origin}/token`) },
        { request: `GET /token?service=reg&scope=${SCOPE}`, answer: { status: 200, body: first } },
        { request: HEAD, answer: FOUND },
        { request: `GET /token?service=reg&scope=${SCOPE}`, answer: { status: 200, body: { token: 't2' } } },
        { request: HEAD, headers: { authorization: 'Bearer t2' }, answer: FOUND },
      ],
      {},
      async (__, resolve) => {
        await resolve();
        await new Promise((done) => setTimeout(done, 60));
        await resolve();
      },
    );
  });

  test("scopes from the challenge are added if the request's own were not enough", async () => {
    await resolveWith(BASIC, (origin) => [
      { request: HEAD, answer: challenged(`${origin}/token`, ',scope="repository:other:pull"') },
      { request: `GET /token?service=reg&scope=${SCOPE}`, answer: { status: 200, body: { token: 't1' } } },
      {
        request: HEAD,
        headers: { authorization: 'Bearer t1' },
        answer: challenged(`${origin}/token`, ',scope="repository:other:pull",error="insufficient_scope"'),
      },
      {
        request: `GET /token?service=reg&scope=${SCOPE}&scope=repository%3Aother%3Apull`,
        answer: { status: 200, body: { token: 't2' } },
      },
      { request: HEAD, headers: { authorization: 'Bearer t2' }, answer: FOUND },
    ]);
  });

  test('a request that is refused with a fresh token fails', async () => {
    await resolveWith(
      BASIC,
      (origin) => [
        { request: HEAD, answer: challenged(`${origin}/token`) },
        { request: `GET /token?service=reg&scope=${SCOPE}`, answer: { status: 200, body: { token: 't1' } } },
        { request: HEAD, headers: { authorization: 'Bearer t1' }, answer: challenged(`${origin}/token`) },
      ],
      {},
      async (_, resolve) => expect(await failureOf(resolve())).toMatchObject({ code: 'UNAUTHORIZED' }),
    );
  });

  test.each<[string, number, string, string]>([
    ['401', 401, '', 'UNAUTHORIZED'],
    ['403 with a code', 403, JSON.stringify({ errors: [{ code: 'DENIED', message: 'no' }] }), 'DENIED'],
    ['400 without one', 400, 'not json', 'HTTP_400'],
    ['no JSON', 200, 'not json', 'TOKEN_INVALID'],
    ['no token', 200, '{}', 'TOKEN_INVALID'],
    ['a token that would break the header', 200, '{"token":"two\\nlines"}', 'TOKEN_INVALID'],
    ['more than a token', 200, `{"token":"${'x'.repeat(2 * 1024 * 1024)}"}`, 'TOO_LARGE'],
  ])('the token endpoint answers with %s', async (_, status, body, code) => {
    await resolveWith(
      BASIC,
      (origin) => [
        { request: HEAD, answer: challenged(`${origin}/token`) },
        { request: `GET /token?service=reg&scope=${SCOPE}`, answer: { status, body } },
      ],
      {},
      async (__, resolve) => expect(await failureOf(resolve())).toMatchObject({ code, transient: false }),
    );
  });

  test('a failing token endpoint is retried, then the request continues', async () => {
    await resolveWith(BASIC, (origin) => [
      { request: HEAD, headers: { authorization: undefined }, answer: challenged(`${origin}/token`) },
      { request: `GET /token?service=reg&scope=${SCOPE}`, answer: { status: 503 } },
      { request: `GET /token?service=reg&scope=${SCOPE}`, answer: { status: 429, headers: { 'retry-after': '0' } } },
      { request: `GET /token?service=reg&scope=${SCOPE}`, answer: { status: 200, body: { token: 't1' } } },
      { request: HEAD, headers: { authorization: 'Bearer t1' }, answer: FOUND },
    ]);
  });
});

describe('realms on another host', () => {
  const elsewhere = async (
    options: (host: string, realm: string) => Partial<RegistriesOptions>,
    tokens: Exchange[],
    rest: Exchange[],
    outcome: (error: unknown) => void,
  ): Promise<void> => {
    await scripted(tokens, async (realm) => {
      await resolveWith(
        BASIC,
        () => [
          { request: HEAD, headers: { authorization: undefined }, answer: challenged(`${realm.origin}/token`) },
          ...rest,
        ],
        {},
        async (server) => {
          const client = quickClient({ credentials: fixedCredentials(BASIC), ...options(server.host, realm.host) });
          outcome(await failureOf(client.repository(server.host, 'app').resolve('v1')));
          await client.close();
        },
      );
    });
  };
  const token = `GET /token?service=reg&scope=${SCOPE}`;

  test('receive no credential', async () => {
    await elsewhere(
      () => ({}),
      [{ request: token, headers: { authorization: undefined }, answer: { status: 200, body: { token: 't1' } } }],
      [{ request: HEAD, headers: { authorization: 'Bearer t1' }, answer: FOUND }],
      (error) => expect(error).toBeUndefined(),
    );
  });

  test('receive no request if only certain registries are allowed', async () => {
    await elsewhere(
      (host) => ({ allowedRegistries: [host] }),
      [],
      [],
      (error) => expect(error).toMatchObject({ code: 'REALM_NOT_TRUSTED' }),
    );
  });
});

describe("ACR's endpoints", () => {
  const acr = (origin: string): Answer => challenged(`${origin}/oauth2/token`);
  const posted =
    (fields: string, answer: Answer): Exchange['answer'] =>
    (seen) => {
      expect(decodeURIComponent(seen.body.toString())).toBe(fields);
      return answer;
    };

  test('anonymous access uses a grant without credentials', async () => {
    await resolveWith({ kind: 'anonymous' }, (origin) => [
      { request: HEAD, answer: acr(origin) },
      {
        request: 'POST /oauth2/token',
        headers: { authorization: undefined },
        answer: posted('grant_type=password&service=reg&scope=repository:app:pull', {
          status: 200,
          body: { access_token: 'a1' },
        }),
      },
      { request: HEAD, headers: { authorization: 'Bearer a1' }, answer: FOUND },
    ]);
  });

  test('anonymous access falls back to GET if the endpoint does not support POST', async () => {
    await resolveWith({ kind: 'anonymous' }, (origin) => [
      { request: HEAD, answer: acr(origin) },
      { request: 'POST /oauth2/token', answer: { status: 405 } },
      {
        request: `GET /oauth2/token?service=reg&scope=${SCOPE}`,
        headers: { authorization: undefined },
        answer: { status: 200, body: { token: 't1' } },
      },
      { request: HEAD, headers: { authorization: 'Bearer t1' }, answer: FOUND },
    ]);
  });

  test('user and password use GET with Basic', async () => {
    await resolveWith(BASIC, (origin) => [
      { request: HEAD, answer: acr(origin) },
      {
        request: `GET /oauth2/token?service=reg&scope=${SCOPE}`,
        headers: { authorization: BASIC_HEADER },
        answer: { status: 200, body: { access_token: 'a1' } },
      },
      { request: HEAD, headers: { authorization: 'Bearer a1' }, answer: FOUND },
    ]);
  });

  test('a refresh token uses its own grant', async () => {
    await resolveWith({ kind: 'refreshToken', refreshToken: 'r1' }, (origin) => [
      { request: HEAD, answer: acr(origin) },
      {
        request: 'POST /oauth2/token',
        answer: posted('grant_type=refresh_token&refresh_token=r1&service=reg&scope=repository:app:pull', {
          status: 200,
          body: { access_token: 'a1' },
        }),
      },
      { request: HEAD, headers: { authorization: 'Bearer a1' }, answer: FOUND },
    ]);
  });

  test('an expired refresh token is reported as TOKEN_EXPIRED', async () => {
    await scripted([], async (server) => {
      server.script(
        { request: HEAD, answer: acr(server.origin) },
        { request: 'POST /oauth2/token', answer: { status: 401, body: { errors: [{ code: 'UNAUTHORIZED' }] } } },
      );
      const client = quickClient({ credentials: fixedCredentials({ kind: 'refreshToken', refreshToken: 'r1' }) });
      expect(await failureOf(client.repository(server.host, 'app').resolve('v1'))).toMatchObject({
        code: 'TOKEN_EXPIRED',
        info: { status: 401 },
        remedy: expect.stringMatching(/Log in again with az acr login.*three hours/),
      });
      await client.close();
    });
  });

  test('an Entra token is exchanged once for all scopes, and again after a revocation', async () => {
    const asked = await resolveWith(
      { kind: 'entra', accessToken: 'e1', tenant: 'tid' },
      (origin) => [
        { request: HEAD, headers: { authorization: undefined }, answer: acr(origin) },
        {
          request: 'POST /oauth2/exchange',
          answer: posted('grant_type=access_token&service=reg&tenant=tid&access_token=e1', {
            status: 200,
            body: { refresh_token: 'r1' },
          }),
        },
        {
          request: 'POST /oauth2/token',
          answer: posted('grant_type=refresh_token&refresh_token=r1&service=reg&scope=repository:app:pull', {
            status: 200,
            body: { access_token: 'a1' },
          }),
        },
        { request: HEAD, headers: { authorization: 'Bearer a1' }, answer: FOUND },
        {
          request: 'POST /oauth2/token',
          answer: posted('grant_type=refresh_token&refresh_token=r1&service=reg&scope=registry:catalog:*', {
            status: 200,
            body: { access_token: 'a2' },
          }),
        },
        {
          request: 'GET /v2/_catalog?n=1000',
          headers: { authorization: 'Bearer a2' },
          answer: { status: 200, body: { repositories: ['app'] } },
        },
        { request: 'POST /oauth2/token', answer: { status: 401 } },
        { request: 'POST /oauth2/exchange', answer: { status: 200, body: { refresh_token: 'r2' } } },
        {
          request: 'POST /oauth2/token',
          answer: posted('grant_type=refresh_token&refresh_token=r2&service=reg&scope=repository:app:delete', {
            status: 200,
            body: { access_token: 'a3' },
          }),
        },
        { request: `DELETE /v2/app/blobs/${DIGEST}`, headers: { authorization: 'Bearer a3' }, answer: { status: 202 } },
      ],
      {},
      async (server) => {
        const credentials = fixedCredentials({ kind: 'entra', accessToken: 'e1', tenant: 'tid' });
        const client = quickClient({ credentials });
        await client.repository(server.host, 'app').resolve('v1');
        for await (const name of client.registry(server.host).listRepositories()) expect(name).toBe('app');
        await client
          .repository(server.host, 'app')
          .deleteBlob({ digest: DIGEST as `sha256:${string}`, mediaType: 'x/y', size: 1 });
        expect(credentials.asked).toHaveLength(3);
        await client.close();
      },
    );
    expect(asked).toEqual([]);
  });

  test('two Entra identities never share a token; a renewed token is the same identity', async () => {
    await scripted([], async (server) => {
      const tokens = [
        jwt({ oid: 'a', tid: 't', n: 1 }),
        jwt({ oid: 'a', tid: 't', n: 2 }),
        jwt({ oid: 'b', tid: 't' }),
      ];
      const ask = (repository: string, token: string): Exchange[] => [
        {
          request: `HEAD /v2/${repository}/manifests/v1`,
          headers: { authorization: `Bearer ${token}` },
          answer: FOUND,
        },
      ];
      server.script(
        { request: 'HEAD /v2/a/manifests/v1', headers: { authorization: undefined }, answer: acr(server.origin) },
        { request: 'POST /oauth2/exchange', answer: { status: 200, body: { refresh_token: 'r1' } } },
        { request: 'POST /oauth2/token', answer: { status: 200, body: { access_token: 'a1' } } },
        ...ask('a', 'a1'),
        { request: 'POST /oauth2/token', answer: { status: 200, body: { access_token: 'a2' } } },
        ...ask('b', 'a2'),
        { request: 'POST /oauth2/exchange', answer: { status: 200, body: { refresh_token: 'r2' } } },
        { request: 'POST /oauth2/token', answer: { status: 200, body: { access_token: 'a3' } } },
        ...ask('c', 'a3'),
      );
      const given = [...tokens];
      const client = quickClient({
        credentials: { get: () => Promise.resolve({ kind: 'entra', accessToken: given.shift() ?? '', tenant: 't' }) },
      });
      for (const name of ['a', 'b', 'c']) await client.repository(server.host, name).resolve('v1');
      const exchanged = server.seen.filter(({ url }) => url === '/oauth2/exchange');
      expect(exchanged.map(({ body }) => new URLSearchParams(body.toString()).get('access_token'))).toEqual([
        tokens[0],
        tokens[2],
      ]);
      await client.close();
    });
  });

  test('an unknown Entra identity falls back to anonymous access if allowed', async () => {
    await resolveWith({ kind: 'entra', accessToken: 'e1', orAnonymous: true }, (origin) => [
      { request: HEAD, answer: acr(origin) },
      { request: 'POST /oauth2/exchange', answer: { status: 401 } },
      {
        request: 'POST /oauth2/token',
        answer: posted('grant_type=password&service=reg&scope=repository:app:pull', {
          status: 200,
          body: { access_token: 'a1' },
        }),
      },
      { request: HEAD, headers: { authorization: 'Bearer a1' }, answer: FOUND },
    ]);
  });

  test('the first refusal is reported if anonymous access fails as well', async () => {
    await resolveWith(
      { kind: 'entra', accessToken: 'e1', orAnonymous: true },
      (origin) => [
        { request: HEAD, answer: acr(origin) },
        { request: 'POST /oauth2/exchange', answer: { status: 401 } },
        { request: 'POST /oauth2/token', answer: { status: 403 } },
      ],
      {},
      async (_, resolve) => {
        expect(await failureOf(resolve())).toMatchObject({ code: 'UNAUTHORIZED' });
      },
    );
  });

  test('a refused Entra token is an error', async () => {
    await resolveWith(
      { kind: 'entra', accessToken: 'secret' },
      (origin) => [
        { request: HEAD, answer: acr(origin) },
        {
          request: 'POST /oauth2/exchange',
          answer: {
            status: 401,
            body: { errors: [{ code: 'UNAUTHORIZED', message: 'token secret eyJhbGciOi.eyJzdWIi.c2ln is bad' }] },
          },
        },
      ],
      {},
      async (_, resolve) => {
        const error = await failureOf(resolve());
        expect(error).toMatchObject({ code: 'UNAUTHORIZED' });
        expect(JSON.stringify(error)).not.toContain('eyJ');
      },
    );
  });
});

describe('allowed registries', () => {
  test('a redirect to another host is followed only for a blob', async () => {
    const bytes = Buffer.from('blob');
    const blob = { mediaType: 'x/y', digest: digestOf(bytes), size: bytes.length };
    await scripted(
      [{ request: 'GET /store', headers: { authorization: undefined }, answer: { status: 200, body: bytes } }],
      async (store) => {
        const away = { status: 307, headers: { location: `${store.origin}/store` } };
        const script: Exchange[] = [
          { request: `GET /v2/app/blobs/${blob.digest}`, answer: away },
          { request: HEAD, answer: away },
          { request: 'PUT /v2/app/manifests/v1', answer: away },
        ];
        await scripted(script, async (server) => {
          const client = quickClient({ allowedRegistries: [server.host] });
          const repository = client.repository(server.host, 'app');
          expect((await readAll(await repository.openBlob(blob))).equals(bytes)).toBe(true);
          expect(await failureOf(repository.resolve('v1'))).toMatchObject({ code: 'REDIRECT_REFUSED' });
          expect(await failureOf(repository.pushManifest(bytes, 'x/y', { tag: 'v1' }))).toMatchObject({
            code: 'REDIRECT_REFUSED',
          });
          await client.close();
        });
      },
    );
  });

  test('a registry that is not allowed receives no request', async () => {
    await scripted([], async (server) => {
      const client = quickClient({ allowedRegistries: ['myregistry.azurecr.io'] });
      for (const use of [() => client.repository(server.host, 'app'), () => client.registry(server.host)]) {
        expect(use).toThrow(expect.objectContaining({ code: 'REGISTRY_NOT_ALLOWED' }));
      }
      expect(client.repository('MyRegistry.azurecr.io', 'app').name).toBe('MyRegistry.azurecr.io/app');
      await client.close();
    });
  });

  test('an empty list allows no registry', async () => {
    const client = quickClient({ allowedRegistries: [] });
    expect(() => client.registry('localhost')).toThrow(expect.objectContaining({ code: 'REGISTRY_NOT_ALLOWED' }));
    await client.close();
  });

  test('invalid names are refused', async () => {
    const client = quickClient();
    expect(() => client.repository('a/b', 'app')).toThrow(expect.objectContaining({ code: 'REFERENCE_INVALID' }));
    expect(() => client.repository('localhost', '../etc')).toThrow(
      expect.objectContaining({ code: 'REFERENCE_INVALID' }),
    );
    await client.close();
  });
});

test.each([
  ['docker.io', 'registry-1.docker.io'],
  ['R.example:443', 'r.example'],
  ['localhost:80', 'localhost'],
  ['localhost:5000', 'localhost:5000'],
])('a password for named registries only: %s is requested as %s', async (named, host) => {
  const credentials = basicCredentials('user', 'pass', [named]);
  expect(await credentials.get(host)).toEqual({ kind: 'basic', username: 'user', password: 'pass' });
  expect(await credentials.get('other.example')).toEqual({ kind: 'anonymous' });
});

describe('a registry behind a firewall', () => {
  /** The message as quoted in docker/build-push-action#1214. */
  const refusal = {
    status: 403,
    body: {
      errors: [
        {
          code: 'DENIED',
          message:
            "client with IP '192.0.2.1' is not allowed access. Refer https://aka.ms/acr/firewall to grant access.",
        },
      ],
    },
  };
  const expected = {
    code: 'REGISTRY_FIREWALL',
    transient: false,
    message: expect.stringContaining("client with IP '192.0.2.1' is not allowed access"),
    remedy: expect.stringMatching(/network, whatever the role.*private endpoints/),
  };

  test('is distinguished from a missing role, also for HEAD', async () => {
    await resolveWith(
      { kind: 'entra', accessToken: 'secret' },
      () => [
        { request: HEAD, answer: { status: 403 } },
        { request: 'GET /v2/', headers: { authorization: undefined }, answer: refusal },
      ],
      {},
      async (_, resolve) => expect(await failureOf(resolve())).toMatchObject(expected),
    );
  });

  test('is recognized from its token endpoint', async () => {
    await resolveWith(
      { kind: 'entra', accessToken: 'secret' },
      (origin) => [
        { request: HEAD, answer: challenged(`${origin}/oauth2/token`) },
        { request: 'POST /oauth2/exchange', answer: refusal },
      ],
      {},
      async (_, resolve) => expect(await failureOf(resolve())).toMatchObject(expected),
    );
  });

  test.each([
    ['a role that is lacking', { status: 401 }],
    ['a registry that is broken', { status: 404 }],
    ['other words', { status: 403, body: { errors: [{ code: 'DENIED', message: 'requested access is denied' }] } }],
  ])('%s is not recognized as a firewall', async (_, answer) => {
    await resolveWith(
      { kind: 'anonymous' },
      () => [
        { request: HEAD, answer: { status: 403 } },
        { request: 'GET /v2/', answer },
      ],
      {},
      async (__, resolve) => expect(await failureOf(resolve())).toMatchObject({ code: 'DENIED' }),
    );
  });

  test('a registry with another kind of token gets no extra request', async () => {
    await resolveWith(
      BASIC,
      (origin) => [
        { request: HEAD, answer: challenged(`${origin}/token`) },
        { request: `GET /token?service=reg&scope=${SCOPE}`, answer: { status: 200, body: { token: 't1' } } },
        { request: HEAD, answer: { status: 403 } },
      ],
      {},
      async (_, resolve) => expect(await failureOf(resolve())).toMatchObject({ code: 'DENIED' }),
    );
  });
});
