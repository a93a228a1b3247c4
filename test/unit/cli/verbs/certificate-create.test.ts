import { generateKeyPairSync, X509Certificate, type KeyObject } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { run } from '../../../../src/cli/run.js';
import { loadPemSigner } from '../../../../src/signing/index.js';
import { issue } from '../../../support/certificates.js';
import { createMemoryIo } from '../../../support/memory-io.js';
import { rsaKey } from '../../../support/rsa-key.js';

const SUBJECT = 'C=US, ST=WA, O=Example, CN=release';
const DAY_MS = 86_400_000;
let folder = '';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'certificate-create-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function cli(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  const { io, out, err } = createMemoryIo();
  const code = await run(['certificate', 'create', ...argv], io);
  return { code, out: out().toString(), err: err() };
}

let count = 0;
function keyFile(key: KeyObject = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey): string {
  count += 1;
  const path = join(folder, `key-${count}.pem`);
  writeFileSync(path, key.export({ type: 'pkcs8', format: 'pem' }));
  return path;
}

describe('a self-signed certificate', () => {
  test.each<[string, () => KeyObject]>([
    ['EC P-256', () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey],
    ['RSA 2048', () => rsaKey(2048)],
    ['RSA 3072', () => rsaKey(3072)],
  ])('around an %s key signs, by Notary’s rules', async (_what, make) => {
    const key = keyFile(make());
    const { code, out, err } = await cli(key, '--subject', SUBJECT, '--days', '10');
    expect({ code, err }).toEqual({ code: 0, err: '' });
    const signer = loadPemSigner({ keyPem: readFileSync(key, 'utf8'), certificateChainPem: out });
    expect(signer.certificates).toHaveLength(1);
    const x509 = new X509Certificate(out);
    expect(x509.subject).toBe('C=US\nST=WA\nO=Example\nCN=release');
    expect(Math.round((x509.validToDate.getTime() - Date.now()) / DAY_MS)).toBe(10);
    expect(x509.ca).toBe(false);
  });

  test('goes to a file, and its summary to standard output', async () => {
    const file = join(folder, 'signing.pem');
    const key = keyFile();
    const { code, out } = await cli(key, '--subject', SUBJECT, '-o', file);
    expect(code).toBe(0);
    expect(out).toMatch(
      new RegExp(`^Created certificate ${file}\nKey: ${key}\nSubject: CN=release,O=Example,ST=WA,C=US\nValid until: `),
    );
    expect(new X509Certificate(readFileSync(file)).subject).toContain('CN=release');
  });

  test('a subject that notation cannot name is a warning', async () => {
    const { code, out, err } = await cli(keyFile(), '--subject', 'CN=release');
    expect(code).toBe(0);
    expect(err).toContain('lacks C, ST, O');
    expect(new X509Certificate(out).subject).toBe('CN=release');
  });

  test('values of a subject may contain commas and any letters', async () => {
    const { out } = await cli(keyFile(), '--subject', String.raw`CN=Änne \"A\", O=Example\, Inc., C=DE`);
    expect(new X509Certificate(out).subject).toContain('O=Example\\, Inc.');
    expect(new X509Certificate(out).subject).toContain('Änne');
  });
});

test('a request is PEM, and its summary names its subject and key', async () => {
  const file = join(folder, 'signing.csr');
  const key = keyFile();
  const { code, out } = await cli(key, '--subject', SUBJECT, '--csr', '-o', file);
  expect(code).toBe(0);
  expect(out).toBe(`Created request ${file}\nKey: ${key}\nSubject: CN=release,O=Example,ST=WA,C=US\n`);
  expect(readFileSync(file, 'utf8')).toMatch(/^-----BEGIN CERTIFICATE REQUEST-----\n/);
});

