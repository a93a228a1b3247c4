import { beforeEach, describe, expect, test } from '@jest/globals';
import { SBOM_MEDIA_TYPES } from '../../../src/sbom/index.js';
import type { Descriptor } from '../../../src/oci/index.js';
import { incrementGeneration } from '../../../src/rows/generation.js';
import type { MemoryRepository } from '../../support/memory-repository.js';
import { rule } from '../../support/rules.fixture.js';
import {
  NOTARY_SIGNATURE,
  countReferrers,
  pushArtifact,
  pushImage,
  pushMultiPlatform,
  pushSignature,
} from '../../support/images.js';
import {
  DESTINATION,
  REGISTRY,
  SOURCE,
  newSigner,
  openRun,
  refusal,
  rowOf,
  tagAt,
  type World,
} from '../../support/world.js';
import { newPlayedWorld, outcomes, type Around, type PlayedWorld } from '../../support/played-world.js';

// Orchestrations and the real steps together, over ports in memory: what the engine does is played.

let world: World;
let source: MemoryRepository;
let destination: MemoryRepository;
let playAll: PlayedWorld['playAll'];

beforeEach(() => {
  ({ world, source, destination, playAll } = newPlayedWorld());
});

const events = (): string[] =>
  world.queues.sent.map(({ text }) => (JSON.parse(text) as { data: { outcome: string } }).data.outcome);

async function attached(subject: Descriptor, at = source): Promise<{ sboms: number; signatures: number }> {
  return {
    sboms: await countReferrers(at, subject, SBOM_MEDIA_TYPES.cyclonedx),
    signatures: await countReferrers(at, subject, NOTARY_SIGNATURE),
  };
}

describe('an image that is pushed', () => {
  test('is promoted with SBOM and signatures; then nothing differs', async () => {
    const { root, amd64, arm64, attestation } = await pushMultiPlatform(source, SOURCE.tag);
    await pushArtifact(source, 'application/x-report', { subject: amd64 });
    const run = await openRun(world);
    expect(outcomes(await playAll())).toEqual(['promoted']);
    expect(tagAt(world, DESTINATION)).toBe(root.digest);
    for (const image of [amd64, arm64]) {
      expect(await attached(image, destination)).toEqual({ sboms: 1, signatures: 1 });
    }
    for (const other of [root, attestation]) {
      expect(await attached(other, destination)).toEqual({ sboms: 0, signatures: 1 });
    }
    expect(await countReferrers(destination, amd64, 'application/x-report')).toBe(1);
    expect(await rowOf(world, run.promotionId)).toMatchObject({ state: 'in_sync', runOpen: false });
    await openRun(world);
    expect(outcomes(await playAll())).toEqual(['unchanged']);
    expect(events()).toEqual(['promoted']);
  });

  test.each([
    [
      'each answer is lost once',
      async (work, call) => {
        const answer = await work();
        if (call % 2 === 1) throw new Error('CONNECTION_CLOSED: the answer is lost');
        return answer;
      },
    ],
    [
      'each step is done twice',
      async (work) => {
        await work();
        return work();
      },
    ],
    [
      'each step is done twice at the same time',
      async (work) => {
        const answers = await Promise.all([work(), work()]);
        return answers.find((answer) => !('later' in (answer as object))) ?? answers[0];
      },
    ],
  ] as [string, Around][])('%s: one SBOM, one signature, all the same', async (_name, around) => {
    const image = await pushImage(source, { tag: SOURCE.tag });
    await openRun(world);
    expect(outcomes(await playAll(around))).toEqual(['promoted']);
    expect(await attached(image)).toEqual({ sboms: 1, signatures: 1 });
    expect(await attached(image, destination)).toEqual({ sboms: 1, signatures: 1 });
    expect(tagAt(world, DESTINATION)).toBe(image.digest);
    expect(new Set(world.queues.sent.map(({ text }) => text)).size).toBe(1);
  });

  test('under three tags has three destination tags, one SBOM and one signature', async () => {
    const image = await pushImage(source);
    for (const tag of ['v1', 'v2', 'v3']) {
      source.tags.set(tag, image.digest);
      await openRun(world, rule(), { ...SOURCE, tag });
    }
    expect(outcomes(await playAll())).toEqual(['promoted', 'promoted', 'promoted']);
    expect(await attached(image)).toEqual({ sboms: 1, signatures: 1 });
    expect(Object.fromEntries(destination.tags)).toEqual({ v1: image.digest, v2: image.digest, v3: image.digest });
  });

  test('as A, B and A ends with A', async () => {
    const first = await pushImage(source, { tag: SOURCE.tag, content: 'A' });
    await openRun(world);
    // B comes while A is copied, and A comes back while B is.
    const pushes = [
      () => pushImage(source, { tag: SOURCE.tag, content: 'B' }),
      async () => source.tags.set(SOURCE.tag, first.digest),
    ];
    const around: Around = async (work, _call, name) => {
      const answer = await work();
      const push = name === 'verifyArrival' ? pushes.shift() : undefined;
      if (push !== undefined) {
        await push();
        await openRun(world);
      }
      return answer;
    };
    expect(outcomes(await playAll(around))).toEqual(['superseded', 'superseded', 'promoted']);
    expect(tagAt(world, DESTINATION)).toBe(first.digest);
    expect(await attached(first)).toEqual({ sboms: 1, signatures: 1 });
    expect(events()).toEqual(['superseded', 'superseded', 'promoted']);
  });

  test('under a rule that observes is not written, and the result names the differences', async () => {
    world.ruleList = [rule({ mode: 'observe' })];
    const image = await pushImage(source, { tag: SOURCE.tag });
    await openRun(world);
    expect(outcomes(await playAll())).toEqual(['observed']);
    expect(await attached(image)).toEqual({ sboms: 0, signatures: 0 });
    expect(destination.manifests.size).toBe(0);
    expect(world.documents.kept.has(`receipts/${world.engine.starts[0]?.id ?? ''}.json`)).toBe(true);
  });
});

