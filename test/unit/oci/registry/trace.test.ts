import { describe, expect, test } from '@jest/globals';
import { blobOf, failureOf, fixedCredentials, quickClient, readAll } from './clients.js';
import { scripted, type Exchange } from './scripted-server.js';

const TYPES = { 'content-type': 'application/vnd.oci.image.manifest.v1+json' };
const REQUEST = 'GET /v2/app/manifests/v1';

async function traced(
  exchanges: Exchange[],
  options: Parameters<typeof quickClient>[0],
  run: (repository: ReturnType<ReturnType<typeof quickClient>['repository']>, host: string) => Promise<void>,
): Promise<string> {
  let text = '';
  await scripted(exchanges, async ({ host }) => {
    const client = quickClient({ ...options, trace: (entry) => (text += entry) });
    await run(client.repository(host, 'app'), host);
    await client.close();
  });
  return text;
}

test('requests and responses are reported as oras does', async () => {
  const body = JSON.stringify({ schemaVersion: 2 });
  const headers = { ...TYPES, 'x-number': '1' };
  const text = await traced([{ request: REQUEST, answer: { status: 200, headers, body } }], {}, async (repository) => {
    const { bytes } = await repository.fetchManifest('v1');
    // The traced body is still complete.
    expect(Buffer.from(bytes).toString()).toBe(body);
  });
  const [request = '', response = ''] = text.split('\n\n\n');
  expect(request).toMatch(
    /^\[\d{4}-[\d:.TZ-]+\]\[DEBUG\]: --> Request #(\d+)\n> Request URL: "http:\/\/localhost:\d+\/v2/,
  );
  expect(request).toContain('\n> Request method: "GET"\n> Request headers:\n   "User-Agent": "acr-promoter"\n');
  expect(response).toMatch(/<-- Response #\d+\n< Response Status: "200 OK"\n< Response headers:\n/);
  expect(response).toContain('\n   "X-Number": "1"\n');
  expect(response).toContain(`\n< Response body:\n${body}`);
});

describe('secrets are not reported', () => {
  const SECRETS = ['p4ssw0rd', 'tok-en', 'cook-ie', 'own-secret', 's1gnature', 'upl0ad'];
  const expectNone = (text: string): void => {
    for (const secret of [...SECRETS, Buffer.from('me:p4ssw0rd').toString('base64')])
      expect(text).not.toContain(secret);
    expect(text).toContain('--> Request');
  };

  test('passwords, tokens, cookies and additional headers are hidden', async () => {
    const text = await traced(
      [
        {
          request: REQUEST,
          answer: (_, response) =>
            void response
              .writeHead(401, {
                'www-authenticate': `Bearer realm="http://${response.req.headers.host ?? ''}/token",service="r"`,
                'set-cookie': 'a=cook-ie',
              })
              .end(),
        },
        {
          request: 'GET /token?service=r&scope=repository%3Aapp%3Apull',
          answer: { status: 200, headers: { 'content-type': 'application/json' }, body: { token: 'tok-en' } },
        },
        {
          request: REQUEST,
          answer: ({ headers }) => ({
            status: 403,
            headers: { 'content-type': 'text/plain', 'x-echo': String(headers['x-own']) },
            body: `you said ${String(headers.authorization)} and ${String(headers['x-own'])}\u001b[31m`,
          }),
        },
      ],
      {
        credentials: fixedCredentials({ kind: 'basic', username: 'me', password: 'p4ssw0rd' }),
        headers: { 'x-own': 'own-secret' },
      },
      async (repository) => {
        expect(await failureOf(repository.fetchManifest('v1'))).toMatchObject({ code: 'DENIED' });
      },
    );
    expectNone(text);
    expect(text).toContain('   "Set-Cookie": "*****"');
    expect(text).toContain('   "X-Own": "*****"');
    expect(text).toContain('   "X-Echo": "*****"');
    expect(text).toContain('Response body redacted due to potential credentials');
    expect(text).toContain('you said ');
    expect(text).not.toContain('\u001b');
    expect(text).toContain('/token?service=r&scope=repository%3Aapp%3Apull"');
  });

  test('signatures in redirect URLs are hidden', async () => {
    const content = Buffer.from('hello');
    const blob = blobOf(content);
    const text = await traced(
      [
        {
          request: `GET /v2/app/blobs/${blob.digest}`,
          answer: {
            status: 307,
            headers: { location: '/kept?sv=1&sig=s1gnature', 'content-type': 'text/html' },
            body: '<a href="/kept?sv=1&amp;sig=s1gnature">here</a>',
          },
        },
        {
          request: 'GET /kept?sv=1&sig=s1gnature',
          answer: { status: 200, headers: { 'content-type': 'application/octet-stream' }, body: content },
        },
        {
          request: 'GET /v2/app/tags/list?n=1000',
          answer: {
            status: 200,
            headers: {
              'content-type': 'application/json',
              link: '</v2/app/tags/list?n=1&last=a&next=s1gnature>; rel="next"',
            },
            body: { name: 'app', tags: ['a'] },
          },
        },
        {
          request: 'GET /v2/app/tags/list?n=1&last=a&next=s1gnature',
          answer: { status: 200, headers: { 'content-type': 'application/json' }, body: { name: 'app', tags: [] } },
        },
      ],
      {},
      async (repository) => {
        expect(await readAll(await repository.openBlob(blob))).toEqual(content);
        for await (const tag of repository.listTags()) expect(tag).toBe('a');
      },
    );
    expectNone(text);
    expect(text).toMatch(/"Location": "http:\/\/localhost:\d+\/kept\?sv=REDACTED&sig=REDACTED"/);
    expect(text).toMatch(/"Link": "<http:\/\/localhost:\d+\/v2\/app\/tags\/list\?n=1&last=a&next=REDACTED>; rel/);
    expect(text).toContain('Response body for redirect is not printed');
    expect(text).toContain('Response body of content type "application/octet-stream" is not printed');
  });
});

test('a long body is passed on but not reported', async () => {
  const body = JSON.stringify({ schemaVersion: 2, annotations: { a: 'x'.repeat(40_000) } });
  const text = await traced(
    [{ request: REQUEST, answer: { status: 200, headers: TYPES, body } }],
    {},
    async (repository) => {
      expect((await repository.fetchManifest('v1')).bytes.length).toBe(body.length);
    },
  );
  expect(text).toContain('Response body exceeding the trace size limit is not printed');
  expect(text).not.toContain('xxxx');
});

test('a missing response is reported as an error', async () => {
  let text = '';
  const client = quickClient({ trace: (entry) => (text += entry), retry: { attempts: 1 } });
  expect(await failureOf(client.repository('localhost:1', 'app').resolve('v1'))).toMatchObject({
    code: 'CONNECT_FAILED',
  });
  await client.close();
  expect(text).toMatch(/\[ERROR\]: <-- Response #\d+\nError in getting response: HEAD http:\/\/localhost:1\//);
});
