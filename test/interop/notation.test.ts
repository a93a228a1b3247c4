import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startRegistry, type RunningRegistry } from '../../local/registry/server.js';
import { digestOf, PromoterError, type Descriptor } from '../../src/oci/index.js';
import {
  isNotarySignature,
  loadPemSigner,
  readCertificates,
  signNotary,
  verifyNotary,
} from '../../src/signing/index.js';
import { createSelfSignedCertificate } from '../support/self-signed.js';
import { CERT_SIGN, issue, issueAuthority, issueChain, SIGN, type Issued } from '../support/certificates.js';
import {
  AUTHENTIC,
  COSE,
  epoch,
  EXPIRY,
  JWS,
  SCHEME,
  TIME,
  writeCose,
  writeJws,
  type Written,
} from '../support/envelopes.js';
import { describeWithPeers } from '../support/peers.js';

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const EMPTY = Buffer.from('{}');
const REPOSITORY = 'samples/app';

let folder: string;
let registry: RunningRegistry;
let count = 0;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'notation-'));
  registry = await startRegistry({ dataDir: join(folder, 'registry'), anonymous: true });
});
afterAll(async () => {
  await registry.close();
  rmSync(folder, { recursive: true });
});

/** Straight over HTTP: these tests trust no client, ours included. */
async function call(method: string, path: string, body?: Uint8Array, type = 'application/octet-stream') {
  const url = path.startsWith('http') ? path : `${registry.url}${path}`;
  const response = await fetch(url, { method, ...(body && { body, headers: { 'content-type': type } }) });
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
  return response;
}

async function pushBlob(bytes: Uint8Array, mediaType: string): Promise<Descriptor> {
  const digest = digestOf(bytes);
  const { headers } = await call('POST', `/v2/${REPOSITORY}/blobs/uploads/`);
  const location = new URL(headers.get('location') ?? '', registry.url);
  location.searchParams.set('digest', digest);
  await call('PUT', location.href, bytes);
  return { mediaType, digest, size: bytes.byteLength };
}

async function pushManifest(manifest: Record<string, unknown>): Promise<Descriptor> {
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MANIFEST, ...manifest }));
  const digest = digestOf(bytes);
  await call('PUT', `/v2/${REPOSITORY}/manifests/${digest}`, bytes, MANIFEST);
  return { mediaType: MANIFEST, digest, size: bytes.byteLength };
}

/** An image that no other test has. */
async function pushImage(): Promise<Descriptor> {
  count += 1;
  const config = await pushBlob(EMPTY, 'application/vnd.oci.image.config.v1+json');
  return pushManifest({ config, layers: [], annotations: { 'org.example.count': String(count) } });
}

async function attach(subject: Descriptor, mediaType: string, envelope: Uint8Array, annotations = {}): Promise<void> {
  await pushManifest({
    artifactType: 'application/vnd.cncf.notary.signature',
    config: await pushBlob(EMPTY, 'application/vnd.oci.empty.v1+json'),
    layers: [await pushBlob(envelope, mediaType)],
    subject,
    annotations,
  });
}

interface Found {
  mediaType: string;
  envelope: Uint8Array;
}

/** The one signature of an image. */
async function findSignature({ digest }: Descriptor): Promise<Found> {
  const index = (await (await call('GET', `/v2/${REPOSITORY}/referrers/${digest}`)).json()) as {
    manifests: { digest: string; artifactType?: string }[];
  };
  const listed = index.manifests.filter((entry) => isNotarySignature(entry));
  expect(listed).toHaveLength(1);
  const answer = await fetch(`${registry.url}/v2/${REPOSITORY}/manifests/${listed[0]?.digest}`, {
    headers: { accept: MANIFEST },
  });
  const manifest = (await answer.json()) as { config: Descriptor; layers: Descriptor[]; artifactType?: string };
  expect(isNotarySignature(manifest)).toBe(true);
  const [layer] = manifest.layers;
  const blob = await call('GET', `/v2/${REPOSITORY}/blobs/${layer?.digest}`);
  return { mediaType: layer?.mediaType ?? '', envelope: new Uint8Array(await blob.arrayBuffer()) };
}

/** A configuration of notation's own, with whom it trusts and with which key it signs. */
class Notation {
  readonly #program: string;
  readonly #home: string;