describe('a rule that requires a signature', () => {
  const release = newSigner('release');

  beforeEach(() => {
    world.ruleList = [rule({ verify: { signatures: [{ format: 'notary', trustStore: release.certificatePem }] } })];
  });

  test('waits until the push of the signature wakes its run', async () => {
    const image = await pushImage(source, { tag: SOURCE.tag });
    const run = await openRun(world);
    const sign: Around = async (work, call, name) => {
      const answer = await work();
      if (name !== 'markWaiting' || call > 1) return answer;
      await pushSignature(source, image, release.signer);
      await incrementGeneration(world, run.rule, SOURCE, { kind: 'push' });
      return answer;
    };
    const runs = await playAll(sign, { event: ([name]) => (world.engine.notified.length > 0 ? name : undefined) });
    expect(outcomes(runs)).toEqual(['promoted']);
    expect(runs[0]?.timersMs).toEqual([]);
    expect(world.engine.notified).toEqual([{ id: run.runId, event: 'evidence-1' }]);
    expect(await attached(image, destination)).toEqual({ sboms: 1, signatures: 2 });
  });

  describe('with hundreds of other pushes', () => {
    const pushes = (count: number) => async (): Promise<void> => {
      for (let push = 0; push < count; push += 1) await openRun(world, world.ruleList[0]);
    };
    /** At each step somebody pushes. */
    const flooded = (push: () => Promise<void>): Around => {
      return async (work, _call, name) => {
        if (name === 'checkEvidence' || name === 'markWaiting') await push();
        return work();
      };
    };
    const woken = (waits: readonly string[]): string | undefined =>
      world.engine.notified.map(({ event }) => event).find((event) => waits.includes(event));

    test('checks about fifty times in an hour', async () => {
      await pushImage(source, { tag: SOURCE.tag });
      const run = await openRun(world);
      const [played] = await playAll(flooded(pushes(5)), { event: woken, twiceEvery: 50 });
      expect(played?.output).toMatchObject({ outcome: 'refused', code: 'EVIDENCE_MISSING' });
      const called = (name: string): number => played?.calls.filter((call) => call.name === name).length ?? 0;
      expect((await rowOf(world, run.promotionId)).generation).toBeGreaterThan(500);
      expect(called('checkEvidence')).toBeGreaterThan(40);
      expect(called('checkEvidence')).toBeLessThanOrEqual(51);
      // Each look, its pause, and the mark after it.
      expect(played?.calls.length).toBeLessThanOrEqual(3 * 51);
      expect(played?.timersMs.length).toBeLessThanOrEqual(51);
      expect(world.engine.notified).toEqual([]);
    });

    test('finds the signature within seconds if it is among the first pushes', async () => {
      const image = await pushImage(source, { tag: SOURCE.tag });
      await openRun(world);
      let calls = 0;
      const push = async (): Promise<void> => {
        if ((calls += 1) === 16) await pushSignature(source, image, release.signer);
        await pushes(1)();
      };
      const [played] = await playAll(flooded(push), { event: woken });
      expect(played?.output).toMatchObject({ outcome: 'promoted' });
      const looks = played?.calls.filter(({ name }) => name === 'checkEvidence').length;
      expect(looks).toBeGreaterThan(5);
      expect(played?.elapsedMs).toBeLessThan(12_000);
    });
  });

  test('is refused after an hour, and promoted by the next run when the signature is pushed', async () => {
    const image = await pushImage(source, { tag: SOURCE.tag });
    const run = await openRun(world);
    expect(outcomes(await playAll())).toEqual(['refused']);
    expect(await rowOf(world, run.promotionId)).toMatchObject({ state: 'refused', last: { code: 'EVIDENCE_MISSING' } });
    expect(await attached(image)).toEqual({ sboms: 0, signatures: 0 });
    await pushSignature(source, image, release.signer);
    await openRun(world);
    expect(outcomes(await playAll())).toEqual(['promoted']);
    expect(events()).toEqual(['refused', 'promoted']);
  });
});

