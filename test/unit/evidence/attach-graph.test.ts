import { beforeEach, describe, expect, test } from '@jest/globals';
import { TransportError, type Descriptor } from '../../../src/oci/index.js';
import type { Rule } from '../../../src/rules/rule.js';
import { SBOM_MEDIA_TYPES } from '../../../src/sbom/index.js';
import { attachStep } from '../../../src/evidence/attach.js';
import type { StepReply } from '../../../src/ports/step.js';
import { readAttached } from '../../../src/transfer/run-documents.js';
import { subjectLease } from '../../../src/transfer/registry-access.js';
import type { MemoryRepository } from '../../support/memory-repository.js';
import { rule } from '../../support/rules.fixture.js';
import { breakEverywhere } from '../../support/breaking.js';
import {
  NOTARY_SIGNATURE,
  countReferrers,
  pushArtifact,
  pushImage,
  pushIndex,
  pushMultiPlatform,
} from '../../support/images.js';
import { REGISTRY, SOURCE, callOf, newWorld, openRun, type World } from '../../support/world.js';

// SBOMs and signatures of a whole graph, in one long step.

type Run = Awaited<ReturnType<typeof openRun>>;
type Graph = Awaited<ReturnType<typeof pushMultiPlatform>>;

let world: World;
let source: MemoryRepository;

beforeEach(() => {
  world = newWorld();
  source = world.registries.repository(REGISTRY, SOURCE.repository);
});

/** One call of the step; what it throws is returned. */
async function attachOnce(run: Run, root: Descriptor, ports = world, signal?: AbortSignal) {
  const call = await callOf(world, run.runId, signal);
  return attachStep(ports, { promotionId: run.promotionId, runId: run.runId, root: root.digest }, call);
}
const attempt = (run: Run, root: Descriptor, signal?: AbortSignal): Promise<unknown> =>
  attachOnce(run, root, world, signal).catch((error: unknown) => error);

/** Calls it until it is done, as the driver does. */
async function attach(run: Run, root: Descriptor, ports = world): Promise<{ did: string[]; calls: number }> {
  for (let calls = 1; calls < 200; calls += 1) {
    const reply: StepReply<{ did: string[] }> = await attachOnce(run, root, ports);
    if ('done' in reply) return { ...reply.done, calls };
    await new Promise((resolve) => setTimeout(resolve, reply.retryAfterMs / 500));
  }
  throw new Error('it is never done');
}

/** How many SBOMs, signatures of them, and signatures each manifest has. */
async function countsOf({ root, amd64, arm64, attestation }: Graph, at = source): Promise<unknown> {
  const of = async (subject: Descriptor): Promise<number[]> => {
    const sboms = await at.listReferrers(subject.digest, { artifactType: SBOM_MEDIA_TYPES.cyclonedx });
    const signed = await Promise.all(sboms.map((sbom) => countReferrers(at, sbom, NOTARY_SIGNATURE)));
    return [sboms.length, ...signed, await countReferrers(at, subject, NOTARY_SIGNATURE)];
  };
  return { root: await of(root), amd64: await of(amd64), arm64: await of(arm64), attestation: await of(attestation) };
}
/** One SBOM with one signature for each image, one signature for each manifest. */
const ONE_EACH = { root: [0, 1], amd64: [1, 1, 1], arm64: [1, 1, 1], attestation: [0, 1] };
const PUSHES = 2 + 2 + 4;

