import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import type { Tagged } from 'cborg';
import * as fc from 'fast-check';
import { VerificationError } from '../../../src/oci/index.js';
import { issue, issueAuthority, issueChain, NOW, CN, O, OU, type IssueOptions } from '../../support/certificates.js';
import {
  AUTHENTIC,
  codeOf,
  COSE,
  epoch,
  errorOf,
  EXPIRY,
  JWS,
  SCHEME,
  SUBJECT,
  TIME,
  verifyWritten,
  writeCose,
  writeJws,
  type Written,
} from '../../support/envelopes.js';
import { propertyRuns } from '../../support/property-runs.js';

const chain = issueChain();
const [leaf, intermediate, root] = chain;
const good = writeJws({ chain });

/** A time in the format of each envelope. */
const at = (time: string) => ({ jws: time, cose: epoch(new Date(time)) });
const DAY_MS = 86_400_000;

/** The error codes for both envelopes, which must be the same. */
async function codeOfBoth(
  written: Partial<Written>,
  times: Record<string, { jws: string; cose: Tagged }> = {},
  options: Parameters<typeof verifyWritten>[2] = {},
): Promise<string | undefined> {
  const all = { chain, ...written };
  const pick = (kind: 'jws' | 'cose') =>
    Object.fromEntries(Object.entries(times).map(([name, time]) => [name, time[kind]]));
  const jws = writeJws({ ...all, attributes: { ...pick('jws'), ...written.attributes } }).bytes;
  const cose = writeCose({ ...all, attributes: { ...pick('cose'), ...written.attributes } });
  const codes = [
    await codeOf(verifyWritten(jws, all.chain, options)),
    await codeOf(verifyWritten(cose, all.chain, { ...options, mediaType: COSE })),
  ];
  expect(new Set(codes).size).toBe(1);
  return codes[0];
}

describe('user metadata', () => {
  const withMetadata = (annotations: unknown) => ({ payload: { targetArtifact: { ...SUBJECT, annotations } } });

  test('that is not a map of strings is refused', async () => {
    for (const annotations of [['a'], 'a', { a: 1 }, { a: null }, 7]) {
      expect(await codeOfBoth(withMetadata(annotations))).toBe('SIGNATURE_INVALID');
    }
    expect(await codeOfBoth(withMetadata({ a: 'b' }))).toBeUndefined();
    expect(await codeOfBoth(withMetadata(null))).toBeUndefined();
  });
});

describe('a valid signature', () => {
  test.each<[NonNullable<IssueOptions['key']> & string, string]>([
    ['P-256', 'ES256'],
    ['P-384', 'ES384'],
    ['P-521', 'ES512'],
    ['RSA-2048', 'PS256'],
    ['RSA-3072', 'PS384'],
  ])('by a key %s, in either envelope', async (key, algorithm) => {
    expect(await codeOfBoth({ chain: issueChain({ key }), algorithm })).toBeUndefined();
  });

  test('returns the signer, the time of the signature and its expiry', async () => {
    const attributes = { [EXPIRY]: '2026-07-01T00:00:00Z' };
    const { bytes } = writeJws({ chain, attributes, critical: [SCHEME, EXPIRY] });
    await expect(verifyWritten(bytes, chain)).resolves.toMatchObject({
      signedBy: 'CN=leaf,O=Example',
      signingTime: NOW,
      expiry: new Date('2026-07-01T00:00:00Z'),
      scheme: 'notary.x509',
    });
  });

  test('may contain metadata and attributes that are not critical', async () => {
    const payload = { targetArtifact: { ...SUBJECT, annotations: { build: '1' } } };
    expect(await codeOfBoth({ payload, attributes: { 'org.example': 'x' } })).toBeUndefined();
  });
});