describe('two rules', () => {
  test('with one destination: the first owns it and the second is refused', async () => {
    world.ruleList = [rule(), rule({ name: 'second' })];
    await pushImage(source, { tag: SOURCE.tag });
    await openRun(world, world.ruleList[0]);
    const second = await openRun(world, world.ruleList[1]);
    expect(outcomes(await playAll())).toEqual(['promoted', 'refused']);
    expect(await rowOf(world, second.promotionId)).toMatchObject({ last: { code: 'DESTINATION_TAKEN' } });
  });

  test.each([[['notary']], [[]]])(
    'one after the other: from staging to production, nothing made twice (sign: %j)',
    async (sign) => {
      const next = rule({
        name: 'production',
        sign,
        source: { registry: REGISTRY, repositories: ['staging/**'] },
        destination: { reference: `${REGISTRY}/production/{repository}:{tag}` },
      });
      world.ruleList = [rule({ sign }), next];
      const image = await pushImage(source, { tag: SOURCE.tag });
      await openRun(world);
      await playAll();
      await openRun(world, next, { ...SOURCE, repository: 'staging/samples/app' });
      expect(outcomes(await playAll())).toEqual(['promoted']);
      const production = world.registries.repository(REGISTRY, 'production/staging/samples/app');
      expect(await attached(image, production)).toEqual({ sboms: 1, signatures: sign.length });
    },
  );
});

describe('a rule that attaches at the destination', () => {
  beforeEach(() => {
    world.ruleList = [rule({ attachTo: 'destination' })];
    source.fault = ({ method }) => {
      if (method.startsWith('push') || method === 'deleteManifest') throw refusal(403, 'DENIED');
    };
  });
  /** People push all the same. */
  async function pushed<T>(push: () => Promise<T>): Promise<T> {
    const { fault } = source;
    source.fault = undefined;
    try {
      return await push();
    } finally {
      source.fault = fault;
    }
  }

  test('only reads the source and sets the tag after SBOMs and signatures; then nothing differs', async () => {
    const { root, amd64, arm64, attestation } = await pushed(() => pushMultiPlatform(source, SOURCE.tag));
    const order: string[] = [];
    await openRun(world);
    const runs = await playAll(async (work, _call, name) => {
      order.push(name);
      return work();
    });
    expect(outcomes(runs)).toEqual(['promoted']);
    expect([...new Set(order)]).toEqual(['observe', 'copy', 'verifyArrival', 'attach', 'tagDestination', 'closeRun']);
    expect(tagAt(world, DESTINATION)).toBe(root.digest);
    for (const image of [amd64, arm64]) {
      expect(await attached(image, destination)).toEqual({ sboms: 1, signatures: 1 });
      expect(await attached(image)).toEqual({ sboms: 0, signatures: 0 });
    }
    for (const other of [root, attestation]) {
      expect(await attached(other, destination)).toEqual({ sboms: 0, signatures: 1 });
    }
    await openRun(world);
    expect(outcomes(await playAll())).toEqual(['unchanged']);
  });

  test('restores missing attachments there, and copies later referrers of the source', async () => {
    const image = await pushed(() => pushImage(source, { tag: SOURCE.tag }));
    await openRun(world);
    await playAll();
    const referrers = await destination.listReferrers(image.digest);
    for (const { digest } of referrers) await destination.deleteManifest(digest);
    await pushed(() => pushArtifact(source, 'application/x-scan', { subject: image }));
    await openRun(world);
    expect(outcomes(await playAll())).toEqual(['promoted']);
    expect(await attached(image, destination)).toEqual({ sboms: 1, signatures: 1 });
    const again = await destination.listReferrers(image.digest);
    expect(again.map(({ digest }) => digest)).toEqual(expect.arrayContaining(referrers.map(({ digest }) => digest)));
    expect(await countReferrers(destination, image, 'application/x-scan')).toBe(1);
  });

  test('waits for the evidence of others at the source', async () => {
    const release = newSigner('release');
    world.ruleList = [
      rule({
        attachTo: 'destination',
        verify: { signatures: [{ format: 'notary', trustStore: release.certificatePem }] },
      }),
    ];
    const image = await pushed(() => pushImage(source, { tag: SOURCE.tag }));
    await openRun(world);
    expect(outcomes(await playAll())).toEqual(['refused']);
    expect(destination.manifests.size).toBe(0);
    await pushed(() => pushSignature(source, image, release.signer));
    await openRun(world);
    expect(outcomes(await playAll())).toEqual(['promoted']);
    expect(await attached(image, destination)).toEqual({ sboms: 1, signatures: 2 });
  });

  test('gets the same signature as a rule that attaches at the source', async () => {
    source.fault = undefined;
    const elsewhere = rule({
      name: 'elsewhere',
      attachTo: 'destination',
      destination: { reference: `${REGISTRY}/elsewhere/{repository}:{tag}` },
    });
    world.ruleList = [rule(), elsewhere];
    const image = await pushImage(source, { tag: SOURCE.tag });
    await openRun(world, elsewhere);
    await openRun(world);
    expect(outcomes(await playAll())).toEqual(['promoted', 'promoted']);
    const signatureAt = async (at: MemoryRepository): Promise<string[]> =>
      (await at.listReferrers(image.digest, { artifactType: NOTARY_SIGNATURE })).map(({ digest }) => digest);
    const there = world.registries.repository(REGISTRY, 'elsewhere/samples/app');
    expect(await signatureAt(there)).toEqual(await signatureAt(destination));
  });
});

