import { HttpRequest, InvocationContext, type HttpResponseInit } from '@azure/functions';
import { beforeEach, describe, expect, test } from '@jest/globals';
import { closePromotion, incrementGeneration } from '../../../src/rows/generation.js';
import type { MemoryRepository } from '../../support/memory-repository.js';
import { rule } from '../../support/rules.fixture.js';
import { pushArtifact, pushImage } from '../../support/images.js';
import { DESTINATION, REGISTRY, SOURCE, newWorld, openRun, type World } from '../../support/world.js';
import { register, type Registered } from '../../support/registered.js';

// What can be looked at over HTTP.

let world: World;
let app: Registered;
let source: MemoryRepository;
beforeEach(() => {
  world = newWorld();
  app = register(world);
  source = world.registries.repository(REGISTRY, SOURCE.repository);
});

const context = new InvocationContext({ functionName: 'http', logHandler: () => {} });
async function get(name: string, query = '', params: Record<string, string> = {}): Promise<HttpResponseInit> {
  const request = new HttpRequest({ method: 'GET', url: `http://localhost/api/x?${query}`, params });
  const registered = app.functions.get(name);
  if (registered === undefined) throw new Error(`there is no function ${name}`);
  return (await registered.handler(request, context)) as HttpResponseInit;
}
const body = async (name: string, query?: string, params?: Record<string, string>): Promise<unknown> =>
  (await get(name, query, params)).jsonBody;

describe('promotions', () => {
  test('are filtered; a repository may include its registry', async () => {
    await incrementGeneration(world, rule(), SOURCE, { kind: 'push' });
    await incrementGeneration(world, rule({ name: 'other' }), { ...SOURCE, tag: 'v2' }, { kind: 'push' });
    for (const query of [
      'rule=other',
      'tag=v2',
      `repository=${REGISTRY}/samples/app&tag=v2`,
      'state=working&rule=other&code=the-key',
      `destination=${encodeURIComponent(DESTINATION.replace('v1', 'v2'))}`,
    ]) {
      expect(await body('listPromotions', query)).toMatchObject({ promotions: [{ rule: 'other' }] });
    }
    expect(await body('listPromotions', 'repository=samples/app&rule=staging&tag=v2')).toEqual({ promotions: [] });
  });

  test('are filtered by glob, by what a repository begins with, and by time', async () => {
    world.ruleList = [rule(), rule({ name: 'other' })];
    await incrementGeneration(world, rule(), SOURCE, { kind: 'push' });
    world.nowMs += 3_600_000;
    const between = new Date(world.nowMs - 1).toISOString();
    await incrementGeneration(world, rule({ name: 'other' }), { ...SOURCE, tag: 'v2' }, { kind: 'push' });
    const found = async (query: string): Promise<string[]> =>
      ((await body('listPromotions', query)) as { promotions: { source: { tag: string } }[] }).promotions.map(
        ({ source: { tag } }) => tag,
      );
    expect((await found('repository=samples/*')).sort()).toEqual(['v1', 'v2']);
    expect((await found(`repository=${REGISTRY}/samples/`)).sort()).toEqual(['v1', 'v2']);
    expect(await found('repository=samples/app&tag=*2')).toEqual(['v2']);
    expect(await found('rule=o*')).toEqual(['v2']);
    expect(await found(`destination=${encodeURIComponent('**/*:v1')}`)).toEqual(['v1']);
    const prefix = DESTINATION.slice(0, DESTINATION.indexOf('/samples') + 1);
    expect((await found(`destination=${encodeURIComponent(prefix)}`)).sort()).toEqual(['v1', 'v2']);
    expect(await found(`destination=${encodeURIComponent(`${REGISTRY}/elsewhere/`)}`)).toEqual([]);
    expect(await found(`since=${between}`)).toEqual(['v2']);
  });

  test.each([
    ['rule=nope', 'RULE_UNKNOWN', 'staging'],
    ['rule=nope*', 'RULE_UNKNOWN', 'staging'],
    ['repository=elsewhere.io/samples/app', 'REGISTRY_UNKNOWN', REGISTRY],
    ['registry=elsewhere.io', 'REGISTRY_UNKNOWN', REGISTRY],
    ['repository=nope', 'REPOSITORY_UNKNOWN', 'samples/**'],
  ])('%s names what nothing has: it is reported with the names that there are', async (query, code, remedy) => {
    world.ruleList = [rule()];
    for (const name of ['listPromotions', 'listRuns']) {
      expect(await get(name, query)).toMatchObject({
        status: 400,
        jsonBody: { error: { code, remedy: expect.stringContaining(remedy) } },
      });
    }
  });

  test.each(['nope', 'nope/', `${REGISTRY}/nope`, `${REGISTRY}/nope/app:v1`, 'elsewhere.io/**'])(
    'destination=%s is no destination of a rule: it is reported with the destinations that there are',
    async (destination) => {
      world.ruleList = [rule()];
      expect(await get('listPromotions', `destination=${encodeURIComponent(destination)}`)).toMatchObject({
        status: 400,
        jsonBody: { error: { code: 'DESTINATION_UNKNOWN', remedy: expect.stringContaining('{repository}:{tag}') } },
      });
    },
  );

  test('a destination that a rule can write to and that has no promotion yet is an empty list', async () => {
    world.ruleList = [rule()];
    for (const destination of [DESTINATION, `${DESTINATION.split('/')[0]}/**`, '**/*:v1']) {
      expect(await body('listPromotions', `destination=${encodeURIComponent(destination)}`)).toEqual({
        promotions: [],
      });
    }
  });

  test('a rule that is gone is found as long as a promotion or run of it is kept', async () => {
    await incrementGeneration(world, rule({ name: 'gone' }), SOURCE, { kind: 'push' });
    world.ruleList = [rule()];
    expect(await body('listPromotions', 'rule=gone')).toMatchObject({ promotions: [{ rule: 'gone' }] });
    expect(await body('listRuns', 'rule=gone')).toMatchObject({ runs: [{ rule: 'gone' }] });
  });

  test.each(['repo=samples/app', 'state=paused', 'from=%27', 'since=soon'])(
    '%s is refused, and says what there is',
    async (query) => {
      expect(await get('listPromotions', query)).toMatchObject({
        status: 400,
        jsonBody: { error: { code: expect.stringMatching(/FILTER_INVALID|PAGE_TOKEN_INVALID/) } },
      });
    },
  );
});