describe('a signature of other content', () => {
  test('over another subject is refused', async () => {
    for (const change of [{ digest: `sha256:${'0'.repeat(64)}` as const }, { size: 1 }, { mediaType: 'a/b' }]) {
      const subject = { ...SUBJECT, ...change };
      expect(await codeOfBoth({}, {}, { subject })).toBe('SIGNATURE_WRONG_SUBJECT');
    }
  });

  test('without an artifact is refused', async () => {
    for (const payload of ['x', [], {}, { targetArtifact: null }]) {
      expect(await codeOfBoth({ payload })).toBe('SIGNATURE_INVALID');
    }
  });

  test("by another key than the certificate's is refused", async () => {
    const { privateKey: key } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
    expect(await codeOfBoth({ key })).toBe('SIGNATURE_INVALID');
  });

  test("with another algorithm than the key's is refused", async () => {
    const strong = issueChain({ key: 'P-384' });
    expect(await codeOfBoth({ chain: strong, algorithm: 'ES256' })).toBe('SIGNATURE_INVALID');
    const mislabelled = writeCose({ chain: strong, algorithm: 'ES384', attributes: { 1: -7 } });
    expect(await codeOf(verifyWritten(mislabelled, strong, { mediaType: COSE }))).toBe('SIGNATURE_INVALID');
    for (const alg of ['none', 'HS256', 'RS256', 'EdDSA']) {
      const { bytes } = writeJws({ chain, attributes: { alg } });
      expect(await codeOf(verifyWritten(bytes, chain))).toBe('SIGNATURE_INVALID');
    }
  });

  test('with an unencoded payload is refused', async () => {
    const { bytes } = writeJws({ chain, attributes: { b64: false }, critical: [SCHEME, 'b64'] });
    expect(await codeOf(verifyWritten(bytes, chain))).toBe('SIGNATURE_INVALID');
  });

  test('with any bit of a signed part changed is refused', async () => {
    const parts = fc.constantFrom('payload', 'protected', 'signature');
    await fc.assert(
      fc.asyncProperty(parts, fc.nat(), fc.integer({ min: 0, max: 7 }), async (part, position, bit) => {
        const bytes = Buffer.from(String(good.fields[part]), 'base64url');
        const index = position % bytes.length;
        bytes[index] = (bytes[index] ?? 0) ^ (1 << bit);
        const fields = { ...good.fields, [part]: bytes.toString('base64url') };
        const error = await errorOf(verifyWritten(Buffer.from(JSON.stringify(fields)), chain));
        expect(error).toBeInstanceOf(VerificationError);
      }),
      { numRuns: propertyRuns(100) },
    );
  });

  test.each([
    [JWS, good.bytes],
    [COSE, writeCose({ chain })],
  ])('an envelope with one byte changed has the same meaning or is refused (%s)', async (mediaType, original) => {
    const verified = await verifyWritten(original, chain, { mediaType });
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.integer({ min: 1, max: 255 }), async (position, change) => {
        const bytes = Buffer.from(original);
        const index = position % bytes.length;
        bytes[index] = (bytes[index] ?? 0) ^ change;
        try {
          expect(await verifyWritten(bytes, chain, { mediaType })).toEqual(verified);
        } catch (error) {
          if (!(error instanceof VerificationError)) throw error;
        }
      }),
      { numRuns: propertyRuns(100) },
    );
  });

  test('made of parts of two signatures by one signer is refused', async () => {
    const other = writeJws({ chain, payload: { targetArtifact: { ...SUBJECT, size: 1 } } });
    for (const part of ['payload', 'protected', 'signature']) {
      const fields = { ...good.fields, [part]: other.fields[part] };
      const code = await codeOf(verifyWritten(Buffer.from(JSON.stringify(fields)), chain));
      // Both protected headers are equal.
      expect(code).toBe(part === 'protected' ? undefined : 'SIGNATURE_INVALID');
    }
  });
});

