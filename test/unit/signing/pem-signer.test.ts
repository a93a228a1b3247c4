import { createPrivateKey } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { PromoterError } from '../../../src/oci/index.js';
import { loadPemSigner } from '../../../src/signing/index.js';
import { issue, issueAuthority, issueChain, type Issued } from '../../support/certificates.js';

const chain = issueChain();
const [leaf, intermediate, root] = chain;
const self = issue();

function load(keyPem: string, certificates: readonly (Issued | string)[]): string | undefined {
  try {
    const certificateChainPem = certificates.map((one) => (typeof one === 'string' ? one : one.pem)).join('');
    loadPemSigner({ keyPem, certificateChainPem });
    return undefined;
  } catch (error) {
    if (!(error instanceof PromoterError)) throw error;
    expect(error.remedy).toBeDefined();
    return error.code;
  }
}

describe('loadPemSigner', () => {
  test('accepts a whole chain, or a single self-signed certificate', () => {
    expect(load(leaf.keyPem, chain)).toBeUndefined();
    expect(load(self.keyPem, [self])).toBeUndefined();
    const sec1 = createPrivateKey(self.keyPem).export({ type: 'sec1', format: 'pem' }).toString();
    expect(load(sec1, [self])).toBeUndefined();
  });

  test.each(['RSA-2048', 'RSA-3072', 'RSA-4096'] as const)('accepts a key of %s and uses its algorithm', (key) => {
    const { keyPem, pem } = issue({ key });
    expect(loadPemSigner({ keyPem, certificateChainPem: pem }).algorithm).toBe(
      { 'RSA-2048': 'PS256', 'RSA-3072': 'PS384', 'RSA-4096': 'PS512' }[key],
    );
  });

  test('returns the chain from leaf to root', () => {
    const signer = loadPemSigner({ keyPem: leaf.keyPem, certificateChainPem: chain.map(({ pem }) => pem).join('\n') });
    expect(signer.certificates).toEqual(chain.map(({ der }) => Buffer.from(der)));
  });

  test.each<[string, string]>([
    ['no PEM', 'key'],
    ['a certificate', self.pem],
    ['a public key', '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n'],
    [
      'an encrypted key',
      self.key.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-128-cbc', passphrase: 'x' }).toString(),
    ],
    ['another curve', issue({ key: 'P-384' }).keyPem],
    ['a small RSA key', issue({ key: 'RSA-1024' }).keyPem],
    ['an Ed25519 key', issue({ key: 'Ed25519' }).keyPem],
  ])('refuses a key: %s', (_what, keyPem) => {
    expect(load(keyPem, [self])).toBe('SIGNING_KEY_INVALID');
  });

  test('refuses a key that does not belong to the first certificate', () => {
    expect(load(self.keyPem, chain)).toBe('SIGNING_KEY_MISMATCH');
    expect(load(intermediate.keyPem, chain)).toBe('SIGNING_KEY_MISMATCH');
    expect(load(self.keyPem, [issue({ key: 'P-384' })])).toBe('SIGNING_KEY_MISMATCH');
  });

  test.each<[string, readonly (Issued | string)[]]>([
    ['no certificate', ['nothing']],
    ['one that is cut off', [self.pem.slice(0, 200)]],
    ['a chain without its root', [leaf, intermediate]],
    ['a leaf that is not self-signed, alone', [leaf]],
    ['root first', [root, intermediate, leaf]],
    ['a link left out', [leaf, root]],
    ['a stranger at the end', [leaf, intermediate, root, issueAuthority()]],
    ['an authority that signs', [issueAuthority()]],
  ])('refuses a chain: %s', (_what, certificates) => {
    expect(load(leaf.keyPem, certificates)).toBe('SIGNING_CERTIFICATE_INVALID');
  });

  test('never shows the key in an error', () => {
    const secret = self.keyPem.split('\n')[1] ?? '';
    try {
      loadPemSigner({ keyPem: self.keyPem.replace('END', 'BEGIN'), certificateChainPem: self.pem });
      throw new Error('was loaded');
    } catch (error) {
      expect(JSON.stringify(error) + String(error)).not.toContain(secret);
      expect(error).toMatchObject({ code: 'SIGNING_KEY_INVALID' });
    }
  });
});