test.each(['listPromotions', 'listRuns'])('a page of %s has 1 to 100 rows; another size is refused', async (name) => {
  for (const size of ['0', '1000', '101', '-1', '1.5', '1e1', 'all']) {
    expect(await get(name, `size=${size}`)).toMatchObject({
      status: 400,
      jsonBody: { error: { code: 'PAGE_SIZE_INVALID', remedy: expect.stringContaining('1 to 100') } },
    });
  }
  for (const query of ['size=1', 'size=100', 'size=', '']) expect(await get(name, query)).toHaveProperty('jsonBody');
  expect(await get('listRuns', 'state=ignored&size=0')).toMatchObject({ status: 400 });
});

describe('an explanation', () => {
  const ask = (reference: string): Promise<unknown> =>
    body('listPromotions', `reference=${encodeURIComponent(reference)}`);

  test('of a tag is missing, not seen, working, in sync, then changed', async () => {
    const reference = `${REGISTRY}/samples/app:v1`;
    const unsigned = rule({ sign: [] });
    world.ruleList = [unsigned];
    expect(await ask(reference)).toMatchObject({
      promoted: false,
      promotions: [{ text: expect.stringContaining('not at the source') }],
    });
    const { digest } = await pushImage(source, { tag: 'v1' });
    expect(await ask(reference)).toMatchObject({ promotions: [{ text: expect.stringContaining('no push event') }] });
    const { promotionId, runId } = await openRun(world);
    await world.store.putProgress({
      runId,
      step: 'observe',
      state: 'working',
      text: 'looking',
      startedAt: world.now().toISOString(),
      updatedAt: world.now().toISOString(),
    });
    expect(await ask(reference)).toMatchObject({ promotions: [{ state: 'working', step: 'observe', runId }] });
    world.registries.repository(REGISTRY, 'staging/samples/app').tags.set('v1', digest);
    const result = { outcome: 'promoted', digest } as const;
    await closePromotion(world, promotionId, runId, { generation: 1, result, rule: unsigned });
    const since = world.now().toISOString();
    // The manifest is not there.
    expect(await ask(reference)).toMatchObject({ promoted: false, promotions: [{ state: 'waiting' }] });
    const there = world.registries.repository(REGISTRY, 'staging/samples/app').manifests;
    for (const [key, manifest] of source.manifests) there.set(key, manifest);
    expect(await ask(reference)).toMatchObject({
      promoted: true,
      promotions: [{ state: 'in_sync', digest, since }],
    });
    expect(await ask(DESTINATION)).toMatchObject({ promoted: true, reference: DESTINATION });
    await pushImage(source, { tag: 'v1', content: 'another' });
    expect(await ask(reference)).toMatchObject({ promoted: false, promotions: [{ state: 'waiting' }] });
  });

  test('of a tag without a rule has the nearest rule and the ignored events', async () => {
    world.ruleList = [rule({ source: { ...rule().source, tags: ['v*'] } })];
    const reference = `${REGISTRY}/samples/app:latest`;
    await world.store.addIgnored({
      at: world.now().toISOString(),
      reference: `${reference}@sha256:a`,
      reason: 'because',
    });
    await world.store.addIgnored({ at: world.now().toISOString(), reference: `${reference}2`, reason: 'another' });
    expect(await ask(reference)).toMatchObject({
      promoted: false,
      promotions: [],
      nearest: 'rule staging: tag latest is not in v*',
      ignored: [{ reason: 'because' }],
    });
    expect(await body('listRuns', `state=ignored&reference=${reference}2`)).toMatchObject({
      ignored: [{ reason: 'another' }],
    });
  });

  test('of a repository has each of its tags, and so has that of a destination', async () => {
    const repository = `${REGISTRY}/samples/app`;
    world.ruleList = [rule()];
    expect(await ask(repository)).toMatchObject({
      promoted: false,
      promotions: [],
      note: 'no promotion has it; a rule matches it, and no tag of it was pushed yet',
    });
    expect(await ask(`${REGISTRY}/other`)).toMatchObject({ note: 'no promotion has it; no rule matches it' });
    await openRun(world);
    await openRun(world, rule(), { ...SOURCE, tag: 'v2' });
    const sources = [`${repository}:v1`, `${repository}:v2`].map((source) => ({ source, state: 'working' }));
    expect(await ask(repository)).toMatchObject({ reference: repository, promoted: false, promotions: sources });
    expect(await ask(`${REGISTRY}/staging/samples/app`)).toMatchObject({ promotions: { length: 2 } });
    for (let tag = 3; tag < 25; tag += 1)
      await incrementGeneration(world, rule(), { ...SOURCE, tag: `v${tag}` }, { kind: 'push' });
    expect(await ask(repository)).toMatchObject({
      promotions: { length: 20 },
      note: `there are more promotions: acr-promoter promotions --repository ${repository}`,
    });
  });

  test('of a digest, or its first characters, has the promotions whose runs saw it', async () => {
    const unsigned = rule({ sign: [] });
    world.ruleList = [unsigned];
    const image = await pushImage(source, { tag: 'v1' });
    const { digest } = image;
    const there = world.registries.repository(REGISTRY, 'staging/samples/app');
    there.tags.set('v1', digest);
    for (const [key, manifest] of source.manifests) there.manifests.set(key, manifest);
    const { promotionId, runId } = await openRun(world, unsigned);
    const result = { outcome: 'promoted', digest } as const;
    await closePromotion(world, promotionId, runId, { generation: 1, result, rule: unsigned });
    for (const text of [digest, digest.slice(0, 19), digest.slice(7, 19), `${REGISTRY}/samples/app@${digest}`]) {
      expect(await ask(text)).toMatchObject({ promoted: true, promotions: [{ promotionId, state: 'in_sync' }] });
    }
    expect(await ask(`${REGISTRY}/staging/samples/app@${digest}`)).toMatchObject({ promoted: true });
    expect(await ask(`${REGISTRY}/other@${digest}`)).toMatchObject({ promotions: [], note: 'no run has seen it' });
    expect(await ask('sha256:000000')).toMatchObject({ promoted: false, promotions: [], note: 'no run has seen it' });
    expect(await ask('f'.repeat(32))).toMatchObject({
      promoted: false,
      note: 'no promotion has this id, and no run has seen such a digest',
    });
    expect(await ask(promotionId)).toMatchObject({
      promoted: true,
      reference: `${REGISTRY}/samples/app:v1`,
      promotions: [{ promotionId, state: 'in_sync' }],
    });
    const sbom = await pushArtifact(source, 'application/vnd.cyclonedx+json', { subject: image });
    const signature = await pushArtifact(source, 'application/vnd.cncf.notary.signature', { subject: sbom });
    for (const referrer of [sbom, signature]) {
      expect(await ask(`${REGISTRY}/samples/app@${referrer.digest}`)).toMatchObject({
        reference: `${REGISTRY}/samples/app@${referrer.digest}`,
        promotions: [{ promotionId }],
        note: expect.stringContaining('it refers to sha256:'),
      });
    }
    const part = `sha256:${'b'.repeat(64)}` as const;
    const child = { registry: REGISTRY, repository: SOURCE.repository, digest: part };
    await world.store.addToSubjectIndex(child, promotionId, { root: part, at: '' });
    expect(await ask(`${REGISTRY}/samples/app@${part}`)).toMatchObject({
      promoted: false,
      promotions: [{ promotionId, promoted: false, text: expect.stringContaining(`${part} was seen under it`) }],
    });
  });

  test.each(['no reference', 'sha256:ffff', `${REGISTRY}/samples/app:v1@sha256:${'a'.repeat(64)}`])(
    '%s is refused',
    async (reference) => {
      expect(await get('listPromotions', `reference=${encodeURIComponent(reference)}`)).toMatchObject({
        status: 400,
        jsonBody: { error: { code: 'REFERENCE_INVALID' } },
      });
    },
  );

  test('is returned even if a registry is down', async () => {
    world.registries.repository = () => {
      throw new Error('down');
    };
    expect(await ask(`${REGISTRY}/samples/app:v1`)).toMatchObject({
      promotions: [{ checks: { source: { state: 'unknown' } } }],
    });
  });
});

