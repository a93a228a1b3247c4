import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { parseJob } from '../../../src/operations/parse-job.js';
import { poisonEnvelope } from '../../../src/messages/poison.js';
import { looksSecret, redactText } from '../../../src/messages/secrets.js';
import { codeOf, errorOf } from '../../support/codes.js';
import { propertyRuns } from '../../support/property-runs.js';

const from = { messageId: 'message-1' };
const gzipped = (text: string): string => gzipSync(text).toString('base64');
const inLines = (text: string): string => text.replaceAll(/.{76}/g, (line) => `${line}\n`);
const base64 = (text: string): string => Buffer.from(text).toString('base64');
const base64url = (text: string): string => Buffer.from(text).toString('base64url');

/** Made up and put together here, so that no scanner takes this file for a leak. */
const LETTERS = 'hUnter2AbCdEfGhIjKlMnOpQrStUvWxYz0123456789AbCdEfGhIjKlMnOpQrStUvWxYz0123456789';
const JWT = [base64url('{"alg":"RS256"}'), base64url('{"sub":"me","aud":"x"}'), LETTERS.slice(0, 43)].join('.');
const MIDDLE = LETTERS.slice(0, 43);

/** A text that a sender may put anywhere in a job, and the part of it that may not be kept. */
const SECRETS: [string, string, string][] = [
  ['a bare JWT', JWT, JWT],
  ['a JWT in a sentence', `my token is ${JWT}.`, JWT],
  ['a URL with user and password', 'https://me:hunter2@r.io/a', 'hunter2'],
  ['a storage account key', `AccountName=a;AccountKey=${MIDDLE}==;EndpointSuffix=x`, MIDDLE],
  ['a shared access signature', `https://a.blob.core.windows.net/b?sv=1&sig=${MIDDLE}`, MIDDLE],
  ['a Basic header', `Authorization: Basic ${base64('me:hunter2')}`, base64('me:hunter2')],
  ['a header in JSON', `{"Authorization":"Bearer ${MIDDLE}"}`, MIDDLE],
  ['a PEM key', `-----BEGIN EC PRIVATE KEY-----\n${MIDDLE}\n-----END EC PRIVATE KEY-----`, MIDDLE],
  [
    'a PGP key',
    `-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n${MIDDLE}\n=abcd\n-----END PGP PRIVATE KEY BLOCK-----`,
    MIDDLE,
  ],
];

describe('a secret', () => {
  const push = { operation: 'push', reference: 'a.io/b:v1' };

  test.each(SECRETS)('%s is refused anywhere in a job, and stored nowhere', (_what, text, secret) => {
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

  test.each(SECRETS)('%s is removed from a message that cannot be read', (_what, text, secret) => {
    const broken = [text, `{"operation":"push","note":${JSON.stringify(text)}`, `x ${text}`, `${text} x`];
    for (const original of broken) {
      expect(poisonEnvelope({ code: 'X', reason: 'x', original }).text).not.toContain(secret);
    }
  });

  test('that is the name of a field is refused and removed', () => {
    const job = { ...push, annotations: { [JWT]: '1' } };
    const error = errorOf(() => parseJob(job, from));
    expect(error?.code).toBe('JOB_HOLDS_SECRET');
    const { text } = poisonEnvelope({ code: 'X', reason: 'x', original: job });
    expect(text + JSON.stringify([error?.message, error?.details])).not.toContain(JWT);
  });

  test('is removed from more texts than are refused', () => {
    for (const text of ['secret: word', 'password=hunter2', 'me:there@a.io']) {
      expect(looksSecret(text)).toBe(false);
      expect(redactText(text)).toContain('left out');
    }
  });
});

describe('an ordinary text is not a secret', () => {
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
  ])('%s is not', (path) => {
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

  test('an ordinary job contains no secret', () => {
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
