import { beforeEach, describe, expect, test } from '@jest/globals';
import type { Change, Handled } from '../../../src/promotions/change.js';
import { handleChange, handleRegistryEvent } from '../../../src/promotions/handle-change.js';
import type { RegistryEvent } from '../../../src/messages/registry-event.js';
import { TransportError, type Descriptor } from '../../../src/oci/index.js';
import { promotionId, type Rule } from '../../../src/rules/rule.js';
import { closePromotion } from '../../../src/rows/generation.js';
import { writeDigest } from '../../../src/rows/row-writes.js';
import { observeStep } from '../../../src/promotions/observe.js';
import { countStoreCalls } from '../../support/counted-store.js';
import type { MemoryRepository } from '../../support/memory-repository.js';
import { rule } from '../../support/rules.fixture.js';
import { pushArtifact, pushImage, pushMultiPlatform } from '../../support/images.js';
import { REGISTRY, SOURCE, callOf, newWorld, openRun, rowOf, type World } from '../../support/world.js';

let world: World;
let source: MemoryRepository;

beforeEach(() => {
  world = newWorld();
  source = world.registries.repository(REGISTRY, SOURCE.repository);
});

function handle(changes: Partial<RegistryEvent> = {}): Promise<Handled> {
  const event: RegistryEvent = {
    id: 'e1',
    kind: 'pushed',
    registry: REGISTRY,
    repository: SOURCE.repository,
    time: '2026-01-01T00:00:00Z',
    ...changes,
  };
  return handleRegistryEvent(world, event, new AbortController().signal);
}
const ignored = async (): Promise<string[]> => (await world.store.listIgnored()).items.map(({ reason }) => reason);
const P1 = promotionId('staging', SOURCE);

/** A promotion that stands on the graph under the source tag. */
async function standing(): Promise<void> {
  const run = await openRun(world);
  world.engine.setState(run.runId, 'running');
  await observeStep(world, run, await callOf(world, run.runId));
}

describe('a tag is pushed', () => {
  test('increments each promotion whose rule matches', async () => {
    world.ruleList = [
      rule(),
      rule({ name: 'mirror', destination: { reference: `${REGISTRY}/m/{repository}:{tag}` } }),
      rule({ name: 'scheduled', triggers: ['schedule'] }),
      rule({ name: 'others', source: { registry: REGISTRY, repositories: ['others/**'] } }),
    ];
    const { digest } = await pushImage(source, { tag: SOURCE.tag });
    const { incremented } = await handle({ tag: SOURCE.tag, digest });
    expect(incremented).toEqual([P1, promotionId('mirror', SOURCE)]);
    expect(world.engine.starts).toHaveLength(2);
    expect(await ignored()).toEqual([]);
  });

  test('the same event three times increments once', async () => {
    const { digest } = await pushImage(source, { tag: SOURCE.tag });
    for (let time = 0; time < 3; time += 1) await handle({ tag: SOURCE.tag, digest });
    expect(world.engine.starts).toHaveLength(1);
    expect((await rowOf(world, P1)).generation).toBe(1);
  });

  test('increments a promotion also without a digest in the event', async () => {
    expect((await handle({ tag: SOURCE.tag })).incremented).toEqual([P1]);
  });

  test('increments a promotion even if the tag is gone or unreadable; the run reports it', async () => {
    const digest: Descriptor['digest'] = `sha256:${'a'.repeat(64)}`;
    expect((await handle({ tag: SOURCE.tag, digest })).incremented).toEqual([P1]);
    const image = await pushImage(source, { tag: SOURCE.tag });
    const stored = source.manifests.get(image.digest);
    if (stored === undefined) throw new Error('not stored');
    source.manifests.set(image.digest, { ...stored, bytes: Buffer.from('{"schemaVersion":1}') });
    expect((await handle({ tag: SOURCE.tag, digest: image.digest })).incremented).toEqual([P1]);
  });

  test('is delivered again if the registry is down', async () => {
    const { digest } = await pushImage(source, { tag: SOURCE.tag });
    source.failNth('fetchManifest', 1, new TransportError('CONNECT_FAILED', 'down'));
    await expect(handle({ tag: SOURCE.tag, digest })).rejects.toMatchObject({ code: 'CONNECT_FAILED' });
    expect(world.engine.starts).toEqual([]);
  });

  test('if one rule has no valid destination for the tag, the generations of the others are incremented, and the event is kept with the reason', async () => {
    const odd = rule({ name: 'odd', destination: { reference: `${REGISTRY}/odd/{tag}:latest` } });
    world.ruleList = [odd, rule()];
    await expect(handle({ tag: 'V1' })).rejects.toMatchObject({ code: 'REFERENCE_INVALID' });
    expect(world.engine.starts).toHaveLength(1);
    expect(await rowOf(world, promotionId('staging', { ...SOURCE, tag: 'V1' }))).toMatchObject({ runOpen: true });
  });

  test('with a manifest that has a subject triggers the subject’s promotions and creates none', async () => {
    const subject = await pushImage(source, { tag: SOURCE.tag });
    await standing();
    const { digest } = await pushArtifact(source, 'application/x-report', { subject, tag: 'report' });
    expect((await handle({ tag: 'report', digest })).incremented).toEqual([P1]);
    expect(await world.store.getPromotion(promotionId('staging', { ...SOURCE, tag: 'report' }))).toBeUndefined();
  });
});

