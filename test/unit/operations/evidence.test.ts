import { beforeEach, describe, expect, test } from '@jest/globals';
import type { Descriptor } from '../../../src/oci/index.js';
import { NOTARY_SIGNATURE } from '../../../src/signing/index.js';
import { pushImage, pushIndex } from '../../support/images.js';
import { again, newJobWorld, openJobRun, perform, valueOf } from '../../support/job-world.js';
import { REGISTRY, newSigner, runOf, type World } from '../../support/world.js';
import type { MemoryRepository } from '../../support/memory-repository.js';

const APP = `${REGISTRY}/samples/app`;
const SBOM = 'application/vnd.cyclonedx+json';
let world: World;
let app: MemoryRepository;
let image: Descriptor;
let other: Descriptor;
let index: Descriptor;
const ours = newSigner('ours');

beforeEach(async () => {
  world = newJobWorld();
  world.signer = ours.signer;
  app = world.registries.repository(REGISTRY, 'samples/app');
  image = await pushImage(app, { tag: 'one', content: 'one' });
  other = await pushImage(app, { content: 'two' });
  index = await pushIndex(
    app,
    [image, other].map((each, at) => ({
      ...each,
      platform: { os: 'linux', architecture: at === 0 ? 'amd64' : 'arm64' },
    })),
    { tag: 'v1' },
  );
});

const signaturesOn = (subject: Descriptor) => app.listReferrers(subject.digest, { artifactType: NOTARY_SIGNATURE });

describe('a sign job', () => {
  test('signs only the reference, once', async () => {
    const job = { operation: 'sign', reference: `${APP}:v1` };
    expect(await valueOf(world, job, 'a')).toMatchObject({ signed: [{ digest: index.digest, made: true }] });
    expect(await valueOf(world, job, 'b')).toMatchObject({ signed: [{ digest: index.digest, made: false }] });
    expect(await signaturesOn(index)).toHaveLength(1);
    expect(await signaturesOn(image)).toHaveLength(0);
  });

  test('signs the manifests of an index, or one platform of it', async () => {
    await perform(world, { operation: 'sign', reference: `${APP}:v1`, platform: 'linux/arm64' }, 'a');
    expect([await signaturesOn(image), await signaturesOn(other)].map(({ length }) => length)).toEqual([0, 1]);
    await perform(world, { operation: 'sign', reference: `${APP}:v1`, recursive: true }, 'b');
    for (const each of [index, image, other]) expect(await signaturesOn(each)).toHaveLength(1);
  });

  test('waits for the lease of the subject', async () => {
    await world.lease.acquire(`subject ${REGISTRY}/samples/app@${index.digest}`);
    await openJobRun(world, { operation: 'sign', reference: `${APP}:v1` });
    expect(await again(world)).toEqual({ retryAfterMs: expect.any(Number) });
  });

  test('in many calls signs the same, with a complete output', async () => {
    world.callBounds = { ...world.callBounds, requests: 1 };
    await openJobRun(world, { operation: 'sign', reference: `${APP}:v1`, recursive: true });
    let calls = 1;
    for (; !('done' in (await again(world))); calls += 1) expect(calls).toBeLessThan(20);
    expect(calls).toBeGreaterThan(2);
    expect((await runOf(world, 'r1')).output).toMatchObject({
      value: { signed: [index, image, other].map(({ digest }) => ({ digest, made: true })) },
    });
    for (const each of [index, image, other]) expect(await signaturesOn(each)).toHaveLength(1);
  });

  test('in many calls reads no manifest twice', async () => {
    world.callBounds = { ...world.callBounds, requests: 1 };
    await openJobRun(world, { operation: 'sign', reference: `${APP}:v1`, recursive: true });
    app.calls.length = 0;
    for (let calls = 1; !('done' in (await again(world))); calls += 1) expect(calls).toBeLessThan(20);
    const read = app.calls.filter(({ method }) => method === 'fetchManifest').map(({ what }) => what);
    expect(read.filter((what) => what === index.digest)).toHaveLength(1);
  });

  test('without a key fails', async () => {
    world.signer = undefined;
    await expect(perform(world, { operation: 'sign', reference: `${APP}:v1` })).rejects.toMatchObject({
      code: 'SIGNING_KEY_MISSING',
    });
  });
});

describe('an sbom job', () => {
  const sbomsOf = (subject: Descriptor) => app.listReferrers(subject.digest, { artifactType: SBOM });

  test('attaches a signed SBOM to each image and none to an index', async () => {
    const job = { operation: 'sbom', reference: `${APP}:v1` };
    const value = await valueOf(world, job, 'a');
    expect(value).toMatchObject({ images: [{ why: expect.any(String) }, { made: true }, { made: true }] });
    expect(await valueOf(world, job, 'b')).toMatchObject({ images: [{}, { made: false }, { made: false }] });
    for (const each of [image, other]) {
      const [made, ...more] = await sbomsOf(each);
      expect(more).toEqual([]);
      expect(made && (await signaturesOn(made))).toHaveLength(1);
    }
  });

  test('in many calls attaches the same', async () => {
    world.callBounds = { ...world.callBounds, requests: 1 };
    await openJobRun(world, { operation: 'sbom', reference: `${APP}:v1` });
    for (let calls = 1; !('done' in (await again(world))); calls += 1) expect(calls).toBeLessThan(20);
    expect((await runOf(world, 'r1')).output).toMatchObject({
      value: { images: [{}, { made: true }, { made: true }] },
    });
    for (const each of [image, other]) expect(await sbomsOf(each)).toHaveLength(1);
  });

  test('without a key attaches it unsigned', async () => {
    world.signer = undefined;
    await perform(world, { operation: 'sbom', reference: `${APP}:one` });
    const [made] = await sbomsOf(image);
    expect(made && (await signaturesOn(made))).toHaveLength(0);
  });
});

describe('a verify job', () => {
  const job = (certificatePem: string, identities = ['*']) => ({
    operation: 'verify',
    reference: `${APP}:v1`,
    signatures: [{ format: 'notary', trustStore: certificatePem, identities }],
  });

  test('trusts the signers of the job, even this app', async () => {
    await perform(world, { operation: 'sign', reference: `${APP}:v1` }, 'sign');
    expect(await valueOf(world, job(ours.certificatePem), 'a')).toMatchObject({
      passed: true,
      reference: `${APP}@${index.digest}`,
      evidence: [{ signedBy: expect.stringContaining('CN=ours') }],
    });
  });

  test.each([
    ['no signature', () => job(ours.certificatePem), false],
    ['one by another', () => job(newSigner('them').certificatePem), true],
    ['one of another name', () => job(ours.certificatePem, ['x509.subject: CN=them, O=Test, ST=WA, C=US']), true],
  ])('is refused for %s, and the output has the reason', async (_what, which, signed) => {
    if (signed) await perform(world, { operation: 'sign', reference: `${APP}:v1` }, 'sign');
    await expect(perform(world, which())).rejects.toMatchObject({
      name: 'VerificationError',
      code: 'EVIDENCE_MISSING',
    });
    expect((await runOf(world, 'r1')).output).toMatchObject({
      value: { passed: false, reasons: [expect.any(String)] },
    });
  });

  test('fails for an invalid trust store', async () => {
    const broken = '-----BEGIN CERTIFICATE-----\nbm9uZQ==\n-----END CERTIFICATE-----';
    await expect(perform(world, job(broken))).rejects.toMatchObject({ code: expect.stringMatching(/^CERTIFICATE/) });
  });
});