describe('trust', () => {
  test('any certificate of the chain may be trusted, except one that issues none', async () => {
    const { bytes } = good;
    const code = (...trusted: Uint8Array[]) => codeOf(verifyWritten(bytes, chain, { trusted }));
    expect(await code(root.der)).toBeUndefined();
    expect(await code(intermediate.der)).toBeUndefined();
    expect(await code(issueAuthority().der, root.der)).toBeUndefined();
    expect(await code(leaf.der)).toBe('TRUST_STORE_INVALID');
    expect(await code()).toBe('TRUST_STORE_INVALID');
    expect(await code(Buffer.from('junk'))).toBe('TRUST_STORE_INVALID');
  });

  test('a self-signed certificate may be trusted itself', async () => {
    const self = issue();
    expect(await codeOfBoth({ chain: [self] })).toBeUndefined();
  });

  test('a chain with the same names but other keys is not trusted', async () => {
    const impostors = issueChain();
    const { bytes } = writeJws({ chain: impostors });
    expect(await codeOf(verifyWritten(bytes, chain))).toBe('SIGNATURE_UNTRUSTED');
    const pasted = writeJws({ chain: [impostors[0], intermediate, root] });
    expect(await codeOf(verifyWritten(pasted.bytes, chain))).toBe('SIGNATURE_CERTIFICATE_INVALID');
  });

  test.each<[string[], string | undefined]>([
    [['*'], undefined],
    [['x509.subject: O=Example'], undefined],
    [['x509.subject:CN=leaf,O=Example'], undefined],
    [['x509.subject: O=Other', 'x509.subject: CN=leaf'], undefined],
    [['x509.subject: O=example'], 'SIGNATURE_IDENTITY'],
    [['x509.subject: O=Example, OU=x'], 'SIGNATURE_IDENTITY'],
    [['x509.subject: CN=root'], 'SIGNATURE_IDENTITY'],
    [['CN=leaf'], 'TRUST_IDENTITY_INVALID'],
    [[], 'TRUST_STORE_INVALID'],
  ])('identities %j', async (identities, code) => {
    expect(await codeOfBoth({}, {}, { identities })).toBe(code);
  });

  test('a subject with a repeated attribute matches no identity', async () => {
    const twice = issueChain({
      subject: [
        [O, 'Example'],
        [OU, 'a'],
        [OU, 'b'],
        [CN, 'x'],
      ],
    });
    expect(await codeOfBoth({ chain: twice }, {}, { identities: ['x509.subject: OU=a'] })).toBe('SIGNATURE_IDENTITY');
    expect(await codeOfBoth({ chain: twice }, {}, { identities: ['x509.subject: O=Example'] })).toBeUndefined();
  });
});