describe('a promotion that knows the event already', () => {
  const promoted = async (digest: string): Promise<void> => {
    const { id, runId = '', generation } = await rowOf(world, P1);
    world.engine.setState(runId, 'ended');
    await closePromotion(world, id, runId, { generation, rule: rule(), result: { outcome: 'promoted', digest } });
  };
  const digests: Descriptor['digest'][] = [];
  beforeEach(async () => {
    digests.length = 0;
    for (const content of ['one', 'two']) digests.push((await pushImage(source, { tag: SOURCE.tag, content })).digest);
  });

  test('reads only for a duplicate, during its run and after it', async () => {
    const [digest] = digests;
    if (digest === undefined) throw new Error('nothing was pushed');
    expect((await handle({ tag: SOURCE.tag, digest })).incremented).toEqual([P1]);
    const calls = countStoreCalls(world);
    expect((await handle({ tag: SOURCE.tag, digest })).incremented).toEqual([]);
    await promoted(digest);
    calls.length = 0;
    expect((await handle({ tag: SOURCE.tag, digest, id: 'again' })).incremented).toEqual([]);
    expect(calls).toEqual(['getPromotion']);
    expect(await rowOf(world, P1)).toMatchObject({ generation: 1, state: 'in_sync' });
  });

  test('reads only for an event that a later one has overtaken', async () => {
    const [first, second] = digests;
    if (first === undefined || second === undefined) throw new Error('nothing was pushed');
    await handle({ tag: SOURCE.tag, digest: first });
    await promoted(first);
    await handle({ tag: SOURCE.tag, digest: second, time: '2026-01-01T00:01:00Z' });
    await promoted(second);
    expect((await handle({ tag: SOURCE.tag, digest: first })).incremented).toEqual([]);
    expect((await rowOf(world, P1)).generation).toBe(2);
  });

  test('is triggered by a push of the same digest, a move back and a deletion', async () => {
    const [first, second] = digests;
    if (first === undefined || second === undefined) throw new Error('nothing was pushed');
    await handle({ tag: SOURCE.tag, digest: first });
    await promoted(first);
    let minute = 0;
    const later = (): string => `2026-01-01T00:0${(minute += 1)}:00Z`;
    for (const digest of [first, second, first]) {
      expect((await handle({ tag: SOURCE.tag, digest, time: later() })).incremented).toEqual([P1]);
      await promoted(digest);
    }
    expect((await handle({ kind: 'deleted', tag: SOURCE.tag, time: later() })).incremented).toEqual([P1]);
  });

  test('is triggered by a duplicate if its rule was edited since', async () => {
    const [digest] = digests;
    if (digest === undefined) throw new Error('nothing was pushed');
    await handle({ tag: SOURCE.tag, digest });
    await promoted(digest);
    world.ruleList = [rule({ sign: [] })];
    expect((await handle({ tag: SOURCE.tag, digest })).incremented).toEqual([P1]);
  });

  test('is triggered by a duplicate if it is not in sync', async () => {
    const [digest] = digests;
    if (digest === undefined) throw new Error('nothing was pushed');
    await handle({ tag: SOURCE.tag, digest });
    const { id, runId = '', generation } = await rowOf(world, P1);
    const result = { outcome: 'failed', code: 'X', digest } as const;
    await closePromotion(world, id, runId, { generation, rule: rule(), result });
    expect((await handle({ tag: SOURCE.tag, digest })).incremented).toEqual([P1]);
  });
});

