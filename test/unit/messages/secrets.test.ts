import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { parseJob } from '../../../src/operations/parse-job.js';
import { poisonEnvelope } from '../../../src/messages/poison.js';
import { looksSecret, redactText } from '../../../src/messages/secret-shapes.js';
import { codeOf, errorOf } from '../../support/codes.js';
import { propertyRuns } from '../../support/property-runs.js';

const from = { messageId: 'message-1' };
const gzipped = (text: string): string => gzipSync(text).toString('base64');
const inLines = (text: string): string => text.replaceAll(/.{76}/g, (line) => `${line}\n`);
const base64 = (text: string): string => Buffer.from(text).toString('base64');
const base64url = (text: string): string => Buffer.from(text).toString('base64url');

/** Made up, and put together here, so that no scanner takes this file for a leak. */
const LETTERS = 'hUnter2AbCdEfGhIjKlMnOpQrStUvWxYz0123456789AbCdEfGhIjKlMnOpQrStUvWxYz0123456789';
const JWT = [base64url('{"alg":"RS256"}'), base64url('{"sub":"me","aud":"x"}'), LETTERS.slice(0, 43)].join('.');
const ACR_PASSWORD = `${LETTERS.slice(0, 42)}+ACRA1b2c3`;
const ENTRA_SECRET = `abc8Q~${LETTERS.slice(0, 34)}`;
const GITHUB = `ghp_${LETTERS.slice(0, 36)}`;

const PASS = 'S3cretPass99';
const DOCKER_CONFIG = JSON.stringify({ auths: { 'r.io': { auth: base64(`me:${PASS}`) } } });
const MIDDLE = LETTERS.slice(0, 43);

function tarHeader(name: string): Buffer {
  const header = Buffer.alloc(512);
  header.write(name);
  header.write('0000644', 100);
  header.write('ustar', 257);
  return header;
}