describe('attributes', () => {
  const authentic = { [TIME]: undefined, [SCHEME]: 'notary.x509.signingAuthority' };

  test.each<[string, Partial<Written>, Record<string, ReturnType<typeof at>>, string]>([
    ['another content type', { attributes: { cty: 'a/b', 3: 'a/b' } }, {}, 'SIGNATURE_INVALID'],
    ['no scheme', { attributes: { [SCHEME]: undefined } }, {}, 'SIGNATURE_INVALID'],
    ['no signing time', { attributes: { [TIME]: undefined } }, {}, 'SIGNATURE_INVALID'],
    [
      'an authentic time besides',
      { critical: [SCHEME] },
      { [AUTHENTIC]: at('2026-06-01T00:00:00Z') },
      'SIGNATURE_INVALID',
    ],
    ['a time that is none', { attributes: { [TIME]: 'noon' } }, {}, 'SIGNATURE_INVALID'],
    ['scheme not critical', { critical: [] }, {}, 'SIGNATURE_INVALID'],
    ['critical is no list', { critical: 'x' }, {}, 'SIGNATURE_INVALID'],
    ['scheme critical twice', { critical: [SCHEME, SCHEME] }, {}, 'SIGNATURE_INVALID'],
    ['a standard attribute critical', { critical: [SCHEME, TIME] }, {}, 'SIGNATURE_INVALID'],
    ['critical and not there', { critical: [SCHEME, 'org.example'] }, {}, 'SIGNATURE_INVALID'],
    ['too many critical', { critical: Array.from({ length: 101 }, () => SCHEME) }, {}, 'SIGNATURE_INVALID'],
    ['expiry not critical', {}, { [EXPIRY]: at('2027-01-01T00:00:00Z') }, 'SIGNATURE_INVALID'],
    [
      'expiry before signing',
      { critical: [SCHEME, EXPIRY] },
      { [EXPIRY]: at('2026-01-01T00:00:00Z') },
      'SIGNATURE_INVALID',
    ],
    [
      'critical and unknown',
      { critical: [SCHEME, 'org.example'], attributes: { 'org.example': 1 } },
      {},
      'SIGNATURE_CRITICAL_UNKNOWN',
    ],
    [
      'a plugin that must verify',
      {
        critical: [SCHEME, 'io.cncf.notary.verificationPlugin'],
        attributes: { 'io.cncf.notary.verificationPlugin': 'x' },
      },
      {},
      'SIGNATURE_CRITICAL_UNKNOWN',
    ],
    ['another scheme', { attributes: { [SCHEME]: 'notary.x510' } }, {}, 'SIGNATURE_SCHEME_UNSUPPORTED'],
    [
      'a signing authority',
      { critical: [SCHEME, AUTHENTIC], attributes: authentic },
      { [AUTHENTIC]: at('2026-06-01T00:00:00Z') },
      'SIGNATURE_SCHEME_UNSUPPORTED',
    ],
    ['a signing authority without its time', { attributes: authentic, critical: [SCHEME] }, {}, 'SIGNATURE_INVALID'],
  ])('with %s are refused', async (_what, written, times, code) => {
    expect(await codeOfBoth(written, times)).toBe(code);
  });

  test('an untrusted signature is refused even if it has unsupported attributes', async () => {
    const written = { critical: [SCHEME, 'org.example'], attributes: { 'org.example': 1 } };
    expect(await codeOfBoth(written, {}, { trusted: [issueAuthority().der] })).toBe('SIGNATURE_UNTRUSTED');
  });
});

describe('time', () => {
  const expiring = { [EXPIRY]: at('2026-06-02T00:00:00Z') };
  const expiringAt = (time: string) => codeOfBoth({ critical: [SCHEME, EXPIRY] }, expiring, { now: new Date(time) });

  test('a signature is refused from its expiry on', async () => {
    expect(await expiringAt('2026-06-01T23:59:59.999Z')).toBeUndefined();
    expect(await expiringAt('2026-06-02T00:00:00.000Z')).toBe('SIGNATURE_EXPIRED');
  });

  test('every certificate must be valid now', async () => {
    const notAfter = new Date(NOW.getTime() + DAY_MS);
    const authority = issueAuthority({ notAfter });
    const chains = [issueChain({ notAfter }), [issue({ issuer: authority }), authority]];
    for (const short of chains) {
      expect(await codeOfBoth({ chain: short }, {}, { now: notAfter })).toBeUndefined();
      const later = new Date(notAfter.getTime() + 1000);
      expect(await codeOfBoth({ chain: short }, {}, { now: later })).toBe('SIGNATURE_CERTIFICATE_EXPIRED');
    }
    const before = new Date(NOW.getTime() - 400 * DAY_MS);
    expect(await codeOfBoth({}, {}, { now: before })).toBe('SIGNATURE_CERTIFICATE_EXPIRED');
  });

  test('every certificate must be valid at the time of signing', async () => {
    expect(await codeOfBoth({}, { [TIME]: at('2020-01-01T00:00:00Z') })).toBe('SIGNATURE_CERTIFICATE_EXPIRED');
  });

  test('an expired certificate with a timestamp is inconclusive, because timestamps are not checked', async () => {
    const header = { 'io.cncf.notary.timestampSignature': new Uint8Array([1]) };
    const now = new Date(NOW.getTime() + 100 * 365 * DAY_MS);
    expect(await codeOfBoth({ header }, {}, { now })).toBe('SIGNATURE_TIMESTAMP_UNSUPPORTED');
  });
});