describe('the number of table requests is limited', () => {
  test('for a push of one promotion', async () => {
    const { digest } = await pushImage(source, { tag: SOURCE.tag });
    const calls = countStoreCalls(world);
    await handle({ tag: SOURCE.tag, digest });
    expect(calls).toEqual(['getPromotion', 'insertPromotion', 'insertRun']);
  });

  test('for a push of four promotions', async () => {
    world.ruleList = ['a', 'b', 'c', 'd'].map((name) =>
      rule({ name, destination: { reference: `${REGISTRY}/${name}/{repository}:{tag}` } }),
    );
    const { digest } = await pushImage(source, { tag: SOURCE.tag });
    const calls = countStoreCalls(world);
    await handle({ tag: SOURCE.tag, digest });
    expect(calls).toHaveLength(12);
  });

  test('for a referrer of four promotions that are in sync', async () => {
    const root = await pushImage(source, { tag: SOURCE.tag });
    for (const tag of ['v1', 'v2', 'v3', 'v4']) {
      source.tags.set(tag, root.digest);
      const run = await openRun(world, rule(), { ...SOURCE, tag });
      await observeStep(world, run, await callOf(world, run.runId));
      const { generation } = await rowOf(world, run.promotionId);
      const result = { outcome: 'promoted', digest: root.digest } as const;
      await closePromotion(world, run.promotionId, run.runId, { generation, rule: rule(), result });
    }
    const { digest } = await pushArtifact(source, 'application/x-report', { subject: root });
    const calls = countStoreCalls(world);
    expect((await handle({ digest })).incremented).toHaveLength(4);
    expect(calls).toHaveLength(2 + 4 * 4);
  });
});

describe('a missing manifest', () => {
  const unknown: Descriptor['digest'] = `sha256:${'d'.repeat(64)}`;

  test('makes an event unreadable without a tag, or with a tag that no rule matches', async () => {
    world.ruleList = [rule({ source: { registry: REGISTRY, repositories: ['samples/**'], tags: ['v*'] } })];
    expect((await handle({ digest: unknown })).state).toBe('unreadable');
    expect((await handle({ digest: unknown, tag: 'latest' })).state).toBe('unreadable');
    expect(await ignored()).toEqual([]);
  });

  test('does not delay an event with a tag that a rule matches', async () => {
    expect(await handle({ digest: unknown, tag: SOURCE.tag })).toMatchObject({ state: 'done', incremented: [P1] });
  });

  test('that is the subject of the pushed manifest makes the event unreadable', async () => {
    const subject = { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest: unknown, size: 2 } as Descriptor;
    const { digest } = await pushArtifact(source, 'application/x-report', { subject });
    expect((await handle({ digest })).state).toBe('unreadable');
  });
});

