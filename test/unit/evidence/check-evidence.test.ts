import { beforeEach, describe, expect, jest, test } from '@jest/globals';
import {
  IntegrityError,
  TransportError,
  digestOf,
  packArtifact,
  parseManifest,
  pushPacked,
  type Descriptor,
} from '../../../src/oci/index.js';
import { fingerprint } from '../../../src/rules/rule.js';
import { closePromotion } from '../../../src/rows/generation.js';
import { keyHash, loadPemSigner, notaryAnnotations, signNotary, type Signer } from '../../../src/signing/index.js';
import { attachSignatureStep } from '../../../src/evidence/our-signature.js';
import type { ResultOf } from '../../../src/rows/step-contract.js';
import type { checkEvidenceContract } from '../../../src/evidence/contracts.js';
import { checkEvidenceStep } from '../../../src/evidence/check-evidence.js';
import { markWaitingStep } from '../../../src/promotions/mark-waiting.js';
import type { MemoryRepository } from '../../support/memory-repository.js';
import { rule } from '../../support/rules.fixture.js';
import { issue, issueAuthority, issueChain, type Issued } from '../../support/certificates.js';
import { NOTARY_SIGNATURE, pushArtifact, pushImage, pushJunkSignatures, pushSignature } from '../../support/images.js';
import {
  REGISTRY,
  SOURCE,
  newCall,
  newSigner,
  newWorld,
  openRun,
  rowOf,
  runOf,
  type World,
} from '../../support/world.js';

const RELEASE = newSigner('release');
const STRANGER = newSigner('stranger');
const OURS = newSigner('ours');
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

/** A call of the open run, as if it had been opened under the present rule. */
async function callOfNow(): Promise<ReturnType<typeof newCall>> {
  const row = await runOf(world, run.runId);
  const [which = rule()] = world.ruleList;
  if (row.input.kind !== 'promotion') throw new Error('it is no promotion');
  return newCall(undefined, { ...row, input: { ...row.input, rule: which } });
}

let looks = 0;
async function look(): Promise<ResultOf<typeof checkEvidenceContract>> {
  looks += 1;
  for (let calls = 0; calls < 50; calls += 1) {
    const reply = await checkEvidenceStep(world, { ...run, root, look: looks }, await callOfNow());
    if ('done' in reply) return reply.done;
  }
  throw new Error('no end in 50 calls');
}
async function check(): Promise<ResultOf<typeof checkEvidenceContract>> {
  run = await openRun(world);
  return look();
}
async function reasons(): Promise<string> {
  const result = await check();
  if (result.state !== 'closed') throw new Error(`the gate is ${result.state}`);
  return result.reasons.join('; ');
}