/** The text that a sender may put somewhere, and the part of it that nobody else may see. */
const SECRETS: [string, string, string][] = [
  ['a bare JWT', JWT, JWT],
  ['a JWT in a sentence', `my token is ${JWT}.`, JWT],
  ['a token’s password', ACR_PASSWORD, ACR_PASSWORD],
  ['the same in a script', `docker login -u t -p ${ACR_PASSWORD} r.azurecr.io`, ACR_PASSWORD],
  ['a storage key', `${LETTERS.slice(0, 76)}+AStAbCdEf==`, LETTERS.slice(0, 76)],
  ['an Entra secret', ENTRA_SECRET, ENTRA_SECRET],
  ['an Entra secret in JSON', `{"appId":"x","value":"${ENTRA_SECRET}"}`, ENTRA_SECRET],
  ['GitHub', GITHUB, GITHUB],
  ['GitHub, fine-grained', `github_pat_${LETTERS.slice(0, 22)}_x`, LETTERS.slice(0, 22)],
  ['GitLab', `glpat-${LETTERS.slice(0, 20)}`, LETTERS.slice(0, 20)],
  ['Docker Hub', `dckr_pat_${LETTERS.slice(0, 27)}`, LETTERS.slice(0, 27)],
  ['npm', `npm_${LETTERS.slice(0, 36)}`, LETTERS.slice(0, 36)],
  ['a password in a file of settings', 'registry=r\npassword=hunter2', 'hunter2'],
  ['of letters alone', 'DB_PASSWORD=correcthorse', 'correcthorse'],
  ['in YAML', 'user: me\npassword: hunter2', 'hunter2'],
  ['in JSON', '{"user":"me","password":"hunter2"}', 'hunter2'],
  ['behind another name', 'ENV: PASSWORD=hunter2', 'hunter2'],
  ['as an option', 'oras login r.io -u me --password hunter2', 'hunter2'],
  ['as an option with =', 'oras login r.io --password=hunter2', 'hunter2'],
  ['as a short option', 'docker login -u me -p hunter2 r.io', 'hunter2'],
  ['as entries of a list', '["oras","login","--password","hunter2"]', 'hunter2'],
  ['curl’s', 'curl -u admin:hunter2 https://r.io/v2/', 'hunter2'],
  ['curl’s, as entries of a list', '["curl","--user","admin:hunter2"]', 'hunter2'],
  ['a Basic header', `Authorization: Basic ${base64('me:hunter2')}`, base64('me:hunter2')],
  ['Basic alone', `Basic ${base64('me:hunter2')}`, base64('me:hunter2')],
  ['Docker’s auth', `{"r.io":{"auth":"${base64('me:hunter2')}"}}`, base64('me:hunter2')],
  [
    'a PGP key',
    `-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n${MIDDLE}\n=abcd\n-----END PGP PRIVATE KEY BLOCK-----`,
    MIDDLE,
  ],
  ['a PEM key', `-----BEGIN EC PRIVATE KEY-----\n${MIDDLE}\n-----END EC PRIVATE KEY-----`, MIDDLE],
  ['an EC key as JSON', `{"kty":"EC","crv":"P-256","x":"a","d":"${MIDDLE}"}`, MIDDLE],
  ['an RSA key as JSON', `{ "e": "AQAB", "d": "${MIDDLE}", "kty": "RSA" }`, MIDDLE],
  ['a shared key as JSON', `{"keys":[{"kty":"oct","k":"${MIDDLE}"}]}`, MIDDLE],
  ['Maven’s', `<server><username>me</username><password>${PASS}</password></server>`, PASS],
  ['Maven’s, of letters alone', '<password>correcthorse</password>', 'correcthorse'],
  ['an element with attributes', `<wsse:Password Type="#PasswordText">\n  ${PASS}\n</wsse:Password>`, PASS],
  ['NuGet’s', `<add key="Username" value="me" />\n<add key="ClearTextPassword" value="${PASS}" />`, PASS],
  ['a variable of Kubernetes', `env:\n  - name: DB_PASSWORD\n    value: ${PASS}`, PASS],
  ['a variable in JSON', `[{ "name": "DB_PASSWORD", "value": "${PASS}" }]`, PASS],
  ['netrc', `machine r.io login admin password ${PASS}`, PASS],
  ['netrc over several lines', `machine r.io\n  login admin\n  password ${PASS}\n`, PASS],
  ['a variable', `export DB_PASS=${PASS}`, PASS],
  ['a variable of letters alone', 'DB_PASS=correcthorse', 'correcthorse'],
  ['a short name', `{"user":"me","pass":"${PASS}"}`, PASS],
  [
    'a file in base64',
    `data:\n  app.conf: ${base64(`user=me\npassword=${PASS}\n`)}`,
    base64(`user=me\npassword=${PASS}\n`),
  ],
  ['Kubernetes’ Docker config', `data:\n  .dockerconfigjson: ${base64(DOCKER_CONFIG)}\ntype: x`, base64(DOCKER_CONFIG)],
  [
    'a file in base64, in lines',
    inLines(base64(`${'#'.repeat(200)}\n${DOCKER_CONFIG}`)),
    base64(DOCKER_CONFIG).slice(8, 60),
  ],
  ['packed', gzipped(DOCKER_CONFIG), gzipped(DOCKER_CONFIG)],
  ['packed, in base64 of base64', base64(`x: ${gzipped(DOCKER_CONFIG)}`), base64(`x: ${gzipped(DOCKER_CONFIG)}`)],
  ['UTF-16 in base64', Buffer.from(`password=${PASS}`, 'utf16le').toString('base64'), 'cABhAHMAcwB3AG8Acg'],
  ['a token of no known kind', `token: ${LETTERS.slice(0, 24)}`, LETTERS.slice(0, 24)],
];