describe('a registry that refuses a write', () => {
  test('at the source ends the run at once, with a remedy that names the option', async () => {
    await pushImage(source, { tag: SOURCE.tag });
    source.fault = ({ method }) => {
      if (method.startsWith('push')) throw refusal(403, 'DENIED');
    };
    const run = await openRun(world);
    const [played] = await playAll();
    expect(played?.timersMs).toEqual([]);
    expect((await rowOf(world, run.promotionId)).last).toMatchObject({
      outcome: 'failed',
      code: 'SOURCE_NOT_WRITABLE',
      remedy: expect.stringContaining('attachTo'),
    });
    expect(destination.manifests.size).toBe(0);
  });

  test('of a locked destination tag ends the run as refused, without retries', async () => {
    await pushImage(source, { tag: SOURCE.tag });
    const other = await pushImage(destination, { tag: SOURCE.tag, content: 'other' });
    destination.locked.add(SOURCE.tag);
    const run = await openRun(world);
    const [played] = await playAll();
    expect(played?.calls.filter(({ name }) => name === 'tagDestination')).toHaveLength(1);
    expect(played?.timersMs).toEqual([]);
    const { last, state } = await rowOf(world, run.promotionId);
    expect([state, last?.code]).toEqual(['refused', 'DESTINATION_LOCKED']);
    expect(tagAt(world, DESTINATION)).toBe(other.digest);
  });
});

describe('a promotion', () => {
  test('fails if a registry is down for longer than the deadline, and the next run promotes it', async () => {
    const image = await pushImage(source, { tag: SOURCE.tag });
    const run = await openRun(world);
    const down: Around = (work, _call, name) =>
      name === 'copy' ? Promise.reject(new Error('CONNECT_FAILED: it is down')) : work();
    expect(outcomes(await playAll(down))).toEqual(['failed']);
    expect(await rowOf(world, run.promotionId)).toMatchObject({ state: 'failed', last: { code: 'CONNECT_FAILED' } });
    expect(tagAt(world, DESTINATION)).toBeUndefined();
    await openRun(world);
    expect(outcomes(await playAll())).toEqual(['promoted']);
    expect(await attached(image)).toEqual({ sboms: 1, signatures: 1 });
  });

  test('signs again after a key rotation, and makes no second SBOM', async () => {
    const image = await pushImage(source, { tag: SOURCE.tag });
    await openRun(world);
    expect(outcomes(await playAll())).toEqual(['promoted']);
    world.signer = newSigner('rotated').signer;
    await openRun(world);
    expect(outcomes(await playAll())).toEqual(['promoted']);
    expect(await attached(image)).toEqual({ sboms: 1, signatures: 2 });
    await openRun(world);
    expect(outcomes(await playAll())).toEqual(['unchanged']);
    expect(await attached(image)).toEqual({ sboms: 1, signatures: 2 });
  });

  test.each(['source', 'destination'])(
    'without a key, attachTo: %s fails before anything is written',
    async (attachTo) => {
      world.signer = undefined;
      world.ruleList = [rule({ attachTo })];
      await pushImage(source, { tag: SOURCE.tag });
      const run = await openRun(world);
      expect(outcomes(await playAll())).toEqual(['failed']);
      expect((await rowOf(world, run.promotionId)).last).toMatchObject({
        code: 'SIGNING_KEY_MISSING',
        remedy: expect.stringContaining('SIGNING_KEY'),
      });
      expect(source.manifests.size).toBe(1);
      expect(destination.calls.filter(({ method }) => /^(?:push|mount)/.test(method))).toEqual([]);
    },
  );
});
