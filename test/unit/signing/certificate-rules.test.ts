import { describe, expect, test } from '@jest/globals';
import { parseCertificate } from '../../../src/signing/certificate.js';
import {
  CERT_SIGN,
  CN,
  issue,
  issueAuthority,
  SIGN,
  type Issued,
  type IssueOptions,
} from '../../support/certificates.js';
import { codeOf, verifyWritten, writeJws } from '../../support/envelopes.js';

const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';
const CODE_SIGNING = '1.3.6.1.5.5.7.3.3';
const root = issueAuthority();

async function codeOfChain(chain: Issued[], algorithm = 'ES256'): Promise<string | undefined> {
  return codeOf(verifyWritten(writeJws({ chain, algorithm }).bytes, chain));
}

test('a certificate is parsed once while it is among the last hundred; one with another byte is parsed, and refused', () => {
  const [first, ...others] = Array.from({ length: 100 }, () => issue().der);
  if (first === undefined) throw new Error('no certificate');
  const parsed = parseCertificate(first);
  expect(parseCertificate(Uint8Array.from(first))).toBe(parsed);
  const other = Uint8Array.from(first);
  other[0] = 0;
  expect(() => parseCertificate(other)).toThrow(expect.objectContaining({ code: 'CERTIFICATE_INVALID' }));
  for (const each of others) parseCertificate(each);
  expect(parseCertificate(first)).toBe(parsed);
  for (const each of [...others, issue().der]) parseCertificate(each);
  expect(parseCertificate(first)).not.toBe(parsed);
  expect(parseCertificate(first)).toEqual(parsed);
});

/** The specification's certificate requirements, one by one. Everything else in the chain is valid. */
describe('the signing certificate', () => {
  test.each<[string, IssueOptions, boolean]>([
    ['digitalSignature alone', {}, true],
    ['with nonRepudiation', { keyUsage: SIGN | 2 }, true],
    ['no key usage', { keyUsage: 0 }, false],
    ['key usage not critical', { keyUsageCritical: false }, false],
    ['without digitalSignature', { keyUsage: 2 }, false],
    ['keyEncipherment', { keyUsage: SIGN | 4 }, false],
    ['dataEncipherment', { keyUsage: SIGN | 8 }, false],
    ['keyAgreement', { keyUsage: SIGN | 16 }, false],
    ['keyCertSign', { keyUsage: SIGN | CERT_SIGN }, false],
    ['cRLSign', { keyUsage: SIGN | 64 }, false],
    ['encipherOnly', { keyUsage: SIGN | 128 }, false],
    ['decipherOnly', { keyUsage: SIGN | 256 }, false],
    ['code signing', { extendedKeyUsage: [CODE_SIGNING] }, true],
    ['a usage of somebody’s own', { extendedKeyUsage: ['1.2.3.4'] }, true],
    ['any usage', { extendedKeyUsage: ['2.5.29.37.0'] }, false],
    ['server', { extendedKeyUsage: [CODE_SIGNING, SERVER_AUTH] }, false],
    ['client', { extendedKeyUsage: ['1.3.6.1.5.5.7.3.2'] }, false],
    ['e-mail', { extendedKeyUsage: ['1.3.6.1.5.5.7.3.4'] }, false],
    ['time stamping', { extendedKeyUsage: ['1.3.6.1.5.5.7.3.8'] }, false],
    ['OCSP', { extendedKeyUsage: ['1.3.6.1.5.5.7.3.9'] }, false],
    ['no authority, said so', { ca: false }, true],
    ['an authority', { ca: true }, false],
    ['signed with SHA-1', { hash: 'sha1' }, false],
  ])('%s: %j', async (_what, options, allowed) => {
    const code = allowed ? undefined : 'SIGNATURE_CERTIFICATE_INVALID';
    expect(await codeOfChain([issue({ issuer: root, ...options }), root])).toBe(code);
    expect(await codeOfChain([issue(options)])).toBe(code);
  });

  test.each<[NonNullable<IssueOptions['key']> & string, string]>([
    ['RSA-1024', 'PS256'],
    ['secp256k1', 'ES256'],
  ])('a key %s is not known', async (key, algorithm) => {
    expect(await codeOfChain([issue({ key, issuer: root }), root], algorithm)).toBe('SIGNATURE_CERTIFICATE_INVALID');
  });
});

