import { beforeEach, describe, expect, test } from '@jest/globals';
import { TransportError, type Descriptor } from '../../../src/oci/index.js';
import type { ResultOf, checkEvidenceContract } from '../../../src/steps/contracts.js';
import { checkEvidenceStep } from '../../../src/steps/check-evidence.js';
import { markWaitingStep } from '../../../src/steps/mark-waiting.js';
import type { MemoryRepository } from '../oci/memory-repository.js';
import { rule } from '../promotion/rules.fixture.js';
import { NOTARY_SIGNATURE, pushArtifact, pushImage, pushSignature } from './images.js';
import { REGISTRY, SOURCE, newCall, newSigner, newWorld, openRun, rowOf, type World } from './world.js';

const RELEASE = newSigner('release');
const STRANGER = newSigner('stranger');
const JWS = 'application/jose+json';

let world: World;
let source: MemoryRepository;
let root: Descriptor;
let run: Awaited<ReturnType<typeof openRun>>;

function demand(...policies: { trustStore: string; identities?: string[] }[]): void {
  world.ruleList = [
    rule({ verify: { signatures: policies.map((policy) => ({ format: 'notary', identities: ['*'], ...policy })) } }),
  ];
}

beforeEach(async () => {
  world = newWorld();
  demand({ trustStore: RELEASE.certificatePem });
  source = world.registries.repository(REGISTRY, SOURCE.repository);
  root = await pushImage(source, { tag: SOURCE.tag });
});

async function check(): Promise<ResultOf<typeof checkEvidenceContract>> {
  run = await openRun(world);
  return checkEvidenceStep(world, { ...run, root }, newCall());
}
async function reasons(): Promise<string> {
  const result = await check();
  if (result.state !== 'closed') throw new Error(`the gate is ${result.state}`);
  return result.reasons.join('; ');
}

describe('the gate', () => {
  test('is closed while there is none, and passed when it is there', async () => {
    expect(await reasons()).toMatch(/no notary signature by \* yet/);
    await pushSignature(source, root, RELEASE.signer);
    expect(await check()).toMatchObject({ state: 'passed' });
  });

  test('tells the wanted that it looked at', async () => {
    const first = await check();
    expect(first).toMatchObject({ wanted: 1 });
    expect(await check()).toMatchObject({ wanted: 2 });
  });

  test('our own key never satisfies it, whoever trusts it', async () => {
    const own = newSigner('ours');
    world.signer = own.signer;
    demand({ trustStore: own.certificatePem });
    await pushSignature(source, root, own.signer);
    expect(await reasons()).toMatch(/no notary signature/);
    world.signer = undefined;
    expect(await check()).toMatchObject({ state: 'passed' });
  });

  test('a signer that the trust store does not know', async () => {
    await pushSignature(source, root, STRANGER.signer);
    expect(await reasons()).toMatch(/SIGNATURE_UNTRUSTED/);
  });

  test('a trusted key with another identity', async () => {
    demand({ trustStore: RELEASE.certificatePem, identities: ['x509.subject: C=US, ST=WA, O=Somebody'] });
    await pushSignature(source, root, RELEASE.signer);
    expect(await reasons()).toMatch(/SIGNATURE_IDENTITY/);
  });

  test('a signature that is over something else, and says that it refers to this', async () => {
    const other = await pushImage(source, { content: 'other' });
    const signature = await pushSignature(source, other, RELEASE.signer);
    const { manifest } = source.manifests.get(signature.digest) ?? {};
    if (manifest?.kind !== 'image' || manifest.layers[0] === undefined) throw new Error('no envelope');
    const envelope = Buffer.from(source.blobs.get(manifest.layers[0].digest) ?? '').toString();
    await pushArtifact(source, NOTARY_SIGNATURE, { subject: root, mediaType: JWS, text: envelope });
    expect(await reasons()).toMatch(/SIGNATURE_WRONG_SUBJECT/);
  });

  test("what can't be decided is not passed", async () => {
    await pushArtifact(source, NOTARY_SIGNATURE, { subject: root, mediaType: 'application/x-new-envelope' });
    expect(await reasons()).toMatch(/SIGNATURE_FORMAT_UNSUPPORTED/);
  });

  test('one good signature among bad ones is enough', async () => {
    await pushSignature(source, root, STRANGER.signer);
    await pushArtifact(source, NOTARY_SIGNATURE, { subject: root, mediaType: JWS, text: '{}' });
    await pushSignature(source, root, RELEASE.signer);
    expect(await check()).toMatchObject({ state: 'passed' });
  });

  test('every policy must be satisfied', async () => {
    demand({ trustStore: RELEASE.certificatePem }, { trustStore: STRANGER.certificatePem });
    await pushSignature(source, root, RELEASE.signer);
    expect(await reasons()).toMatch(/SIGNATURE_UNTRUSTED/);
    await pushSignature(source, root, STRANGER.signer);
    expect(await check()).toMatchObject({ state: 'passed' });
  });

  test('a trust store that is none is an error, not a verdict', async () => {
    demand({ trustStore: 'not PEM' });
    await pushSignature(source, root, RELEASE.signer);
    await expect(check()).rejects.toMatchObject({ code: 'CERTIFICATE_UNREADABLE' });
  });

  test('a registry that is down is an error, not a verdict', async () => {
    await pushSignature(source, root, RELEASE.signer);
    source.failNth('openBlob', 1, new TransportError('CONNECT_FAILED', 'down'));
    await expect(check()).rejects.toMatchObject({ code: 'CONNECT_FAILED', transient: true });
  });
});

