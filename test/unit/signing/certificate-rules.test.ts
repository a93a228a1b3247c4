import { describe, expect, test } from '@jest/globals';
import { CERT_SIGN, issue, issueAuthority, SIGN, type Issued, type IssueOptions } from './certificates.js';
import { codeOf, verifyWritten, writeJws } from './envelopes.js';

const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';
const CODE_SIGNING = '1.3.6.1.5.5.7.3.3';
const root = issueAuthority();

async function codeOfChain(chain: Issued[], algorithm = 'ES256'): Promise<string | undefined> {
  return codeOf(verifyWritten(writeJws({ chain, algorithm }).bytes, chain));
}

/** The specification's certificate requirements, one by one: all else about the chain is good. */
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
  ])('%s', async (_what, options, allowed) => {
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

  test('the chain is whole, in order, and ends at its root', async () => {
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

  test('authorities may have keys of any kind', async () => {
    for (const key of ['Ed25519', 'RSA-2048', 'P-521'] as const) {
      const authority = issueAuthority({ key });
      expect(await codeOfChain([issue({ issuer: authority }), authority])).toBeUndefined();
    }
  });
});