describe('runs', () => {
  test.each([
    ['since=1x', 'since: 1x is neither a time nor a duration of at least 1s', /30m, 24h or 7d, or a time/],
    ['since=0s', 'since: 0s is neither a time nor a duration of at least 1s', /30m, 24h or 7d, or a time/],
    ['digest=abc', 'digest: abc is not a digest', /first six hexadecimal characters/],
    ['state=asleep', 'there is no state asleep', /^Give one of open, .*, ignored\.$/],
    ['operation=nope', 'there is no operation nope', /^Give one of .*copy/],
    [`tag=${'x'.repeat(501)}`, 'tag: the value is too long', /^Give at most 500 characters\.$/],
    ['colour=red', 'there is no filter colour', /^The filters are rule, /],
  ])('%s is refused, and the remedy has the forms that this filter takes', async (query, message, remedy) => {
    expect(await body('listRuns', query)).toEqual({
      error: { code: 'FILTER_INVALID', message, remedy: expect.stringMatching(remedy) },
    });
  });

  test('are filtered, and name their trigger', async () => {
    const first = await openRun(world);
    const digest = `sha256:${'a1'.repeat(32)}`;
    const result = { outcome: 'failed', code: 'X', digest } as const;
    await closePromotion(world, first.promotionId, first.runId, { generation: 1, result, rule: rule() });
    world.nowMs += 1000;
    const second = await openRun(world, rule({ name: 'other' }), { ...SOURCE, tag: 'v2' });
    const found = async (query: string): Promise<string[]> =>
      ((await body('listRuns', query)) as { runs: { id: string }[] }).runs.map(({ id }) => id);
    expect(await found('')).toEqual([second.runId, first.runId]);
    expect(await found('state=failed')).toEqual([first.runId]);
    expect(await found('state=open')).toEqual([second.runId]);
    expect(await found('rule=other')).toEqual([second.runId]);
    for (const written of [digest, digest.slice(0, 19), 'a1a1a1a1']) {
      expect(await found(`digest=${written}`)).toEqual([first.runId]);
    }
    expect(await found('kind=promotion')).toEqual([second.runId, first.runId]);
    expect(await found('kind=job')).toEqual([]);
    expect(await found(`since=${new Date(world.nowMs).toISOString()}`)).toEqual([second.runId]);
    expect(await found(`repository=${REGISTRY}/samples/app&tag=v2`)).toEqual([second.runId]);
    expect(await body('listRuns', 'state=failed')).toEqual({
      runs: [
        {
          id: first.runId,
          kind: 'promotion',
          state: 'ended',
          openedAt: expect.any(String),
          finishedAt: expect.any(String),
          trigger: { kind: 'push', at: expect.any(String) },
          promotionId: first.promotionId,
          rule: 'staging',
          source: SOURCE,
          destination: DESTINATION,
          digest,
          result,
        },
      ],
    });
    expect(await get('listRuns', 'state=sleeping')).toMatchObject({ status: 400 });
    expect(await get('listRuns', 'digest=a1')).toMatchObject({ status: 400 });
    expect(await get('listRuns', 'state=ignored&rule=a')).toMatchObject({ status: 400 });
    expect(await body('listRuns', 'state=ignored&since=1h')).toEqual({ ignored: [] });
  });

  test('include steps with durations if one is requested', async () => {
    const { runId } = await openRun(world);
    const startedAt = world.now().toISOString();
    world.nowMs += 2000;
    const updatedAt = world.now().toISOString();
    const step = { runId, text: '', startedAt, updatedAt };
    await world.store.putProgress({ ...step, step: 'a', state: 'done' });
    await world.store.putProgress({ ...step, step: 'b', state: 'working', doneNodes: 1, totalNodes: 2 });
    world.nowMs += 1000;
    expect(await body('getRun', '', { id: runId })).toMatchObject({
      id: runId,
      durationMs: 3000,
      trigger: { kind: 'push' },
      steps: [
        { step: 'a', durationMs: 2000 },
        { step: 'b', durationMs: 3000, doneNodes: 1, totalNodes: 2 },
      ],
    });
    expect(await get('getRun', '', { id: 'nobody' })).toMatchObject({ status: 404 });
  });
});