describe('the authorities', () => {
  test.each<[string, IssueOptions | 'none', boolean]>([
    ['key usage and more', { keyUsage: CERT_SIGN | 64 | SIGN }, true],
    ['room for none below', { pathLength: 0 }, true],
    ['no basic constraints', 'none', false],
    ['no authority', { ca: false }, false],
    ['no key usage', { keyUsage: 0 }, false],
    ['key usage not critical', { keyUsageCritical: false }, false],
    ['without keyCertSign', { keyUsage: 64 }, false],
    ['signed with SHA-1', { hash: 'sha1' }, false],
  ])('an authority with %s: is it allowed?', async (_what, options, allowed) => {
    const code = allowed ? undefined : 'SIGNATURE_CERTIFICATE_INVALID';
    const intermediate =
      options === 'none' ? issue({ issuer: root, keyUsage: CERT_SIGN }) : issueAuthority({ issuer: root, ...options });
    const leaf = issue({ issuer: intermediate });
    expect(await codeOfChain([leaf, intermediate, root])).toBe(code);
  });

  test('the path length counts the authorities below', async () => {
    const narrow = issueAuthority({ pathLength: 0 });
    const between = issueAuthority({ issuer: narrow });
    expect(await codeOfChain([issue({ issuer: between }), between, narrow])).toBe('SIGNATURE_CERTIFICATE_INVALID');
    const wide = issueAuthority({ pathLength: 1 });
    const lower = issueAuthority({ issuer: wide });
    expect(await codeOfChain([issue({ issuer: lower }), lower, wide])).toBeUndefined();
  });

  test('the chain must be complete, in order, and end at its root', async () => {
    const intermediate = issueAuthority({ issuer: root });
    const leaf = issue({ issuer: intermediate });
    const stranger = issueAuthority();
    const bad = [
      [leaf],
      [leaf, intermediate],
      [leaf, root],
      [leaf, root, intermediate],
      [leaf, intermediate, root, root],
      [leaf, intermediate, root, stranger],
      [leaf, leaf, intermediate, root],
      [root, intermediate, leaf],
    ];
    const codes = await Promise.all(bad.map((chain) => codeOfChain(chain)));
    expect(codes).toEqual(bad.map(() => 'SIGNATURE_CERTIFICATE_INVALID'));
  });

  test('authorities may have any kind of key', async () => {
    for (const key of ['Ed25519', 'RSA-2048', 'P-521'] as const) {
      const authority = issueAuthority({ key });
      expect(await codeOfChain([issue({ issuer: authority }), authority])).toBeUndefined();
    }
  });
});

/**
 * Extensions that Go's crypto/x509 reports as `UnhandledCriticalExtensions`, and those that RFC 5280 says are not
 * critical.
 */
describe('a critical extension', () => {
  const EMPTY = '3000';
  test.each<[string, [string, string], boolean]>([
    ['of somebody’s own', ['1.2.3.4', '0500'], false],
    ['that RFC 5280 defines and Go does not read (private key usage period)', ['2.5.29.16', EMPTY], false],
    ['subject key identifier', ['2.5.29.14', '04020102'], false],
    ['authority key identifier', ['2.5.29.35', EMPTY], false],
    ['authority access', ['1.3.6.1.5.5.7.1.1', EMPTY], false],
    ['alternative names of a kind that is not read', ['2.5.29.17', '3004a4023000'], false],
    ['policies', ['2.5.29.32', '3006300406022a03'], true],
    ['alternative names that are hosts', ['2.5.29.17', '3003820161'], true],
  ])('%s: %j', async (_what, [oid, der], allowed) => {
    const code = allowed ? undefined : 'SIGNATURE_CERTIFICATE_INVALID';
    const critical = issue({ issuer: root, extensions: [[oid, true, der]] });
    const error = await codeOfChain([critical, root]);
    // A malformed extension is refused, as by Go.
    expect(error === 'SIGNATURE_INVALID' ? 'SIGNATURE_CERTIFICATE_INVALID' : error).toBe(code);
    const authority = issueAuthority({ issuer: root, extensions: [[oid, true, der]] });
    const below = await codeOfChain([issue({ issuer: authority }), authority, root]);
    expect(below === 'SIGNATURE_INVALID' ? 'SIGNATURE_CERTIFICATE_INVALID' : below).toBe(code);
  });

  test('that is not critical is ignored', async () => {
    const own = issue({
      issuer: root,
      extensions: [
        ['1.2.3.4', false, '0500'],
        ['2.5.29.14', false, '04020102'],
      ],
    });
    expect(await codeOfChain([own, root])).toBeUndefined();
  });

  test('with name constraints is accepted unless the signing certificate has alternative names', async () => {
    const hosts = '300aa00830068204612e6262';
    const authority = (der: string) => issueAuthority({ issuer: root, extensions: [['2.5.29.30', true, der]] });
    const narrow = authority(hosts);
    expect(await codeOfChain([issue({ issuer: narrow }), narrow, root])).toBeUndefined();
    expect(await codeOfChain([issue({ issuer: narrow, dnsNames: ['a.bb'] }), narrow, root])).toBe(
      'SIGNATURE_CERTIFICATE_INVALID',
    );
    const unread = authority('3008a0063004a4023000');
    expect(await codeOfChain([issue({ issuer: unread }), unread, root])).toBe('SIGNATURE_CERTIFICATE_INVALID');
  });
});

test("as in Go, an issuer's name in another encoding is a different name", async () => {
  const printable = issueAuthority({ subject: [[CN, 'root']], encoding: 'printableString' });
  const utf8 = issueAuthority({ subject: [[CN, 'root']], key: printable.key });
  const leaf = issue({ issuer: utf8 });
  expect(await codeOfChain([leaf, utf8])).toBeUndefined();
  expect(await codeOfChain([leaf, printable])).toBe('SIGNATURE_CERTIFICATE_INVALID');
});