  constructor(program: string, options: { trusted: string; identities?: string[]; signer?: Issued[] }) {
    this.#program = program;
    this.#home = mkdtempSync(join(folder, 'home-'));
    const config = join(this.#home, 'notation');
    const store = join(config, 'truststore', 'x509', 'ca', 'test');
    mkdirSync(store, { recursive: true });
    writeFileSync(join(store, 'trusted.pem'), options.trusted);
    const policy = {
      name: 'test',
      registryScopes: ['*'],
      signatureVerification: { level: 'strict' },
      trustStores: ['ca:test'],
      trustedIdentities: options.identities ?? ['*'],
    };
    writeFileSync(join(config, 'trustpolicy.json'), JSON.stringify({ version: '1.0', trustPolicies: [policy] }));
    const [leaf] = options.signer ?? [];
    if (leaf === undefined) return;
    const keyPath = join(config, 'key.pem');
    const certPath = join(config, 'chain.pem');
    writeFileSync(keyPath, leaf.keyPem);
    writeFileSync(certPath, (options.signer ?? []).map(({ pem }) => pem).join(''));
    const keys = [{ name: 'test', keyPath, certPath }];
    writeFileSync(join(config, 'signingkeys.json'), JSON.stringify({ default: 'test', keys }));
  }

  async verifies({ digest }: Descriptor): Promise<boolean> {
    return (await this.#run('verify', '--insecure-registry', `${registry.name}/${REPOSITORY}@${digest}`)) === 0;
  }

  async sign({ digest }: Descriptor, ...options: string[]): Promise<void> {
    const reference = `${registry.name}/${REPOSITORY}@${digest}`;
    const code = await this.#run('sign', '--insecure-registry', '--force-referrers-tag=false', ...options, reference);
    expect(code).toBe(0);
  }

  async #run(...args: string[]): Promise<number> {
    const env = { PATH: '/usr/bin:/bin', HOME: this.#home, XDG_CONFIG_HOME: this.#home, XDG_CACHE_HOME: this.#home };
    return new Promise((resolve, reject) => {
      execFile(this.#program, args, { env, timeout: 60_000 }, (error) => {
        if (error === null) resolve(0);
        else if (typeof error.code === 'number') resolve(error.code);
        else reject(error);
      });
    });
  }
}

async function codeOf(
  found: Found,
  subject: Descriptor,
  trusted: Issued,
  identities: string[] = ['*'],
): Promise<string | undefined> {
  const trust = { certificates: [trusted.der], identities };
  try {
    await verifyNotary({ ...found, subject, trust, now: new Date() });
    return undefined;
  } catch (error) {
    if (error instanceof PromoterError) return error.code;
    throw error;
  }
}

function rfc3339(time: Date): string {
  return time.toISOString().replace('.000', '');
}

/** A leaf under this root. */
function under(root: Issued): Issued[] {
  return [issue({ issuer: root }), root];
}

/** A root, an authority between that has these faults, and a leaf. */
function between(options: Parameters<typeof issueAuthority>[0], root = issueAuthority()): Issued[] {
  const authority = issueAuthority({ issuer: root, ...options });
  return [issue({ issuer: authority }), authority, root];
}

/** Attributes with their times as an envelope writes them. */
function withTimes(attributes: Record<string, unknown>, write: (time: Date) => unknown): Record<string, unknown> {
  const entries = Object.entries(attributes);
  return Object.fromEntries(entries.map(([name, value]) => [name, value instanceof Date ? write(value) : value]));
}

const second = Math.floor(Date.now() / 1000) * 1000;
const good = issueChain();

/** What we say of a signature that is written by hand, and what notation says. */
async function judge(program: string, mediaType: string, changes: Partial<Written>) {
  const image = await pushImage();
  const payload = { targetArtifact: { mediaType: image.mediaType, digest: image.digest, size: image.size } };
  const attributes = { [TIME]: new Date(second - 1000), ...changes.attributes };
  const written = { chain: good, payload, ...changes };
  const envelope =
    mediaType === JWS
      ? writeJws({ ...written, attributes: withTimes(attributes, rfc3339) }).bytes
      : writeCose({ ...written, attributes: withTimes(attributes, epoch) });
  const trusted = written.chain.at(-1) ?? issueAuthority();
  await attach(image, mediaType, envelope);
  const notation = new Notation(program, { trusted: trusted.pem });
  const ours = (await codeOf({ mediaType, envelope }, image, trusted)) === undefined;
  return { ours, notations: await notation.verifies(image) };
}

describeWithPeers('notation', ['notation'], ([program = '']) => {
  describe('accepts our signatures', () => {
    test('with a self-signed certificate, by identity', async () => {
      const subjectName = { country: 'US', state: 'WA', organization: 'Example, Inc.', commonName: 'promoter' };
      const { keyPem, certificatePem } = createSelfSignedCertificate({ ...subjectName, days: 2 });
      const signer = loadPemSigner({ keyPem, certificateChainPem: certificatePem });
      const image = await pushImage();
      const options = { signingTime: new Date(), signingAgent: 'acr-promoter/0.1.0' };
      const { layer, annotations } = await signNotary(image, signer, options);
      await attach(image, layer.mediaType, layer.bytes, annotations);
      const identity = String.raw`x509.subject: C=US, ST=WA, O=Example\, Inc.`;
      const notation = new Notation(program, { trusted: certificatePem, identities: [identity] });
      expect(await notation.verifies(image)).toBe(true);
      expect(await notation.verifies(await pushImage())).toBe(false);
      const other = new Notation(program, { trusted: certificatePem, identities: [`${identity}, CN=other`] });
      expect(await other.verifies(image)).toBe(false);
      expect(readCertificates(certificatePem)).toHaveLength(1);
    });

    test.each(['RSA-2048', 'RSA-3072', 'RSA-4096'] as const)('with a key of %s', async (key) => {
      const { keyPem, pem } = issue({ key });
      const image = await pushImage();
      const signer = loadPemSigner({ keyPem, certificateChainPem: pem });
      const { layer, annotations } = await signNotary(image, signer, { signingTime: new Date() });
      await attach(image, layer.mediaType, layer.bytes, annotations);
      expect(await new Notation(program, { trusted: pem }).verifies(image)).toBe(true);
    });

    test('with a chain, trusted by its root or its intermediate', async () => {
      const chain = issueChain();
      const [leaf, intermediate, root] = chain;
      const certificateChainPem = chain.map(({ pem }) => pem).join('');
      const image = await pushImage();
      const signer = loadPemSigner({ keyPem: leaf.keyPem, certificateChainPem });
      const { layer, annotations } = await signNotary(image, signer, { signingTime: new Date() });
      await attach(image, layer.mediaType, layer.bytes, annotations);
      const verifies = (trusted: Issued) => new Notation(program, { trusted: trusted.pem }).verifies(image);
      expect(await verifies(root)).toBe(true);
      expect(await verifies(intermediate)).toBe(true);
      expect(await verifies(issueAuthority())).toBe(false);
    });
  });

  describe('makes signatures that we accept', () => {
    test.each([
      ['P-256', 'jws'],
      ['P-256', 'cose'],
      ['P-384', 'jws'],
      ['P-521', 'cose'],
      ['P-521', 'jws'],
      ['RSA-2048', 'jws'],
      ['RSA-3072', 'cose'],
      ['RSA-4096', 'jws'],
    ] as const)('key %s, envelope %s', async (key, format) => {
      const chain = issueChain({ key });
      const [leaf, , root] = chain;
      const image = await pushImage();
      const notation = new Notation(program, { trusted: root.pem, signer: chain });
      await notation.sign(image, '--signature-format', format, '--expiry', '24h', '-m', 'build=1');
      expect(await notation.verifies(image)).toBe(true);
      const found = await findSignature(image);
      const trust = { certificates: [root.der], identities: ['x509.subject: O=Example, CN=leaf'] };
      const verified = await verifyNotary({ ...found, subject: image, trust, now: new Date() });
      expect(verified).toMatchObject({ signedBy: 'CN=leaf,O=Example', scheme: 'notary.x509' });
      expect(verified.expiry?.getTime()).toBe(verified.signingTime.getTime() + 24 * 3_600_000);
      expect(Math.abs(Date.now() - verified.signingTime.getTime())).toBeLessThan(300_000);

      expect(await codeOf(found, await pushImage(), root)).toBe('SIGNATURE_WRONG_SUBJECT');
      expect(await codeOf(found, image, issueAuthority())).toBe('SIGNATURE_UNTRUSTED');
      expect(await codeOf(found, image, leaf)).toBe('TRUST_STORE_INVALID');
      expect(await codeOf(found, image, root, ['x509.subject: CN=other'])).toBe('SIGNATURE_IDENTITY');
      const later = new Date(Date.now() + 25 * 3_600_000);
      await expect(verifyNotary({ ...found, subject: image, trust, now: later })).rejects.toMatchObject({
        code: 'SIGNATURE_EXPIRED',
      });
    });
  });

  /** Envelopes that notation would never write: what it says of each, and what we say. */
  describe('verifies and refuses the same signatures as we do', () => {
    const day = 86_400_000;
    const past = new Date(second - 400 * day);
    const expired = { notBefore: past, notAfter: new Date(second - day) };

    const cases: [string, Partial<Written>, boolean][] = [
      ['nothing wrong', {}, true],
      ['one certificate', { chain: [issue()] }, true],
      ['one authority', { chain: [issueAuthority()] }, false],
      ['server', { chain: [issue({ extendedKeyUsage: ['1.3.6.1.5.5.7.3.1'] })] }, false],
      ['OCSP', { chain: [issue({ extendedKeyUsage: ['1.3.6.1.5.5.7.3.9'] })] }, false],
      ['a usage of somebody’s own', { chain: [issue({ extendedKeyUsage: ['1.2.3.4'] })] }, true],
      ['nonRepudiation besides', { chain: [issue({ keyUsage: SIGN | 2 })] }, true],
      ['keyCertSign besides', { chain: [issue({ keyUsage: SIGN | CERT_SIGN })] }, false],
      ['no key usage', { chain: [issue({ keyUsage: 0 })] }, false],
      ['key usage not critical', { chain: [issue({ keyUsageCritical: false })] }, false],
      ['a small key', { chain: [issue({ key: 'RSA-1024' })], algorithm: 'PS256' }, false],
      ['an authority that is none', { chain: between({ ca: false }) }, false],
      ['an authority without keyCertSign', { chain: between({ keyUsage: SIGN }) }, false],
      ['room for none below', { chain: between({ pathLength: 0 }) }, true],
      ['no room below', { chain: between({}, issueAuthority({ pathLength: 0 })) }, false],
      ['a link left out', { chain: [good[0], good[2]] }, false],
      ['no root', { chain: good.slice(0, 2) }, false],
      ['root twice', { chain: [...good, good[2]] }, false],
      ['expired', { chain: [issue(expired)], attributes: { [TIME]: past } }, false],
      ['an expired root', { chain: under(issueAuthority(expired)), attributes: { [TIME]: past } }, false],
      ['not valid yet', { chain: [issue({ notBefore: new Date(second + day) })] }, false],
      [
        'expiry past',
        { critical: [SCHEME, EXPIRY], attributes: { [TIME]: past, [EXPIRY]: new Date(second - day) } },
        false,
      ],
      ['expiry to come', { critical: [SCHEME, EXPIRY], attributes: { [EXPIRY]: new Date(second + day) } }, true],
      ['expiry not critical', { attributes: { [EXPIRY]: new Date(second + day) } }, false],
      ['no signing time', { attributes: { [TIME]: undefined } }, false],
      ['scheme not critical', { critical: [TIME] }, false],
      ['another content type', { attributes: { cty: 'a/b', 3: 'a/b' } }, false],
      ['an unknown attribute', { attributes: { 'org.example': 'x' } }, true],
      [
        'a plugin',
        {
          critical: [SCHEME, 'io.cncf.notary.verificationPlugin'],
          attributes: { 'io.cncf.notary.verificationPlugin': 'x' },
        },
        false,
      ],
      ['another’s key', { key: issue().key }, false],
    ];
    test.each(cases)('%s', async (_what, changes, allowed) => {
      for (const mediaType of [JWS, COSE]) {
        expect(await judge(program, mediaType, changes)).toEqual({ ours: allowed, notations: allowed });
      }
    });

    /** notation 1.3 lets these pass, and the specification doesn't. */
    test.each<[string, Partial<Written>, string]>([
      ['SHA-1', { chain: [issue({ hash: 'sha1' })] }, JWS],
      ['an authentic time besides', { attributes: { [AUTHENTIC]: past } }, COSE],
      ['signed before the certificate was valid', { attributes: { [TIME]: new Date('2001-01-01') } }, JWS],
    ])('but for %s', async (_what, changes, mediaType) => {
      expect(await judge(program, mediaType, changes)).toEqual({ ours: false, notations: true });
    });
  });
});