describe('the gate', () => {
  test('is closed without a signature, and passed with one', async () => {
    expect(await reasons()).toMatch(/no notary signature by \* yet/);
    await pushSignature(source, root, RELEASE.signer);
    expect(await check()).toMatchObject({ state: 'passed' });
  });

  test('returns the generation that it has checked', async () => {
    const first = await check();
    expect(first).toMatchObject({ generation: 1 });
    expect(await check()).toMatchObject({ generation: 2 });
  });

  test('is never passed by the app’s own key, even if the trust store has it', async () => {
    const own = newSigner('ours');
    world.signer = own.signer;
    demand({ trustStore: own.certificatePem });
    await pushSignature(source, root, own.signer);
    expect(await reasons()).toMatch(/no notary signature/);
    world.signer = newSigner('somebody else here').signer;
    expect(await reasons()).toMatch(/no notary signature/);
  });

  test('is not passed by a signer that the trust store does not have', async () => {
    await pushSignature(source, root, STRANGER.signer);
    expect(await reasons()).toMatch(/SIGNATURE_UNTRUSTED/);
  });

  test('is not passed by a trusted key with another identity', async () => {
    demand({ trustStore: RELEASE.certificatePem, identities: ['x509.subject: C=US, ST=WA, O=Somebody'] });
    await pushSignature(source, root, RELEASE.signer);
    expect(await reasons()).toMatch(/SIGNATURE_IDENTITY/);
  });

  test('is not passed by a signature of something else that refers to this image', async () => {
    const other = await pushImage(source, { content: 'other' });
    const signature = await pushSignature(source, other, RELEASE.signer);
    const { manifest } = source.manifests.get(signature.digest) ?? {};
    if (manifest?.kind !== 'image' || manifest.layers[0] === undefined) throw new Error('no envelope');
    const envelope = Buffer.from(source.blobs.get(manifest.layers[0].digest) ?? '').toString();
    await pushArtifact(source, NOTARY_SIGNATURE, { subject: root, mediaType: JWS, text: envelope });
    expect(await reasons()).toMatch(/SIGNATURE_WRONG_SUBJECT/);
  });

  test('is not passed if a signature cannot be decided', async () => {
    await pushArtifact(source, NOTARY_SIGNATURE, { subject: root, mediaType: 'application/x-new-envelope' });
    expect(await reasons()).toMatch(/SIGNATURE_FORMAT_UNSUPPORTED/);
  });

  test('is passed by one good signature among bad ones', async () => {
    await pushSignature(source, root, STRANGER.signer);
    await pushArtifact(source, NOTARY_SIGNATURE, { subject: root, mediaType: JWS, text: '{}' });
    await pushSignature(source, root, RELEASE.signer);
    expect(await check()).toMatchObject({ state: 'passed' });
  });

  test('is passed only if every policy is satisfied', async () => {
    demand({ trustStore: RELEASE.certificatePem }, { trustStore: STRANGER.certificatePem });
    await pushSignature(source, root, RELEASE.signer);
    expect(await reasons()).toMatch(/SIGNATURE_UNTRUSTED/);
    await pushSignature(source, root, STRANGER.signer);
    expect(await check()).toMatchObject({ state: 'passed' });
  });

  test('fails with an error if the trust store is invalid', async () => {
    demand({ trustStore: 'not PEM' });
    await pushSignature(source, root, RELEASE.signer);
    await expect(check()).rejects.toMatchObject({ code: 'CERTIFICATE_UNREADABLE' });
  });

  test('fails with an error if the registry is down', async () => {
    await pushSignature(source, root, RELEASE.signer);
    source.failNth('openBlob', 1, new TransportError('CONNECT_FAILED', 'down'));
    await expect(check()).rejects.toMatchObject({ code: 'CONNECT_FAILED', transient: true });
  });
});

describe('a key of this app, present or former, never passes the gate', () => {
  const ca = issueAuthority({ subject: [['2.5.4.3', 'the CA that issued them all']] });
  const signerOf = (leaf: Issued): Signer =>
    loadPemSigner({ keyPem: leaf.keyPem, certificateChainPem: `${leaf.pem}${ca.pem}` });
  const key = issue({ issuer: ca, subject: [['2.5.4.3', 'dev']] });

  beforeEach(() => {
    demand({ trustStore: ca.pem });
  });

  test('after its rotation, even in a chain whose CA is in the trust store', async () => {
    world.signer = signerOf(key);
    await attachSignatureStep(world, { source: SOURCE, subject: root }, newCall());
    world.signer = signerOf(issue({ issuer: ca }));
    expect(await reasons()).toMatch(/no notary signature/);
    // Its twin: a key that never signed here, of the same CA.
    await pushSignature(source, root, signerOf(issue({ issuer: ca })));
    expect(await check()).toMatchObject({ state: 'passed' });
  });

  test('in a renewed certificate', async () => {
    world.signer = signerOf(key);
    await check();
    await pushSignature(source, root, signerOf(issue({ issuer: ca, key: key.key })));
    expect(await reasons()).toMatch(/no notary signature/);
    world.signer = undefined;
    expect(await reasons()).toMatch(/no notary signature/);
  });

  test('in a certificate that encodes the key in another way', async () => {
    world.signer = signerOf(key);
    await check();
    const other = issue({ issuer: ca, key: key.key, compressed: true });
    await pushSignature(source, root, signerOf(other));
    expect(await reasons()).toMatch(/no notary signature/);
  });

  test('used by another process of the app; this is read once and then remembered', async () => {
    await pushSignature(source, root, signerOf(key));
    const get = jest.spyOn(world.documents, 'get');
    const keysRead = () => get.mock.calls.filter(([, name]) => name.startsWith('keys/')).length;
    await world.documents.put('documents', `keys/${keyHash(key.der)}`, Buffer.from('{}'));
    expect(await reasons()).toMatch(/no notary signature/);
    expect(await reasons()).toMatch(/no notary signature/);
    expect(keysRead()).toBe(1);
    const keys = [...world.documents.kept.keys()].filter((name) => name.startsWith('documents/keys/'));
    // That of the world's own signer, and this one.
    expect(keys).toHaveLength(2);
  });

  test('and is recorded before its first use', async () => {
    world.signer = signerOf(key);
    const sign = world.signer.sign.bind(world.signer);
    let noted: boolean | undefined;
    world.signer = {
      ...world.signer,
      sign: async (message, signal) => {
        noted = world.documents.kept.has(`documents/keys/${keyHash(key.der)}`);
        return sign(message, signal);
      },
    };
    await attachSignatureStep(world, { source: SOURCE, subject: root }, newCall());
    expect(noted).toBe(true);
  });
});