describe('--renew-within', () => {
  const asked = (key: string, file: string, days: string): Promise<{ code: number; out: string; err: string }> =>
    cli(key, '--subject', SUBJECT, '-o', file, '--days', '100', '--renew-within', days, '--format', 'json');

  test('a second run changes nothing; a certificate that expires sooner, or of another key, is replaced', async () => {
    const file = join(folder, 'renewed.pem');
    const key = keyFile();
    expect(JSON.parse((await asked(key, file, '30')).out)).toMatchObject({
      kind: 'certificate',
      created: true,
      key,
      file,
    });
    const first = readFileSync(file, 'utf8');
    const { mtimeMs } = statSync(file);
    expect(JSON.parse((await asked(key, file, '30')).out)).toMatchObject({ created: false });
    expect(statSync(file).mtimeMs).toBe(mtimeMs);
    expect(JSON.parse((await asked(key, file, '101')).out)).toMatchObject({ created: true });
    const second = readFileSync(file, 'utf8');
    expect(second).not.toBe(first);
    const other = await asked(keyFile(), file, '30');
    expect(JSON.parse(other.out)).toMatchObject({ created: true });
    expect(other.err).toContain('there is no certificate for this key');
  });

  test('a certificate that Notary refuses is replaced', async () => {
    const file = join(folder, 'refused.pem');
    const made = issue({ ca: true });
    writeFileSync(file, made.pem);
    const { code, out, err } = await asked(keyFile(made.key), file, '30');
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ created: true });
    expect(err).toContain('must not be an authority');
  });
});

describe('is refused', () => {
  test.each<[string, string[], string]>([
    ['no subject', [], 'OPTION_MISSING'],
    ['no common name', ['--subject', 'O=Example'], 'SUBJECT_INVALID'],
    ['an attribute twice', ['--subject', 'CN=a, CN=b'], 'SUBJECT_INVALID'],
    ['an unknown attribute', ['--subject', 'CN=a, X=b'], 'SUBJECT_INVALID'],
    ['a country in words', ['--subject', 'CN=a, C=USA'], 'SUBJECT_INVALID'],
    ['a name that is too long', ['--subject', `CN=${'a'.repeat(65)}`], 'SUBJECT_INVALID'],
    ['no days', ['--subject', 'CN=a', '--days', '0'], 'OPTION_INVALID'],
    ['too many days', ['--subject', 'CN=a', '--days', '36501'], 'OPTION_INVALID'],
    ['half a day', ['--subject', 'CN=a', '--days', '1.5'], 'OPTION_INVALID'],
    ['renewing nothing', ['--subject', 'CN=a', '--renew-within', '30'], 'OPTIONS_EXCLUSIVE'],
    ['renewing a request', ['--subject', 'CN=a', '--csr', '-o', 'x', '--renew-within', '3'], 'OPTIONS_EXCLUSIVE'],
  ])('%s', async (_what, argv, code) => {
    const seen = await cli(keyFile(), ...argv);
    expect(seen.code).toBe(1);
    expect(seen.out).toBe('');
    expect(seen.err).toContain(`(${code})`);
  });

  test.each<[string, () => KeyObject]>([
    ['P-384', () => generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey],
    ['RSA 1024', () => rsaKey(1024)],
    ['Ed25519', () => generateKeyPairSync('ed25519').privateKey],
  ])('a key of %s', async (_what, make) => {
    const { code, err } = await cli(keyFile(make()), '--subject', SUBJECT);
    expect(code).toBe(1);
    expect(err).toContain('(SIGNING_KEY_INVALID)');
  });

  test('for a vault with the name of another cloud', async () => {
    const { code, err } = await cli('https://myvault.vault.example/keys/signing', '--subject', SUBJECT);
    expect(code).toBe(1);
    expect(err).toContain('(SIGNING_KEY_INVALID)');
  });

  test('if it would overwrite a private key', async () => {
    const key = keyFile();
    const before = readFileSync(key, 'utf8');
    const { code, err } = await cli(key, '--subject', SUBJECT, '-o', key);
    expect(code).toBe(1);
    expect(err).toContain('(FILE_EXISTS)');
    expect(readFileSync(key, 'utf8')).toBe(before);
  });
});