describe('each image gets an SBOM, and each manifest a signature', () => {
  test('in one call, which reports what it did', async () => {
    const graph = await pushMultiPlatform(source, SOURCE.tag);
    const { did, calls } = await attach(await openRun(world), graph.root);
    expect(calls).toBe(1);
    expect(did.map((line) => line.replace(/sha256:\w+/, 'X'))).toEqual([
      'attached SBOM X of linux/amd64',
      'attached SBOM X of linux/arm64/v8',
      'attached signature X of index',
      'attached signature X of linux/amd64',
      'attached signature X of linux/arm64/v8',
      'attached signature X of attestation',
    ]);
    expect(await countsOf(graph)).toEqual(ONE_EACH);
  });

  test('in many calls, with the same attachments and a complete report', async () => {
    const graph = await pushMultiPlatform(source, SOURCE.tag);
    const before = source.count('pushManifest');
    world.callBounds = { ...world.callBounds, requests: 2 };
    const { did, calls } = await attach(await openRun(world), graph.root);
    expect(calls).toBeGreaterThan(4);
    expect(did.filter((line) => line.startsWith('attached'))).toHaveLength(6);
    expect(await countsOf(graph)).toEqual(ONE_EACH);
    expect(source.count('pushManifest') - before).toBe(PUSHES);
  });

  test('and after a layer that was too slow, the next call reads one layer of one image at a time', async () => {
    const graph = await pushMultiPlatform(source, SOURCE.tag);
    const { sbom } = world;
    const seen: (number | undefined)[] = [];
    let open = 0;
    world.sbom = {
      generate: async (input) => {
        open += 1;
        seen.push(open, input.layersAtOnce);
        const made = await sbom.generate(input);
        open -= 1;
        return made;
      },
    };
    const run = await openRun(world);
    const call = { ...(await callOf(world, run.runId)), trouble: { code: 'LAYER_TOO_SLOW', forMs: 0 } };
    const reply = await attachStep(world, { ...run, root: graph.root.digest }, call);
    expect(reply).toHaveProperty('done');
    expect(seen).toEqual([1, 1, 1, 1]);
  });

  test('and an SBOM continues after the last stored layer in the next call', async () => {
    const image = await pushImage(source, { tag: SOURCE.tag });
    const { sbom } = world;
    const layers: number[] = [];
    world.sbom = {
      generate: async (input) => {
        const read = (await input.layers?.read('key'))?.length ?? 0;
        layers.push(read);
        if (read < 3) await input.layers?.write('key', new Uint8Array(read + 1));
        return sbom.generate(input);
      },
    };
    world.callBounds = { ...world.callBounds, ms: 0 };
    const { did } = await attach(await openRun(world), image);
    // The generator itself stores the one layer of the image.
    expect(layers).toEqual([0, 1, 2, 3, 3]);
    expect(did).toHaveLength(2);
    expect(await countReferrers(source, image, SBOM_MEDIA_TYPES.cyclonedx)).toBe(1);
  });

  test('once if the step is repeated, and the next run finds them', async () => {
    const graph = await pushMultiPlatform(source, SOURCE.tag);
    const run = await openRun(world);
    await attach(run, graph.root);
    await attach(run, graph.root);
    await world.documents.removeAll('documents', 'plans/');
    const { did } = await attach(run, graph.root);
    expect(did.every((line) => line.startsWith('found'))).toBe(true);
    // The first try may have died after it had attached all of it: two SBOMs with a signature each, and four signatures.
    expect(await readAttached(world, run.runId)).toHaveLength(8);
    expect(await countsOf(graph)).toEqual(ONE_EACH);
  });

  test('only as the rule requires', async () => {
    const graph = await pushMultiPlatform(source, SOURCE.tag);
    const unsigned = await attach(await openRun(world, rule({ sign: [] })), graph.root);
    expect(unsigned.did).toHaveLength(2);
    const bare = rule({ name: 'bare', sbom: { formats: [] } });
    expect((await attach(await openRun(world, bare), graph.root)).did).toHaveLength(4);
  });

  test('and the report of a large graph has only numbers', async () => {
    const children: Descriptor[] = [];
    for (let index = 0; index < 90; index += 1)
      children.push(await pushArtifact(source, 'application/x-child', { text: String(index) }));
    const root = await pushIndex(source, children, { tag: SOURCE.tag });
    expect((await attach(await openRun(world), root)).did).toEqual(['signatures: 91 attached, 0 were there']);
  });
});