describe('the row records a passed gate', () => {
  test('with the digest and the fingerprint of the rule, also after the run', async () => {
    await pushSignature(source, root, RELEASE.signer);
    await check();
    const [gated] = world.ruleList;
    const gate = { digest: root.digest, fingerprint: gated && fingerprint(gated) };
    expect(await rowOf(world, run.promotionId)).toMatchObject({ gate });
    const { generation } = await rowOf(world, run.promotionId);
    await closePromotion(world, run.promotionId, run.runId, {
      generation,
      rule: run.rule,
      result: { outcome: 'promoted' },
    });
    expect(await rowOf(world, run.promotionId)).toMatchObject({ gate, runOpen: false });
  });

  test('but not a closed gate, and not a rule that requires nothing', async () => {
    await check();
    expect((await rowOf(world, run.promotionId)).gate).toBeUndefined();
    demand();
    await check();
    expect((await rowOf(world, run.promotionId)).gate).toBeUndefined();
  });
});

describe('among many useless signatures', () => {
  let calls: number;
  /** How many calls it took, and what it came to. */
  async function lookAll(): Promise<{ state: string; calls: number; fetched: number }> {
    run = await openRun(world);
    source.calls.length = 0;
    looks += 1;
    for (calls = 1; calls < 100; calls += 1) {
      const reply = await checkEvidenceStep(world, { ...run, root, look: looks }, await callOfNow());
      if ('done' in reply) return { state: reply.done.state, calls, fetched: source.count('fetchManifest') };
    }
    throw new Error('no end in 100 calls');
  }

  test('the good one of a hundred is among the first that are fetched', async () => {
    await pushJunkSignatures(source, root, { count: 300 });
    await pushJunkSignatures(source, root, { count: 300, like: STRANGER.signer, bytes: 30 });
    await pushSignature(source, root, RELEASE.signer);
    expect(await lookAll()).toEqual({ state: 'passed', calls: 1, fetched: 8 });
  });

  test('the good one is found if the trust store has the leaf, the intermediate or the root', async () => {
    const chain = issueChain();
    const signer = loadPemSigner({
      keyPem: chain[0].keyPem,
      certificateChainPem: chain.map(({ pem }) => pem).join(''),
    });
    await pushJunkSignatures(source, root, { count: 300 });
    await pushSignature(source, root, signer);
    for (const { pem } of chain.slice(1)) {
      demand({ trustStore: pem });
      expect(await lookAll()).toMatchObject({ state: 'passed', calls: 1, fetched: 8 });
    }
  });

  test('with the right thumbprints, each call reads a limited number and continues, and bad ones are not read again', async () => {
    const count = 1_300;
    world.callBounds = { ...world.callBounds, requests: 500 };
    await pushJunkSignatures(source, root, { count, like: RELEASE.signer });
    expect(await lookAll()).toEqual({ state: 'closed', calls: 3, fetched: count });
    expect(await lookAll()).toEqual({ state: 'closed', calls: 1, fetched: 0 });
    await pushSignature(source, root, RELEASE.signer);
    expect(await lookAll()).toEqual({ state: 'passed', calls: 1, fetched: 1 });
  });

  test('a look that is broken off reads no signature again that it has checked', async () => {
    await pushJunkSignatures(source, root, { count: 100, like: RELEASE.signer });
    run = await openRun(world);
    source.calls.length = 0;
    source.failNth('fetchManifest', 41, new TransportError('CONNECT_FAILED', 'down'));
    await expect(look()).rejects.toMatchObject({ code: 'CONNECT_FAILED' });
    looks -= 1;
    expect(await look()).toMatchObject({ state: 'closed' });
    // The first 40, the one that failed with the seven beside it, and the rest.
    expect(source.count('fetchManifest')).toBeLessThanOrEqual(108);
  });

  test('many looks of one run do not count as attempts without progress', async () => {
    await pushJunkSignatures(source, root, { count: 3 });
    for (let number = 0; number < 12; number += 1) expect(await lookAll()).toMatchObject({ state: 'closed' });
  });

  // That each call continues is shown above.
  if (process.env.FULL === '1') {
    test('of 10,000 the check ends within two calls of the step', async () => {
      for (let number = 0; number < 9_999; number += 1) {
        // As pushed ones, without the pushing.
        const packed = packArtifact({
          artifactType: NOTARY_SIGNATURE,
          layers: [{ mediaType: JWS, bytes: Buffer.from(`junk ${number}`) }],
          subject: root,
          annotations: notaryAnnotations(RELEASE.signer),
        });
        const manifest = parseManifest(packed.bytes, packed.descriptor.mediaType, 'junk');
        source.manifests.set(packed.descriptor.digest, {
          descriptor: packed.descriptor,
          bytes: packed.bytes,
          manifest,
        });
        for (const { descriptor, bytes } of packed.blobs) source.blobs.set(descriptor.digest, bytes);
      }
      await pushSignature(source, root, RELEASE.signer);
      expect(await lookAll()).toMatchObject({ state: 'passed', calls: 2 });
    }, 120_000);
  }

  test('a file larger than a signature is not read', async () => {
    await pushJunkSignatures(source, root, { count: 3, like: RELEASE.signer, bytes: 256 * 1024 });
    await pushJunkSignatures(source, root, { count: 10, like: RELEASE.signer, bytes: 256 * 1024 + 1 });
    await pushSignature(source, root, RELEASE.signer);
    expect(await lookAll()).toMatchObject({ state: 'passed' });
    expect(source.count('openBlob')).toBe(4);
  });

  test('copies of the app’s own signature, or of an expired one, hide no other', async () => {
    const old = newSigner('release', new Date(world.nowMs - 60 * 24 * 3_600_000));
    demand({ trustStore: `${RELEASE.certificatePem}${old.certificatePem}${OURS.certificatePem}` });
    world.signer = OURS.signer;
    const expired = await signNotary(root, old.signer, { signingTime: new Date(world.nowMs - 40 * 24 * 3_600_000) });
    const ours = await signNotary(root, OURS.signer, { signingTime: world.now() });
    for (let number = 0; number < 600; number += 1) {
      const { artifactType, layer, annotations } = number % 2 === 0 ? expired : ours;
      const copy = {
        artifactType,
        layers: [layer],
        subject: root,
        annotations: { ...annotations, number: `${number}` },
      };
      await pushPacked(source, packArtifact(copy));
    }
    await pushSignature(source, root, RELEASE.signer);
    expect(await lookAll()).toMatchObject({ state: 'passed' });
  });

  test('listed entries that are missing are checked again after all others', async () => {
    const good = await pushSignature(source, root, RELEASE.signer);
    const late = source.manifests.get(good.digest);
    const list = source.listReferrers.bind(source);
    source.listReferrers = async (digest, options) => {
      const named = Array.from({ length: 600 }, (_, number) => ({
        ...good,
        digest: digestOf(Buffer.from(`${number}`)),
        annotations: notaryAnnotations(RELEASE.signer),
      }));
      return [...named, ...(await list(digest, options)), { ...good, artifactType: NOTARY_SIGNATURE }];
    };
    source.manifests.delete(good.digest);
    expect(await lookAll()).toMatchObject({ state: 'closed' });
    if (late !== undefined) source.manifests.set(good.digest, late);
    // 601 are looked for again, 500 in each look.
    const states = [(await lookAll()).state, (await lookAll()).state];
    expect(states).toContain('passed');
  });

  test('one with a wrong size in the list is read nevertheless', async () => {
    const good = await pushSignature(source, root, RELEASE.signer);
    const list = source.listReferrers.bind(source);
    source.listReferrers = async (digest, options) =>
      (await list(digest, options)).map((entry) => ({ ...entry, size: entry.size + 1 }));
    const fetchManifest = source.fetchManifest.bind(source);
    source.fetchManifest = async (target, options) => {
      if (typeof target !== 'string' && target.size !== good.size) throw new IntegrityError('SIZE_MISMATCH', 'a lie');
      return fetchManifest(target, options);
    };
    expect(await lookAll()).toMatchObject({ state: 'passed' });
  });

  test('the number of reasons is limited', async () => {
    await pushJunkSignatures(source, root, { count: 600 });
    run = await openRun(world);
    const call = await callOfNow();
    await checkEvidenceStep(world, { ...run, root, look: 1 }, call);
    looks = 1;
    const result = await look();
    if (result.state !== 'closed') throw new Error('not closed');
    expect(result.reasons).toHaveLength(20);
    expect(call.texts.join('').length).toBeLessThan(10_000);
  });
});

