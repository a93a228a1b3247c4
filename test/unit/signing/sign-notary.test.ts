import { createHash, createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import {
  isNotarySignature,
  keyHash,
  loadPemSigner,
  readCertificates,
  signNotary,
  thumbprint,
} from '../../../src/signing/index.js';
import { createSelfSignedCertificate } from '../../support/self-signed.js';
import { issue, issueChain, NOW } from '../../support/certificates.js';
import { codeOf, SUBJECT, verifyWritten } from '../../support/envelopes.js';

const chain = issueChain();
const [leaf] = chain;
const signer = loadPemSigner({ keyPem: leaf.keyPem, certificateChainPem: chain.map(({ pem }) => pem).join('') });
const decode = (text: string): unknown => JSON.parse(Buffer.from(text, 'base64url').toString());

describe('signNotary', () => {
  test('writes exactly what the specification requires', async () => {
    const subject = { ...SUBJECT, annotations: { a: 'b' }, platform: { os: 'linux', architecture: 'amd64' } };
    const signingTime = new Date('2026-06-01T12:00:00.789Z');
    const made = await signNotary(subject, signer, { signingTime, signingAgent: 'acr-promoter/0.1.0' });
    expect(made.artifactType).toBe('application/vnd.cncf.notary.signature');
    expect(made.layer.mediaType).toBe('application/jose+json');
    const envelope = JSON.parse(Buffer.from(made.layer.bytes).toString()) as Record<string, string>;
    expect(Object.keys(envelope).sort()).toEqual(['header', 'payload', 'protected', 'signature']);
    expect(decode(envelope['payload'] ?? '')).toEqual({ targetArtifact: SUBJECT });
    expect(decode(envelope['protected'] ?? '')).toEqual({
      alg: 'ES256',
      cty: 'application/vnd.cncf.notary.payload.v1+json',
      crit: ['io.cncf.notary.signingScheme'],
      'io.cncf.notary.signingScheme': 'notary.x509',
      'io.cncf.notary.signingTime': '2026-06-01T12:00:00Z',
    });
    expect(envelope['header']).toEqual({
      x5c: chain.map(({ der }) => Buffer.from(der).toString('base64')),
      'io.cncf.notary.signingAgent': 'acr-promoter/0.1.0',
    });
    expect(Buffer.from(envelope['signature'] ?? '', 'base64url')).toHaveLength(64);
    const thumbprints = chain.map(({ der }) => createHash('sha256').update(der).digest('hex'));
    expect(made.annotations).toEqual({ 'io.cncf.notary.x509chain.thumbprint#S256': JSON.stringify(thumbprints) });
  });

  test('creates signatures that verify', async () => {
    const made = await signNotary(SUBJECT, signer, { signingTime: NOW });
    await expect(verifyWritten(made.layer.bytes, chain)).resolves.toEqual({
      signedBy: 'CN=leaf,O=Example',
      signingTime: NOW,
      certificateThumbprint: thumbprint(leaf.der),
      keyHash: keyHash(leaf.der),
      metadata: {},
      scheme: 'notary.x509',
    });
  });

  test('signs metadata, which verification returns', async () => {
    const metadata = { 'io.acr-promoter.role': 'sbom', 'io.acr-promoter.image': SUBJECT.digest };
    const made = await signNotary(SUBJECT, signer, { signingTime: NOW, metadata });
    const { payload = '' } = JSON.parse(Buffer.from(made.layer.bytes).toString()) as Record<string, string>;
    expect(decode(payload)).toEqual({ targetArtifact: { ...SUBJECT, annotations: metadata } });
    await expect(verifyWritten(made.layer.bytes, chain)).resolves.toMatchObject({ metadata });
  });

  test('refuses metadata with a reserved key', async () => {
    const metadata = { 'io.cncf.notary.x': 'y' };
    expect(await codeOf(signNotary(SUBJECT, signer, { signingTime: NOW, metadata }))).toBe('SIGNING_METADATA_INVALID');
  });

  test('a renewed certificate around the same key has the same key hash', () => {
    const renewed = issue({ key: leaf.key });
    expect(keyHash(renewed.der)).toBe(keyHash(leaf.der));
    expect(keyHash(issue().der)).not.toBe(keyHash(leaf.der));
    const spki = createPublicKey(leaf.key).export({ type: 'spki', format: 'der' });
    expect(keyHash(leaf.der)).toBe(createHash('sha256').update(spki).digest('hex'));
  });

  test('refuses to sign with a certificate that is not valid at the time', async () => {
    for (const year of [2024, 2128]) {
      const signingTime = new Date(Date.UTC(year, 0));
      expect(await codeOf(signNotary(SUBJECT, signer, { signingTime }))).toBe('SIGNING_CERTIFICATE_EXPIRED');
    }
  });

  test('detects a key that does not belong to its certificate', async () => {
    const { privateKey: key } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
    const rotated = {
      ...signer,
      sign: async (message: Uint8Array) => sign('sha256', message, { key, dsaEncoding: 'ieee-p1363' }),
    };
    expect(await codeOf(signNotary(SUBJECT, rotated, { signingTime: NOW }))).toBe('SIGNING_KEY_MISMATCH');
  });

  test('does not sign if the signal is aborted', async () => {
    const signal = AbortSignal.abort(new Error('stopped'));
    await expect(signNotary(SUBJECT, signer, { signingTime: NOW, signal })).rejects.toThrow('stopped');
  });
});

describe('createSelfSignedCertificate', () => {
  test('creates a certificate whose signatures verify against itself', async () => {
    const options = { commonName: 'Jane, "Doe"', organization: 'Exämple', country: 'US', state: 'WA', days: 1 };
    const { keyPem, certificatePem } = createSelfSignedCertificate(options);
    const own = loadPemSigner({ keyPem, certificateChainPem: certificatePem });
    const now = new Date();
    const made = await signNotary(SUBJECT, own, { signingTime: now });
    const trusted = readCertificates(certificatePem);
    const identities = ['x509.subject: C=US, ST=WA, O=Exämple, CN=Jane\\, \\"Doe\\"'];
    await expect(verifyWritten(made.layer.bytes, [], { trusted, identities, now })).resolves.toMatchObject({
      signedBy: 'CN=Jane\\, \\"Doe\\",O=Exämple,ST=WA,C=US',
    });
  });

  test('is valid for the given days, also beyond 2050', async () => {
    const notBefore = new Date('2026-06-01T12:00:00.500Z');
    const { keyPem, certificatePem } = createSelfSignedCertificate({ commonName: 'a', notBefore, days: 36_500 });
    const own = loadPemSigner({ keyPem, certificateChainPem: certificatePem });
    const at = (time: string) => codeOf(signNotary(SUBJECT, own, { signingTime: new Date(time) }));
    expect(await at('2026-06-01T12:00:00Z')).toBeUndefined();
    expect(await at('2026-06-01T11:59:59Z')).toBe('SIGNING_CERTIFICATE_EXPIRED');
    expect(await at('2126-05-08T12:00:00Z')).toBeUndefined();
    expect(await at('2126-05-08T12:00:01Z')).toBe('SIGNING_CERTIFICATE_EXPIRED');
  });

  test.each([0, 1.5, 36_501, Number.NaN])('refuses %p days', (days) => {
    expect(() => createSelfSignedCertificate({ commonName: 'a', days })).toThrow(
      expect.objectContaining({ code: 'SIGNING_CERTIFICATE_INVALID' }),
    );
  });
});

describe('isNotarySignature', () => {
  test("recognizes a signature by its artifact type or its config's media type", () => {
    const mediaType = 'application/vnd.cncf.notary.signature';
    expect(isNotarySignature({ artifactType: mediaType })).toBe(true);
    expect(isNotarySignature({ config: { mediaType } })).toBe(true);
    expect(isNotarySignature({ artifactType: 'a/b', config: { mediaType } })).toBe(false);
    expect(isNotarySignature({})).toBe(false);
  });
});

describe('readCertificates', () => {
  test('reads all certificates and skips keys and other text', () => {
    const other = issue();
    const pem = `a bundle\n${leaf.pem}\nthen\n${other.keyPem}${other.pem.replaceAll('\n', '\r\n')}`;
    expect(readCertificates(pem)).toEqual([leaf.der, other.der].map((der) => Buffer.from(der)));
  });

  test.each(['', 'x', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----', leaf.keyPem])(
    'refuses a text without certificates (%#)',
    (pem) => {
      expect(() => readCertificates(pem)).toThrow(expect.objectContaining({ code: 'CERTIFICATE_UNREADABLE' }));
    },
  );
});