describe('what looks like a secret', () => {
  const push = { operation: 'push', reference: 'a.io/b:v1' };

  test.each(SECRETS)('%s: refused wherever it stands, and kept nowhere', (_what, text, secret) => {
    for (const job of [
      { ...push, files: [{ path: 'a', text }] },
      { ...push, files: [{ path: 'a', base64: base64(text) }] },
      { ...push, annotations: { note: text } },
      { ...push, unknown: [{ note: text }] },
    ]) {
      const error = errorOf(() => parseJob(job, from));
      expect(error?.code).toBe('JOB_HOLDS_SECRET');
      const { text: kept } = poisonEnvelope({ code: 'X', reason: 'x', original: job });
      for (const shown of [kept, JSON.stringify([error, error?.message, error?.details])]) {
        expect(shown).not.toContain(secret);
        expect(shown).not.toContain(base64(text));
      }
    }
  });

  test.each(SECRETS)('%s: left out of a message that cannot be read', (_what, text, secret) => {
    const broken = [text, `{"operation":"push","note":${JSON.stringify(text)}`, `x ${text}`, `${text} x`];
    for (const original of broken) {
      expect(poisonEnvelope({ code: 'X', reason: 'x', original }).text).not.toContain(secret);
    }
  });

  test.each<[string, Buffer]>([
    ['UTF-16', Buffer.from(`\uFEFFuser=me\r\npassword=${PASS}\r\n`, 'utf16le')],
    ['UTF-16, the other way round', Buffer.from(`\uFEFFpassword=${PASS}`, 'utf16le').swap16()],
    ['gzip', gzipSync(DOCKER_CONFIG)],
    ['a tar archive in gzip', gzipSync(Buffer.concat([tarHeader('sec/config.json'), Buffer.from(DOCKER_CONFIG)]))],
    ['what gzip has packed, cut', gzipSync(DOCKER_CONFIG.padEnd(4000)).subarray(0, -8)],
    [
      'at the start of what is too much to unpack',
      gzipSync(Buffer.concat([Buffer.from(DOCKER_CONFIG), Buffer.alloc(8 << 20)])),
    ],
  ])('the bytes of a file: %s', (_what, bytes) => {
    const job = { ...push, files: [{ path: 'a', base64: bytes.toString('base64') }] };
    expect(errorOf(() => parseJob(job, from))?.details).toMatchObject({ problems: [{ path: 'files.0.base64' }] });
    for (const original of [job, { fies: job.files }, bytes.toString('base64')]) {
      const { text } = poisonEnvelope({ code: 'X', reason: 'x', original });
      expect(text).not.toContain(bytes.toString('base64'));
    }
  });

  test('whatever is packed besides', () => {
    const innocent = gzipSync(Buffer.alloc(900_000, 'lorem ipsum ')).toString('base64');
    const secret = gzipSync(DOCKER_CONFIG.padEnd(200_000)).toString('base64');
    const job = { ...push, annotations: { innocent, secret } };
    expect(errorOf(() => parseJob(job, from))?.details).toMatchObject({ problems: [{ path: 'annotations.secret' }] });
    expect(poisonEnvelope({ code: 'X', reason: 'x', original: job }).text).not.toContain(secret);
  });

  test('in the job’s own objects', () => {
    for (const [unknown, path] of [
      [{ kty: 'EC', d: 'hidden' }, 'unknown.d'],
      [[{ name: 'DB_PASSWORD', value: 'hidden' }], 'unknown.0.value'],
      [{ DB_PASS: PASS }, 'unknown.DB_PASS'],
    ] as const) {
      const job = { ...push, unknown };
      expect(errorOf(() => parseJob(job, from))?.details).toMatchObject({ problems: [{ path }, {}] });
      const { text } = poisonEnvelope({ code: 'X', reason: 'x', original: job });
      expect(text).not.toMatch(/"hidden"|S3cretPass99/);
    }
  });

  test.each([
    ['--password', 'hunter2'],
    ['--registry-token', 'hunter2'],
    ['-u', 'admin:hunter2'],
  ])('%j, %j: the words of a command', (...words) => {
    const job = { ...push, unknown: ['oras', ...words] };
    expect(errorOf(() => parseJob(job, from))).toMatchObject({
      code: 'JOB_HOLDS_SECRET',
      details: { problems: [{ path: 'unknown.2' }, {}] },
    });
    expect(poisonEnvelope({ code: 'X', reason: 'x', original: job }).text).not.toContain('hunter2');
  });

  test('a name that is the secret', () => {
    const job = { ...push, annotations: { [GITHUB]: '1' } };
    const error = errorOf(() => parseJob(job, from));
    expect(error?.code).toBe('JOB_HOLDS_SECRET');
    const { text } = poisonEnvelope({ code: 'X', reason: 'x', original: job });
    expect(text + JSON.stringify([error?.message, error?.details])).not.toContain(GITHUB);
  });

  test('Docker’s auth under its own name', () => {
    for (const [auth, code] of [
      [base64('me:hunter2'), 'JOB_HOLDS_SECRET'],
      ['oauth2', undefined],
    ]) {
      const job = { ...push, annotations: { auth } };
      expect(codeOf(() => parseJob(job, from))).toBe(code);
    }
    const original = { registryConfig: { auths: { r: { auth: base64('me:hunter2') } } }, token: JWT };
    const { text } = poisonEnvelope({ code: 'X', reason: 'x', original });
    expect(text).not.toContain(base64('me:hunter2'));
    expect(text).not.toContain(JWT);
  });

  test('what is left out may be more than what is refused', () => {
    for (const text of ['secret: word', 'the token: of old', 'auth=nobody', 'me:there@a.io']) {
      expect(looksSecret(text)).toBe(false);
      expect(redactText(text)).toContain('left out');
    }
  });
});