describe('two concurrent processes', () => {
  const elsewhere = rule({ name: 'other', destination: { reference: `${REGISTRY}/other/{repository}:{tag}` } });

  test('with two runs of two rules attach one each', async () => {
    const graph = await pushMultiPlatform(source, SOURCE.tag);
    world.ruleList = [rule(), elsewhere];
    world.callBounds = { ...world.callBounds, requests: 3 };
    const runs = [await openRun(world, rule()), await openRun(world, elsewhere)];
    const before = source.count('pushManifest');
    await Promise.all(runs.map((run) => attach(run, graph.root)));
    expect(await countsOf(graph)).toEqual(ONE_EACH);
    expect(source.count('pushManifest') - before).toBe(PUSHES);
  });

  test('with two calls of one run attach one each, and one call stops', async () => {
    const graph = await pushMultiPlatform(source, SOURCE.tag);
    const run = await openRun(world);
    const replies = await Promise.all([attachOnce(run, graph.root), attachOnce(run, graph.root)]);
    expect(replies).toContainEqual({ retryAfterMs: 2_000 });
    await attach(run, graph.root);
    expect(await countsOf(graph)).toEqual(ONE_EACH);
  });

  test('with two runs and no lease, as frozen processes, attach one each', async () => {
    const graph = await pushMultiPlatform(source, SOURCE.tag);
    world.ruleList = [rule(), elsewhere];
    const { lease: _lease, ...rest } = world;
    const acquire = async () => ({
      signal: new AbortController().signal,
      heldUntilMs: Date.now() + 30_000,
      release: async () => {},
    });
    const apart = { ...rest, lease: { ...world.lease, acquire } };
    const runs = [await openRun(world, rule()), await openRun(world, elsewhere)];
    await Promise.all(runs.map((run) => attach(run, graph.root, apart)));
    expect(await countsOf(graph)).toEqual(ONE_EACH);
  });

  test.each([
    ['is found when it can be read', 30_000, 'found'],
    ['that is still not there after two minutes is made again', 120_000, 'attached'],
  ])('an SBOM by this app that is listed and cannot be read %s', async (_what, afterMs, did) => {
    const unsigned = rule({ sign: [] });
    const repository = 'staging/samples/app';
    const onward = rule({ name: 'onward', sign: [], source: { registry: REGISTRY, repositories: ['staging/**'] } });
    const image = await pushImage(source, { tag: SOURCE.tag });
    await attach(await openRun(world, unsigned), image);
    // The copy of the first rule is the source of the second: the SBOM has another name there, and other bytes.
    const staging = world.registries.repository(REGISTRY, repository);
    await pushImage(staging, { tag: SOURCE.tag });
    const [sbom] = await source.listReferrers(image.digest);
    const stored = sbom && source.manifests.get(sbom.digest);
    if (sbom === undefined || stored === undefined) throw new Error('no SBOM');
    const list = staging.listReferrers.bind(staging);
    staging.listReferrers = async (digest, options) => {
      const listed = await list(digest, options);
      return listed.some((each) => each.digest === sbom.digest) ? listed : [sbom, ...listed];
    };
    const run = await openRun(world, onward, { ...SOURCE, repository });
    const again = async () => {
      const call = { ...(await callOf(world, run.runId)), waitedMs: 0 };
      return attachStep(world, { promotionId: run.promotionId, runId: run.runId, root: image.digest }, call);
    };
    await expect(again()).rejects.toMatchObject({ code: 'REFERRER_UNKNOWN', transient: true });
    world.nowMs += afterMs;
    if (did === 'found') staging.manifests.set(sbom.digest, stored);
    expect(await again()).toMatchObject({ done: { did: [expect.stringMatching(`^${did} SBOM`)] } });
    expect(await countReferrers(staging, image, SBOM_MEDIA_TYPES.cyclonedx)).toBe(did === 'found' ? 1 : 2);
  });

  test('do not wait for an SBOM that only a referrers tag names, which anybody may write, unless this app attached it there', async () => {
    const unsigned = rule({ sign: [] });
    const image = await pushImage(source, { tag: SOURCE.tag });
    await attach(await openRun(world, unsigned), image);
    const [sbom] = await source.listReferrers(image.digest);
    if (sbom === undefined) throw new Error('no SBOM');
    const named = (at: typeof source): void => {
      const list = at.listReferrers.bind(at);
      at.listReferrers = async (digest, options) => {
        const listed = await list(digest, options);
        return options?.tagSchema === false || listed.length > 0 ? listed : [sbom];
      };
    };
    // Elsewhere, a stranger names the SBOM of another repository.
    const repository = 'samples/other';
    const other = world.registries.repository(REGISTRY, repository);
    await pushImage(other, { tag: SOURCE.tag });
    named(other);
    const attachAt = async (where: string) => {
      const run = await openRun(world, unsigned, { ...SOURCE, repository: where });
      const call = { ...(await callOf(world, run.runId)), waitedMs: 0 };
      return attachStep(world, { promotionId: run.promotionId, runId: run.runId, root: image.digest }, call);
    };
    expect(await attachAt(repository)).toMatchObject({ done: { did: [expect.stringMatching('^attached SBOM')] } });
    // Here, the SBOM is late.
    source.manifests.delete(sbom.digest);
    named(source);
    await world.documents.removeAll('documents', 'plans/');
    await expect(attachAt(SOURCE.repository)).rejects.toMatchObject({ code: 'REFERRER_UNKNOWN' });
  });

  test('do not wait for each other if one subject is held', async () => {
    const graph = await pushMultiPlatform(source, SOURCE.tag);
    const held = await world.lease.acquire(subjectLease(REGISTRY, SOURCE.repository, graph.amd64.digest));
    const run = await openRun(world);
    const reply = await attachOnce(run, graph.root);
    expect(reply).toEqual({ retryAfterMs: 2_000 });
    expect(await countsOf(graph)).toMatchObject({ amd64: [0, 0], arm64: [1, 1, 0] });
    for (let calls = 0; calls < 20; calls += 1) expect(await attachOnce(run, graph.root)).toEqual(reply);
    await held?.release();
    await attach(run, graph.root);
    expect(await countsOf(graph)).toEqual(ONE_EACH);
  });
});