describe('if there are more promotions than one call triggers,', () => {
  test('the following calls trigger the others, each at least once', async () => {
    const root = await pushImage(source, { tag: SOURCE.tag });
    const ids: string[] = [];
    for (let nth = 0; nth < 120; nth += 1) {
      const { promotionId: id } = await openRun(world, rule(), { ...SOURCE, tag: `v${nth}` });
      ids.push(id);
      await world.store.addToSubjectIndex(
        { registry: REGISTRY, repository: SOURCE.repository, digest: root.digest },
        id,
        { root: root.digest, at: '' },
      );
    }
    const { digest } = await pushArtifact(source, 'application/x-report', { subject: root });
    const event: RegistryEvent = {
      id: 'e1',
      kind: 'pushed',
      registry: REGISTRY,
      repository: SOURCE.repository,
      digest,
      time: '2026-01-01T00:00:00Z',
    };
    const incremented: string[] = [];
    let from: string | undefined;
    let calls = 0;
    do {
      const handled = await handleRegistryEvent(world, event, new AbortController().signal, from);
      incremented.push(...handled.incremented);
      calls += 1;
      from = handled.next;
    } while (from !== undefined);
    expect(calls).toBe(3);
    expect(incremented.toSorted()).toEqual(ids.toSorted());
    // Once more from the start: reads only.
    expect((await handleRegistryEvent(world, event, new AbortController().signal)).incremented).toEqual([]);
  });
});

describe('an event that no rule matches', () => {
  test('is kept as ignored, with the nearest rule and its first failed condition', async () => {
    world.ruleList = [rule({ source: { registry: REGISTRY, repositories: ['samples/**'], tags: ['v*'] } })];
    const { digest } = await pushImage(source, { tag: 'latest' });
    expect((await handle({ tag: 'latest', digest })).incremented).toEqual([]);
    expect((await world.store.listIgnored()).items).toEqual([
      {
        at: world.now().toISOString(),
        reference: `${REGISTRY}/samples/app:latest@${digest}`,
        eventId: 'e1',
        reason: 'rule staging: tag latest is not in v*',
      },
    ]);
  });

  test.each([
    ['there are no rules', () => [], 'there are no rules'],
    [
      'none is triggered by pushes',
      () => [rule({ triggers: ['schedule'] })],
      'rule staging: is not triggered by pushes; its schedule will look',
    ],
  ])('is ignored if %s', async (_name, rules, reason) => {
    world.ruleList = rules();
    await handle({ tag: SOURCE.tag });
    expect(await ignored()).toEqual([reason]);
  });

  test('causes no request to a registry that the settings do not name', async () => {
    await handle({ registry: 'elsewhere.azurecr.io', tag: 'v1', digest: `sha256:${'a'.repeat(64)}` });
    expect(await ignored()).toEqual(['registry elsewhere.azurecr.io is not in ALLOWED_REGISTRIES']);
    expect(world.registries.repository('elsewhere.azurecr.io', SOURCE.repository).calls).toEqual([]);
  });

  test('is not kept if it is a copy at the rule’s own destination', async () => {
    world.ruleList = [rule({ source: { registry: REGISTRY, repositories: ['**'] } })];
    await handle({ repository: 'staging/samples/app', tag: 'v1' });
    expect(await ignored()).toEqual([expect.stringContaining('is a destination of the rule itself')]);
    expect(world.engine.starts).toEqual([]);
  });

  test('is not kept if a run has written the tag; a push by others is kept', async () => {
    const at = { registry: REGISTRY, repository: 'staging/samples/app' };
    const { digest } = await pushImage(source, { tag: SOURCE.tag });
    const other = await pushImage(source, { content: 'by hand' });
    const run = await openRun(world);
    await writeDigest(world, run.runId, digest);
    // It comes before the run has ended, and once more after it.
    await handle({ ...at, tag: SOURCE.tag, digest });
    const { generation } = await rowOf(world, run.promotionId);
    await closePromotion(world, run.promotionId, run.runId, {
      generation,
      rule: run.rule,
      result: { outcome: 'promoted', digest },
    });
    await handle({ ...at, tag: SOURCE.tag, digest });
    expect(await ignored()).toEqual([]);
    await handle({ ...at, tag: SOURCE.tag, digest: other.digest });
    await handle({ ...at, tag: 'by-hand', digest });
    expect((await world.store.listIgnored()).items.map(({ reference }) => reference).sort()).toEqual([
      `${REGISTRY}/staging/samples/app:by-hand@${digest}`,
      `${REGISTRY}/staging/samples/app:${SOURCE.tag}@${other.digest}`,
    ]);
  });

  test('causes no request if the rule no longer takes the tag', async () => {
    const subject = await pushImage(source, { tag: SOURCE.tag });
    await standing();
    const scan = await pushArtifact(source, 'application/x-scan', { subject });
    world.ruleList = [rule({ source: { ...rule().source, tags: ['release-*'] } })];
    expect((await handle({ digest: scan.digest })).incremented).toEqual([]);
    world.ruleList = [rule()];
    expect((await handle({ digest: scan.digest })).incremented).toEqual([P1]);
  });

  test('is not kept for an untagged manifest that refers to nothing', async () => {
    const { digest } = await pushImage(source);
    expect((await handle({ digest })).incremented).toEqual([]);
    expect(await ignored()).toEqual([]);
  });
});