// Anybody who may push can attach anything: what cannot be read must not keep a good signature from being found.
describe('what others attach', () => {
  beforeEach(async () => {
    await pushSignature(source, root, RELEASE.signer);
  });
  /** Makes the list name one more referrer, first. */
  function listed(extra: Descriptor): void {
    const list = source.listReferrers.bind(source);
    source.listReferrers = async (digest, options) => [extra, ...(await list(digest, options))];
  }

  test('a referrer that is listed and not there', async () => {
    listed({ ...root, digest: `sha256:${'e'.repeat(64)}`, artifactType: NOTARY_SIGNATURE });
    expect(await check()).toMatchObject({ state: 'passed' });
  });

  test('a signature whose envelope is not there', async () => {
    const { digest, ...rest } = await pushArtifact(source, NOTARY_SIGNATURE, {
      subject: root,
      mediaType: JWS,
      text: 'gone',
    });
    const { manifest } = source.manifests.get(digest) ?? {};
    if (manifest?.kind !== 'image') throw new Error('no image manifest');
    source.blobs.delete(manifest.layers[0]?.digest ?? '');
    listed({ ...rest, digest });
    expect(await check()).toMatchObject({ state: 'passed' });
  });

  test('a manifest that is none', async () => {
    const junk = await pushArtifact(source, NOTARY_SIGNATURE, { subject: root, mediaType: JWS, text: 'junk' });
    const stored = source.manifests.get(junk.digest);
    if (stored === undefined) throw new Error('not stored');
    source.manifests.set(junk.digest, { ...stored, bytes: Buffer.from('{"schemaVersion":2,"layers":7}') });
    expect(await check()).toMatchObject({ state: 'passed' });
  });
});

describe('a run that is behind', () => {
  test('the tag moved on: superseded', async () => {
    await pushImage(source, { tag: SOURCE.tag, content: 'two' });
    expect(await check()).toEqual({ state: 'superseded' });
  });

  test('the tag is gone, or late', async () => {
    source.tags.delete(SOURCE.tag);
    await expect(check()).rejects.toMatchObject({ code: 'SOURCE_GONE' });
  });

  test('the row is another run’s: gone', async () => {
    run = await openRun(world);
    expect(await checkEvidenceStep(world, { ...run, runId: 'another', root }, newCall())).toEqual({ state: 'gone' });
  });

  test('looking again ends the waiting; a mark says what is waited for', async () => {
    const closed = await check();
    if (closed.state !== 'closed') throw new Error('not closed');
    const mark = { ...run, wanted: closed.wanted, event: 'wanted-1', reasons: closed.reasons };
    expect(await markWaitingStep(world, mark, newCall())).toEqual({ done: 'waiting' });
    expect(await rowOf(world, run.promotionId)).toMatchObject({ state: 'waiting', waitingFor: 'wanted-1' });
    await checkEvidenceStep(world, { ...run, root }, newCall());
    const row = await rowOf(world, run.promotionId);
    expect(row).toMatchObject({ state: 'working' });
    expect(row.waitingFor).toBeUndefined();
    await openRun(world);
    expect(await markWaitingStep(world, mark, newCall())).toEqual({ done: 'again' });
  });

  test('one that has looked often pauses first: the row waits, and nothing wakes it', async () => {
    const closed = await check();
    if (closed.state !== 'closed') throw new Error('not closed');
    const mark = { ...run, wanted: closed.wanted, event: 'wanted-9', reasons: closed.reasons, pauseMs: 60_000 };
    expect(await markWaitingStep(world, mark, newCall())).toEqual({ later: 60_000 });
    world.engine.setState(run.runId, 'running');
    await openRun(world);
    const row = await rowOf(world, run.promotionId);
    expect(row).toMatchObject({ state: 'waiting', wanted: closed.wanted + 1 });
    expect(row.waitingFor).toBeUndefined();
    expect(world.engine.raised).toEqual([]);

    // Its timer was early.
    const after = (waitedMs: number) => markWaitingStep(world, mark, { ...newCall(), waitedMs });
    expect(await after(59_500)).toEqual({ done: 'again' });
    await checkEvidenceStep(world, { ...run, root }, newCall());
    expect(await rowOf(world, run.promotionId)).toMatchObject({ state: 'working' });
  });

  test('it pauses, and the row is another run’s: gone', async () => {
    const mark = { ...run, runId: 'another', wanted: 1, event: 'wanted-9', reasons: [], pauseMs: 60_000 };
    expect(await markWaitingStep(world, mark, newCall())).toEqual({ done: 'gone' });
  });
});