test('after a crash at any call of a port, one each is attached', async () => {
  // Kinds of content are remembered by the process: this one is known from here on.
  await attach(await openRun(world), await pushImage(source, { tag: SOURCE.tag }));
  const calls = await breakEverywhere(
    async () => {
      const made = newWorld();
      const root = await pushImage(made.registries.repository(REGISTRY, SOURCE.repository), { tag: SOURCE.tag });
      made.callBounds = { ...made.callBounds, requests: 2 };
      return { world: made, given: { root, run: await openRun(made) } };
    },
    async (ports, { root, run }) => {
      const { promotionId, runId } = run;
      for (;;) {
        const call = await callOf(ports, runId);
        if ('done' in (await attachStep(ports, { promotionId, runId, root: root.digest }, call))) return;
      }
    },
    async (made, { root }, where) => {
      const at = made.registries.repository(REGISTRY, SOURCE.repository);
      const [sbom, ...others] = await at.listReferrers(root.digest, { artifactType: SBOM_MEDIA_TYPES.cyclonedx });
      const ofSbom = sbom && (await countReferrers(at, sbom, NOTARY_SIGNATURE));
      expect([where, others, ofSbom, await countReferrers(at, root, NOTARY_SIGNATURE)]).toEqual([where, [], 1, 1]);
    },
  );
  expect(calls).toBeGreaterThan(40);
}, 120_000);