describe('evidence is pushed', () => {
  let root: Descriptor;
  let amd64: Descriptor;

  beforeEach(async () => {
    ({ root, amd64 } = await pushMultiPlatform(source, SOURCE.tag));
    await standing();
  });

  test.each([
    ['the root', () => root],
    ['a child', () => amd64],
  ])('on %s triggers the promotions that contain it', async (_name, subject) => {
    const { digest } = await pushArtifact(source, 'application/x-report', { subject: subject() });
    expect((await handle({ digest })).incremented).toEqual([P1]);
    expect((await rowOf(world, P1)).generation).toBe(2);
  });

  test('on other evidence triggers the promotions of its root subject', async () => {
    const report = await pushArtifact(source, 'application/x-report', { subject: amd64 });
    const signature = await pushArtifact(source, 'application/x-signature', { subject: report });
    const { digest } = await pushArtifact(source, 'application/x-timestamp', { subject: signature });
    expect((await handle({ digest })).incremented).toEqual([P1]);
  });

  test('wakes the run that waits for it', async () => {
    const { value, version } = (await world.store.getPromotion(P1)) ?? {};
    if (value === undefined || version === undefined) throw new Error('no row');
    await world.store.replacePromotion({ ...value, state: 'waiting', waitingFor: 'evidence-1' }, version);
    const { digest } = await pushArtifact(source, 'application/x-report', { subject: root });
    await handle({ digest });
    expect(world.engine.notified).toEqual([{ id: value.runId, event: 'evidence-1' }]);
  });

  describe('an attachment of this app', () => {
    const at = (name: string): Rule['destination'] => ({ reference: `${REGISTRY}/${name}/{repository}:{tag}` });
    const plain = rule({ name: 'plain', destination: at('plain'), sbom: { formats: [] }, sign: [] });
    const full = rule();
    const like = rule({ name: 'like', destination: at('like') });
    const there = rule({ name: 'there', destination: at('there'), attachTo: 'destination' });
    let runs: Map<string, { runId: string; promotionId: string }>;
    beforeEach(async () => {
      world.ruleList = [full, plain, like, there];
      runs = new Map();
      for (const each of [plain, like, there]) {
        const run = await openRun(world, each);
        await observeStep(world, run, await callOf(world, run.runId));
        runs.set(each.name, run);
      }
    });

    async function attachedIn(runId: string | undefined, time?: string): Promise<string[]> {
      const { digest } = await pushArtifact(source, 'application/x-report', { subject: root });
      await world.store.markOurs({ registry: REGISTRY, repository: SOURCE.repository, digest }, runId);
      return (await handle({ digest, ...(time !== undefined && { time }) })).incremented.toSorted();
    }
    const idsOf = (...names: string[]): string[] => names.map((name) => runs.get(name)?.promotionId ?? name).toSorted();

    test('by a promotion triggers only promotions whose rules require less or attach elsewhere', async () => {
      const { runId } = (await rowOf(world, P1)) ?? {};
      expect(await attachedIn(runId)).toEqual(idsOf('plain', 'there'));
      expect((await rowOf(world, P1)).generation).toBe(1);
    });

    test('by a job or an unknown run triggers all promotions', async () => {
      expect(await attachedIn('no-such-run')).toEqual([P1, ...idsOf('plain', 'like', 'there')].toSorted());
      expect(await attachedIn(undefined, '2026-01-01T00:00:01Z')).toEqual(
        [P1, ...idsOf('plain', 'like', 'there')].toSorted(),
      );
    });
  });

  test.each(['', '.sig', '.att', '.sbom'])(
    'under a digest tag (sha256-…%s) triggers its subject’s promotions',
    async (ending) => {
      const tag = `${root.digest.replace(':', '-')}${ending}`;
      const { digest } = await pushArtifact(source, 'application/x-cosign', { tag });
      expect((await handle({ tag, digest })).incremented).toEqual([P1]);
      expect(await ignored()).toEqual([]);
    },
  );

  test('under a digest tag of other evidence triggers the promotions of its root subject', async () => {
    const report = await pushArtifact(source, 'application/x-report', { subject: amd64 });
    const tag = `${report.digest.replace(':', '-')}.sig`;
    expect((await handle({ tag })).incremented).toEqual([P1]);
  });

  test('triggers nothing for a rule that is gone or is no longer triggered by pushes', async () => {
    const { digest } = await pushArtifact(source, 'application/x-report', { subject: root });
    world.ruleList = [rule({ triggers: ['schedule'] })];
    expect((await handle({ digest })).incremented).toEqual([]);
  });

  test('triggers both promotions that contain one digest', async () => {
    source.tags.set('v2', root.digest);
    const run = await openRun(world, rule(), { ...SOURCE, tag: 'v2' });
    await observeStep(world, run, await callOf(world, run.runId));
    const { digest } = await pushArtifact(source, 'application/x-report', { subject: root });
    expect((await handle({ digest })).incremented.sort()).toEqual([P1, run.promotionId].sort());
  });
});