// Anybody who may push can attach anything: what cannot be read must not keep a good signature from being found.
describe('an attachment by others does not fail the gate', () => {
  beforeEach(async () => {
    await pushSignature(source, root, RELEASE.signer);
  });
  /** Makes the list name one more referrer, first. */
  function listed(extra: Descriptor): void {
    const list = source.listReferrers.bind(source);
    source.listReferrers = async (digest, options) => [extra, ...(await list(digest, options))];
  }

  test('if it is a referrer that is listed but missing', async () => {
    listed({ ...root, digest: `sha256:${'e'.repeat(64)}`, artifactType: NOTARY_SIGNATURE });
    expect(await check()).toMatchObject({ state: 'passed' });
  });

  test('if it is a signature whose envelope is missing', async () => {
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

  test('if its manifest is invalid', async () => {
    const junk = await pushArtifact(source, NOTARY_SIGNATURE, { subject: root, mediaType: JWS, text: 'junk' });
    const stored = source.manifests.get(junk.digest);
    if (stored === undefined) throw new Error('not stored');
    source.manifests.set(junk.digest, { ...stored, bytes: Buffer.from('{"schemaVersion":2,"layers":7}') });
    expect(await check()).toMatchObject({ state: 'passed' });
  });
});

describe('a run that comes too late', () => {
  test('ends as superseded if the tag has moved', async () => {
    await pushImage(source, { tag: SOURCE.tag, content: 'two' });
    expect(await check()).toEqual({ state: 'superseded' });
  });

  test('reports that the tag is missing or stale', async () => {
    source.tags.delete(SOURCE.tag);
    await expect(check()).rejects.toMatchObject({ code: 'SOURCE_GONE' });
  });

  test('ends as gone if another run owns the row', async () => {
    run = await openRun(world);
    expect(await checkEvidenceStep(world, { ...run, runId: 'another', root, look: 1 }, await callOfNow())).toEqual({
      done: { state: 'gone' },
    });
  });

  test('no longer waits when it checks again; the row has the reason for the wait', async () => {
    const closed = await check();
    if (closed.state !== 'closed') throw new Error('not closed');
    const mark = { ...run, generation: closed.generation, event: 'evidence-1', reasons: closed.reasons, pauseMs: 0 };
    expect(await markWaitingStep(world, mark, newCall())).toEqual({ done: 'waiting' });
    expect(await rowOf(world, run.promotionId)).toMatchObject({ state: 'waiting', waitingFor: 'evidence-1' });
    await look();
    const row = await rowOf(world, run.promotionId);
    expect(row).toMatchObject({ state: 'working' });
    expect(row.waitingFor).toBeUndefined();
    await openRun(world);
    expect(await markWaitingStep(world, mark, newCall())).toEqual({ done: 'again' });
  });

  test('pauses first if it has checked often, and nothing wakes it', async () => {
    const closed = await check();
    if (closed.state !== 'closed') throw new Error('not closed');
    const mark = {
      ...run,
      generation: closed.generation,
      event: 'evidence-9',
      reasons: closed.reasons,
      pauseMs: 60_000,
    };
    expect(await markWaitingStep(world, mark, newCall())).toEqual({ retryAfterMs: 60_000 });
    world.engine.setState(run.runId, 'running');
    await openRun(world);
    const row = await rowOf(world, run.promotionId);
    expect(row).toMatchObject({ state: 'waiting', generation: closed.generation + 1 });
    expect(row.waitingFor).toBeUndefined();
    expect(world.engine.notified).toEqual([]);

    // Its timer was early.
    const after = (waitedMs: number) => markWaitingStep(world, mark, { ...newCall(), waitedMs });
    expect(await after(59_500)).toEqual({ done: 'again' });
    await look();
    expect(await rowOf(world, run.promotionId)).toMatchObject({ state: 'working' });
  });

  test('ends as gone if another run takes the row during the pause', async () => {
    const mark = { ...run, runId: 'another', generation: 1, event: 'evidence-9', reasons: [], pauseMs: 60_000 };
    expect(await markWaitingStep(world, mark, newCall())).toEqual({ done: 'gone' });
  });
});