describe('attempts without progress', () => {
  const MOST = 8;
  let image: Descriptor;
  let begun: number;

  beforeEach(async () => {
    image = await pushImage(source, { tag: SOURCE.tag });
    begun = 0;
  });

  /** Does something each time that the key signs, or an SBOM is begun. */
  function before(what: 'sign' | 'generate', act: () => void): void {
    const { signer, sbom } = newWorld();
    if (signer === undefined) throw new Error('no signer');
    const counted = (): void => {
      begun += 1;
      act();
    };
    world.sbom = sbom;
    world.signer = signer;
    if (what === 'generate') {
      world.sbom = {
        generate: async (input) => {
          counted();
          input.signal?.throwIfAborted();
          return sbom.generate(input);
        },
      };
    } else {
      world.signer = {
        ...signer,
        sign: async (...given) => {
          counted();
          return signer.sign(...given);
        },
      };
    }
  }
  const loseAll = (): void => {
    for (const name of world.lease.held) world.lease.lose(name);
  };
  const bare = rule({ sbom: { formats: [] } });

  test.each<['sign' | 'generate', Rule]>([
    ['sign', bare],
    ['generate', rule()],
  ])('a lease that is lost each time (%s): so often and no more, in this run', async (what, which) => {
    before(what, loseAll);
    world.ruleList = [which];
    const run = await openRun(world, which);
    for (let attempts = 0; attempts < MOST; attempts += 1) {
      expect(await attempt(run, image)).toMatchObject({ code: 'LEASE_LOST' });
    }
    expect(begun).toBe(MOST);
    expect(await attempt(run, image)).toMatchObject({ code: 'STEP_STUCK', remedy: expect.any(String) });
    expect(begun).toBe(MOST);
    before(what, () => {});
    const next = await openRun(world, rule({ ...which, name: 'next' }), { ...SOURCE });
    expect((await attach(next, image)).did.length).toBeGreaterThan(0);
  });

  test('are counted if an SBOM does not end within a call', async () => {
    const run = await openRun(world);
    for (let attempts = 0; attempts < MOST; attempts += 1) {
      const over = new AbortController();
      world.sbom = {
        generate: () => {
          over.abort(new DOMException('over', 'TimeoutError'));
          return Promise.reject(over.signal.reason as DOMException);
        },
      };
      expect(await attempt(run, image, over.signal)).toMatchObject({ name: 'TimeoutError' });
    }
    expect(await attempt(run, image)).toMatchObject({ code: 'STEP_STUCK' });
  });

  test.each(['sign', 'generate'] as const)(
    'are not counted for other errors, which are waited for (%s)',
    async (what) => {
      const run = await openRun(world);
      before(what, () => {
        throw new TransportError('CONNECT_FAILED', 'down', { transient: true });
      });
      for (let attempts = 0; attempts < 3 * MOST; attempts += 1) {
        expect(await attempt(run, image)).toMatchObject({ code: 'CONNECT_FAILED' });
      }
      before(what, () => {});
      expect((await attach(run, image)).did).toHaveLength(2);
    },
  );

  test('are not counted for a lease that is lost now and then', async () => {
    before('sign', loseAll);
    const run = await openRun(world);
    for (let attempts = 1; attempts < MOST; attempts += 1) await attempt(run, image);
    before('sign', () => {});
    expect((await attach(run, image)).did).toHaveLength(2);
  });
});

describe('a rule that attaches at the destination', () => {
  const there = rule({ attachTo: 'destination' });

  test('does not change the source', async () => {
    const graph = await pushMultiPlatform(source, SOURCE.tag);
    const run = await openRun(world, there);
    const destination = world.registries.repository(REGISTRY, 'staging/samples/app');
    await pushMultiPlatform(destination, 'v1');
    const before = source.count('pushManifest');
    await attach(run, graph.root);
    expect(await countsOf(graph, destination)).toEqual(ONE_EACH);
    expect(source.count('pushManifest')).toBe(before);
  });

  test('does not report missing content at the destination as missing at the source', async () => {
    const graph = await pushMultiPlatform(source, SOURCE.tag);
    const run = await openRun(world, there);
    expect(await attempt(run, graph.root)).toMatchObject({ code: 'MANIFEST_UNKNOWN' });
  });
});

test('a graph that is missing at the source is waited for', async () => {
  const { root, amd64 } = await pushMultiPlatform(source, SOURCE.tag);
  source.manifests.delete(amd64.digest);
  const run = await openRun(world);
  for (let attempts = 0; attempts < 10; attempts += 1)
    expect(await attempt(run, root)).toMatchObject({ code: 'SOURCE_GONE' });
  await pushMultiPlatform(source, SOURCE.tag);
  expect((await attach(run, root)).did).toHaveLength(6);
});