describe('a deletion', () => {
  test('of a promoted tag triggers its promotion', async () => {
    await pushImage(source, { tag: SOURCE.tag });
    await standing();
    source.tags.delete(SOURCE.tag);
    expect((await handle({ kind: 'deleted', tag: SOURCE.tag })).incremented).toEqual([P1]);
  });

  test.each([
    ['a tag that never was promoted', { tag: SOURCE.tag }],
    ['a digest', { digest: `sha256:${'a'.repeat(64)}` as Descriptor['digest'] }],
    ['a digest tag', { tag: `sha256-${'a'.repeat(64)}.sig` }],
  ])('of %s triggers nothing', async (_name, changes) => {
    expect((await handle({ kind: 'deleted', ...changes })).incremented).toEqual([]);
    expect(world.engine.starts).toEqual([]);
    expect(await ignored()).toEqual([]);
  });
});

describe('a change that a scan found', () => {
  const change = {
    registry: REGISTRY,
    repository: SOURCE.repository,
    at: '2026-01-01T00:00:00Z',
    by: 'schedule',
  } as const;
  const found = (changes: Pick<Change, 'kind' | 'tag' | 'digest'> & { repository?: string }): Promise<Handled> =>
    handleChange(world, { ...change, ...changes }, new AbortController().signal);

  test('is handled like an event for rules with a schedule, and is never kept as ignored', async () => {
    world.ruleList = [rule({ triggers: ['schedule'] }), rule({ name: 'pushed', triggers: ['push'] })];
    const { digest } = await pushImage(source, { tag: SOURCE.tag });
    expect((await found({ kind: 'pushed', tag: SOURCE.tag, digest })).incremented).toEqual([P1]);
    const { lastTrigger, news } = await rowOf(world, P1);
    expect([lastTrigger?.kind, news?.tag]).toEqual(['schedule', { digest, at: '2026-01-01T00:00:00.000Z' }]);
    expect((await found({ kind: 'pushed', tag: 'other', digest, repository: 'others/app' })).ignored).toBe(
      'rule staging: repository others/app is not in samples/**',
    );
    expect(await ignored()).toEqual([]);
  });

  test('has no effect if an event has reported it', async () => {
    const { digest } = await pushImage(source, { tag: SOURCE.tag });
    await handle({ tag: SOURCE.tag, digest });
    expect((await found({ kind: 'pushed', tag: SOURCE.tag, digest })).incremented).toEqual([]);
  });
});