describe('what does not', () => {
  const CYCLONEDX = JSON.stringify({
    bomFormat: 'CycloneDX',
    serialNumber: 'urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79',
    metadata: {
      authors: [{ name: 'Jane', email: 'jane@example.com' }],
      properties: [{ name: 'auth', value: 'basic' }],
    },
    components: [
      { 'bom-ref': 'pkg:npm/jsonwebtoken@9.0.2', name: 'jsonwebtoken', version: '9.0.2', auth: 'none', token: 'ID' },
      { name: 'js-tokens', purl: 'pkg:npm/js-tokens@4.0.0?vcs_url=git%2Bhttps://example.com/a.git' },
      { hashes: [{ alg: 'SHA-256', content: 'a1'.repeat(32) }], purl: 'pkg:deb/debian/passwd@1:4.13+dfsg1-1' },
    ],
  });

  test.each([
    CYCLONEDX,
    '{"dependencies":{"csrf-token":"1.0.12-beta.1","jsonwebtoken":"^9.0.2","get-token":"github:a/b#v9"}}',
    `{"integrity":"sha512-${base64(LETTERS.slice(0, 64))}"}`,
    '{"auth":"oauth2","password":"","token":null,"secret":"my-secret-1"}',
    `{"token":"sha256:${'a1'.repeat(32)}"}`,
    'Basic authentication, or Bearer tokens',
    'Set password=<your password>, or PASSWORD=${PASSWORD}, --password-stdin, --password $P and --password "$(cat p)".',
    'const password = options.password; const token = await getToken(a1); let secret: string;',
    'password: a word that you know\ntoken: a thing that you have',
    'docker run --user 1000:1000 -u node:node -p 8080:80 image; mkdir -p dir1/dir2',
    'PWD=/home/user1 cd',
    'maintainer <mailto:me@example.com>, r.io/a:v1@sha256:' + 'a1'.repeat(32),
    '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----',
    '-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmQENBF\n-----END PGP PUBLIC KEY BLOCK-----',
    `{"keys":[{"kty":"EC","crv":"P-256","x":"${MIDDLE}","y":"${MIDDLE}"},{"kty":"RSA","n":"${MIDDLE}","e":"AQAB"}]}`,
    '<server><username>${env.USER}</username><password>${env.PASSWORD}</password></server>',
    '<password>your password</password> <password>{COQLCE6DU6GtcS5P=}</password> <password>string</password>',
    '<label>Password</label><input type="password" name="password" value="" /><param name="token">The token.</param>',
    '<add key="ClearTextPassword" value="%NUGET_PASSWORD%" /><add key="PasswordPolicy" value="strong12" />',
    'env:\n- name: DB_PASSWORD\n  valueFrom:\n    secretKeyRef:\n      name: db1\n      key: password\n',
    'The default login with password authentication; the machine learning login form.',
    'BYPASS=always COMPASS=north1 DB_PASS=$DB_PASS DB_PASS=<pass> PASS: test1\n# pass 12\nrenderPass = scene1; first-pass: v2abc',
    `ARG VERSION=1.2.3\nFROM node:22@sha256:${'a1'.repeat(32)}\nENV PASS_THROUGH=yes1 PATH=/usr/local/bin:$PATH\nRUN npm ci`,
    `data:\n  notes: ${base64('# A file\n\nThe password is kept elsewhere: password=$PASSWORD, token: yours.\n')}`,
    inLines(base64('lorem ipsum dolor sit amet, '.repeat(40))),
    gzipped('lorem ipsum dolor sit amet, '.repeat(40)),
    Buffer.from('a text in UTF-16, of nothing', 'utf16le').toString('base64'),
    'AbstractSingletonProxyFactoryBeanThatHasAVeryLongName/and/a/path/that/goes/on/and/on/for/ever',
  ])('%j', (text) => {
    expect(looksSecret(text)).toBe(false);
  });

  /** What people push, of this project's own. */
  test.each([
    'README.md',
    'CHANGELOG.md',
    'package.json',
    'docs/reference/jobs.md',
    'docs/reference/settings.md',
    'docs/how-to/deploy.md',
    'docs/reference/command-line.md',
    'docs/decisions/jobs.md',
    'docs/reference/errors.md',
    'infra/main.bicep',
    'schemas/job.schema.json',
    'package-lock.json',
    'src/operations/parse-job.ts',
    'src/cli/verbs/login.ts',
    'src/oci/registry/tokens.ts',
  ])('%s', (path) => {
    const text = readFileSync(path, 'utf8');
    for (const each of [text, JSON.stringify(text), base64(text), gzipped(text)]) expect(looksSecret(each)).toBe(false);
  });

  const hex = fc.stringMatching(/^[0-9a-f]{64}$/);
  const name = fc.stringMatching(/^[a-z0-9]{1,12}$/);
  const words = fc.array(fc.stringMatching(/^[A-Za-z]{1,12}[.,]?$/), { maxLength: 40 }).map((list) => list.join(' '));
  const bytes = fc.uint8Array({ maxLength: 600 }).map((each) => Buffer.from(each).toString('base64'));
  const ordinary = fc.oneof(
    words,
    words.map(base64),
    bytes,
    hex.map((digest) => `sha256:${digest}`),
    fc.tuple(name, name, hex).map(([host, repository, digest]) => `${host}.io/${repository}:v1@sha256:${digest}`),
    fc.tuple(name, name).map(([who, host]) => `${who} <${who}@${host}.example>`),
    fc.uuid(),
    fc.webUrl(),
    fc
      .tuple(name, name, hex)
      .map(([group, each, content]) =>
        JSON.stringify({ components: [{ group, name: each, auth: group, purl: `pkg:npm/${each}@1.0.0`, content }] }),
      ),
  );

  test('an ordinary job is one', () => {
    fc.assert(
      fc.property(ordinary, ordinary, name, (text, more, title) => {
        const job = {
          operation: 'attach',
          reference: `a.io/b@sha256:${'a'.repeat(64)}`,
          artifactType: 'application/vnd.cyclonedx+json',
          files: [{ path: `${title}/f`, text, annotations: { auth: title } }],
          annotations: {
            'org.opencontainers.image.authors': `${title} <${title}@example.com>`,
            'org.opencontainers.image.source': `https://example.com/${title}`,
            note: more,
          },
        };
        expect(codeOf(() => parseJob(job, from))).toBeUndefined();
      }),
      { numRuns: propertyRuns(500) },
    );
  });
});

// A pattern that goes over a text again and again takes hours for these, and one that goes over it once no time at all.
test.each([
  'a',
  'a ',
  'a:',
  'a:a@',
  'a=',
  '-',
  '--a ',
  ' ',
  '\n',
  '"',
  '\\',
  '\\"',
  'eyJ',
  '_eyJ',
  'eyJaaaaaaaa.',
  'eyJaaaaaaaa.b.',
  'ghp_',
  'github_pat_',
  'glpat-',
  'Bearer ',
  'Bearer aaaa',
  'Basic ',
  'Basic aaaaaaaa ',
  'token:',
  'token:[',
  'token:"',
  'token:"\\"',
  "token:'",
  '"auth":"',
  '"auths":',
  'login -p ',
  'login ',
  ' -u ',
  ' -u a',
  ' -u a:a',
  '--password ',
  '"--password","',
  '://',
  '://a',
  '?sig=',
  '+ACR',
  '1Q~',
  '-----BEGIN ',
  'a'.repeat(16) + ' ',
  'a'.repeat(19) + ' ',
  'a'.repeat(76) + '\n',
  'a'.repeat(64) + '\\n',
  '<a>',
  '<password>',
  '<password>a',
  '<a ',
  'name:a ',
  'name="password" value',
  'key="a"',
  'machine a ',
  'login a login a password ',
  'password ',
  '"kty":"EC","d":"',
  'H4sI',
  '-----BEGIN PRIVATE KEY-----',
  '-----BEGIN PRIVATE KEY----------END ',
])('%j, two hundred thousand characters of it', (unit) => {
  for (const text of [
    unit.repeat(Math.ceil(200_000 / unit.length)),
    `eyJ${unit.repeat(Math.ceil(100_000 / unit.length))}!`,
  ]) {
    expect(typeof looksSecret(text)).toBe('boolean');
    expect(typeof redactText(text)).toBe('string');
  }
});
