import { beforeEach, describe, expect, test } from '@jest/globals';
import { packArtifact, pushPacked } from '../../../src/oci/index.js';
import type { JobInput } from '../../../src/operations/job-schema.js';
import { MOST_JOBS, closePromotion } from '../../../src/rows/generation.js';
import { takePromotion } from '../../../src/rows/row-writes.js';
import type { CopyRequest } from '../../../src/transfer/copy.js';
import { copyRequestOf } from '../../../src/operations/copy-request.js';
import { incrementGeneration } from '../../../src/rows/generation.js';
import { awaitPromotionsStep, incrementPromotionsStep } from '../../../src/operations/promote.js';
import { beginJobStep } from '../../../src/operations/begin-job.js';
import { closeJobStep } from '../../../src/operations/close-job.js';
import { rule } from '../../support/rules.fixture.js';
import { REGISTRY, SOURCE, newCall, newWorld, rowOf, runOf, type World } from '../../support/world.js';

let world: World;

beforeEach(() => {
  world = newWorld();
});

async function begin(job: Partial<JobInput> & { operation: JobInput['operation'] }) {
  const complete = { id: 'j1', source: `${REGISTRY}/samples/app:v1`, ...job } as JobInput;
  await world.store.insertRun({
    id: 'r1',
    input: { kind: 'job', runId: 'r1', job: complete },
    state: 'pending',
    openedAt: world.now().toISOString(),
  });
  return beginJobStep(world, { runId: 'r1' });
}
/** What its steps read in its row. */
async function copy(changes: Partial<JobInput & { destination: string }> = {}): Promise<CopyRequest> {
  const begun = await begin({
    operation: 'copy',
    destination: `${REGISTRY}/mirror/app:v2`,
    recursive: true,
    ...changes,
  });
  expect(begun).toEqual({ operation: 'copy' });
  return copyRequestOf(await runOf(world, 'r1'));
}

describe('the check of a job', () => {
  test('allows a copy, and returns its parts', async () => {
    expect(await copy()).toEqual({
      source: { registry: REGISTRY, repository: 'samples/app' },
      root: 'v1',
      recursive: true,
      excludeArtifactTypes: [],
      destination: { registry: REGISTRY, repository: 'mirror/app' },
      tags: ['v2'],
      receipt: true,
    });
    expect(await runOf(world, 'r1')).toMatchObject({ state: 'running' });
  });

  test('allows a promotion of a tag', async () => {
    expect(await begin({ operation: 'promote' })).toEqual({ operation: 'promote', source: SOURCE });
  });

  test('uses the digest of a reference rather than its tag', async () => {
    const digest = `sha256:${'a'.repeat(64)}`;
    expect(await copy({ source: `${REGISTRY}/samples/app:v1@${digest}` })).toMatchObject({ root: digest });
  });

  test('gives a destination without a tag the source’s tag', async () => {
    expect(await copy({ destination: `${REGISTRY}/mirror/app` })).toMatchObject({ tags: ['v1'] });
    world = newWorld();
    const digest = `sha256:${'a'.repeat(64)}`;
    await expect(
      copy({ source: `${REGISTRY}/samples/app@${digest}`, destination: `${REGISTRY}/mirror/app` }),
    ).rejects.toMatchObject({ code: 'REFERENCE_INVALID', remedy: expect.any(String) });
  });

  test('accepts a destination with no tag, with several tags, and with a required digest', async () => {
    const digest = `sha256:${'a'.repeat(64)}`;
    const place = `${REGISTRY}/mirror/app`;
    const source = `${REGISTRY}/samples/app@${digest}`;
    const cases: [changes: Parameters<typeof copy>[0], tags: string[], mustBe?: string][] = [
      [{ destination: place, tags: [] }, []],
      [{ source, destination: place, tags: ['a'] }, ['a']],
      [{ destination: `${place}:v2`, tags: ['a'] }, ['v2', 'a']],
      [{ destination: `${place}@${digest}` }, [], digest],
      [{ destination: `${place}:v2@${digest}` }, [], digest],
    ];
    for (const [changes, tags, mustBe] of cases) {
      world = newWorld();
      const request = await copy(changes);
      expect(request).toMatchObject({ destination: { registry: REGISTRY, repository: 'mirror/app' }, tags });
      expect(request.digest).toBe(mustBe);
    }
  });

  test('refuses an operation that the settings do not name', async () => {
    world.jobPolicy = { ...world.jobPolicy, operations: ['promote'] };
    await expect(copy()).rejects.toMatchObject({
      code: 'JOB_OPERATION_FORBIDDEN',
      remedy: expect.stringContaining('JOB_OPERATIONS'),
    });
  });

  test.each([
    ['the source', { source: 'elsewhere.azurecr.io/samples/app:v1' }],
    ['the destination', { destination: 'elsewhere.azurecr.io/mirror/app:v1' }],
  ])('refuses a registry that the settings do not name: %s', async (_name, changes) => {
    await expect(copy(changes)).rejects.toMatchObject({
      code: 'REGISTRY_NOT_ALLOWED',
      remedy: expect.stringContaining('ALLOWED_REGISTRIES'),
    });
  });

  test.each([
    ['the source', { source: `${REGISTRY}/private/app:v1` }],
    ['the destination', { destination: `${REGISTRY}/private/app:v1` }],
  ])('refuses a repository outside the operation’s scope: %s', async (_name, changes) => {
    world.jobPolicy = { ...world.jobPolicy, scopes: { copy: ['samples/**', 'mirror/**'], promote: ['none'] } };
    await expect(copy(changes)).rejects.toMatchObject({ code: 'JOB_SCOPE_FORBIDDEN' });
  });

  test('uses the scope of its own operation', async () => {
    world.jobPolicy = { ...world.jobPolicy, scopes: { copy: ['mirror/**'] } };
    expect(await begin({ operation: 'promote' })).toMatchObject({ operation: 'promote' });
    world = newWorld();
    world.jobPolicy = { ...world.jobPolicy, scopes: { copy: ['samples/**', 'mirror/**'] } };
    expect(await copy()).toMatchObject({ root: 'v1' });
  });

  test('refuses a promotion without a tag', async () => {
    await expect(begin({ operation: 'promote', source: `${REGISTRY}/samples/app` })).rejects.toMatchObject({
      code: 'JOB_INVALID',
      remedy: expect.any(String),
    });
  });

  test.each([
    ['staging/{repository}:{tag}', 'staging/samples/app:v9'],
    ['staging:{tag}', 'staging:v9'],
    ['staging/{repository}/{tag}:latest', 'staging/samples/app/v1:latest'],
    ['staging/{repository}-{tag}:latest', 'staging/samples/app-v1:latest'],
  ])('refuses a copy to a rule’s destination (%s), which would bypass its gates', async (template, destination) => {
    world.ruleList = [rule({ destination: { reference: `${REGISTRY}/${template}` } })];
    await expect(copy({ destination: `${REGISTRY}/${destination}` })).rejects.toMatchObject({
      code: 'COPY_BYPASSES_RULE',
      message: expect.stringContaining('rule staging'),
      remedy: expect.stringContaining('promote'),
    });
  });

  test('does nothing for a run that is unknown or belongs to a promotion', async () => {
    expect(await beginJobStep(world, { runId: 'nobody' })).toEqual({ operation: 'none' });
    await world.store.insertRun({
      id: 'p',
      input: { kind: 'promotion', runId: 'p', promotionId: 'x', rule: rule(), source: SOURCE, destination: 'x' },
      state: 'pending',
      openedAt: world.now().toISOString(),
    });
    expect(await beginJobStep(world, { runId: 'p' })).toEqual({ operation: 'none' });
  });
});

describe('a promote job', () => {
  beforeEach(async () => {
    const image = packArtifact({ artifactType: 'test/image', layers: [] });
    await pushPacked(world.registries.repository(REGISTRY, SOURCE.repository), image, { tag: SOURCE.tag });
  });

  test('of a missing tag fails at once, and creates no promotion', async () => {
    const gone = { ...SOURCE, tag: 'gone' };
    await expect(incrementPromotionsStep(world, { runId: 'r1', source: gone }, newCall())).rejects.toMatchObject({
      code: 'SOURCE_NOT_FOUND',
      remedy: expect.any(String),
    });
    expect((await world.store.listPromotions()).items).toEqual([]);
  });

  test('increments the promotion of each rule that matches the tag, whatever triggers the rule has', async () => {
    world.ruleList = [
      rule(),
      rule({ name: 'mirror', triggers: ['schedule'], destination: { reference: `${REGISTRY}/m/{repository}:{tag}` } }),
      rule({ name: 'others', source: { registry: REGISTRY, repositories: ['others/**'] } }),
    ];
    const incremented = await incrementPromotionsStep(world, { runId: 'r1', source: SOURCE }, newCall());
    expect(incremented).toHaveLength(2);
    expect(world.engine.starts).toHaveLength(2);
    const other = await incrementPromotionsStep(world, { runId: 'r2', source: SOURCE }, newCall());
    expect(other.map(({ generation }) => generation)).toEqual([2, 2]);
    expect(world.engine.starts).toHaveLength(2);
  });

  test('increments a promotion once if its activity runs twice, also if a push comes between', async () => {
    const twice = () => incrementPromotionsStep(world, { runId: 'r1', source: SOURCE }, newCall());
    const first = await twice();
    expect(await twice()).toEqual(first);
    const pushed = { digest: `sha256:${'a'.repeat(64)}`, at: world.now().toISOString() };
    const { generation } = await incrementGeneration(world, rule(), SOURCE, { kind: 'push', ...pushed });
    expect(generation).toBe(2);
    expect(await twice()).toEqual(first);
    expect(world.engine.starts).toHaveLength(1);
  });

  test('that is coalesced increments a promotion once, whatever triggers come before its activity runs again', async () => {
    const at = () => world.now().toISOString();
    const push = async (digit: string) =>
      (
        await incrementGeneration(world, rule(), SOURCE, {
          kind: 'push',
          digest: `sha256:${digit.repeat(64)}`,
          at: at(),
        })
      ).generation;
    const job = (runId: string) => incrementPromotionsStep(world, { runId, source: SOURCE }, newCall());
    expect(await push('a')).toBe(1);
    const [first] = await job('r1');
    expect(first?.generation).toBe(2);
    world.nowMs += 1_000;
    expect(await push('b')).toBe(3);
    expect(await job('r2')).toMatchObject([{ generation: 4 }]);
    expect(await job('r1')).toEqual([first]);
    expect(await job('r2')).toMatchObject([{ generation: 4 }]);
    expect(await rowOf(world, first?.promotionId ?? '')).toMatchObject({ generation: 4 });
  });

  test('is remembered by its promotion as one of the newest jobs', async () => {
    const job = async (number: number) =>
      (await incrementPromotionsStep(world, { runId: `r${number}`, source: SOURCE }, newCall()))[0];
    for (let number = 1; number <= MOST_JOBS + 1; number += 1) expect((await job(number))?.generation).toBe(number);
    expect((await job(2))?.generation).toBe(2);
    expect((await job(1))?.generation).toBe(MOST_JOBS + 2);
    const [row] = (await world.store.listPromotions()).items;
    expect(row?.jobs).toHaveLength(MOST_JOBS);
  });

  test('writes its reason to the run of the promotion', async () => {
    await begin({ operation: 'promote', reason: 'ticket 42' });
    const run = await runOf(world, 'r1');
    await incrementPromotionsStep(world, { runId: 'r1', source: SOURCE }, { ...newCall(), run });
    const [row] = (await world.store.listPromotions()).items;
    const opened = await runOf(world, row?.runId ?? '');
    expect(opened.trigger).toMatchObject({ kind: 'job', id: 'r1', reason: 'ticket 42' });
  });

  test('that no rule matches is refused, with the nearest rule', async () => {
    await expect(
      incrementPromotionsStep(world, { runId: 'r1', source: { ...SOURCE, repository: 'other' } }, newCall()),
    ).rejects.toMatchObject({ code: 'NO_RULE_MATCHES', message: expect.stringContaining('rule staging') });
  });

  test('ends with the outcome of the requested run, not of an earlier one', async () => {
    const [first] = await incrementPromotionsStep(world, { runId: 'r1', source: SOURCE }, newCall());
    if (first === undefined) throw new Error('nothing raised');
    const { promotionId } = first;
    const wait = (generation: number) =>
      awaitPromotionsStep(world, { runId: 'r1', promotions: [{ promotionId, generation }] }, newCall());
    expect(await wait(1)).toEqual({ retryAfterMs: expect.any(Number) });
    const close = async (generation: number): Promise<void> => {
      const { runId = '' } = await rowOf(world, promotionId);
      await takePromotion(world, promotionId, runId);
      world.engine.setState(runId, 'ended');
      const result = { outcome: 'refused', code: 'EVIDENCE_MISSING' } as const;
      await closePromotion(world, promotionId, runId, { generation, result, rule: rule() });
    };
    await close(1);
    expect(await wait(1)).toEqual({
      done: [expect.objectContaining({ outcome: 'refused', code: 'EVIDENCE_MISSING' })],
    });
    const [second] = await incrementPromotionsStep(world, { runId: 'r2', source: SOURCE }, newCall());
    expect(second?.generation).toBe(2);
    expect(await wait(2)).toEqual({ retryAfterMs: expect.any(Number) });
    await close(2);
    expect(await wait(2)).toMatchObject({ done: [{ outcome: 'refused' }] });
  });

  test('waits for a promotion that has never existed until its deadline', async () => {
    const reply = await awaitPromotionsStep(
      world,
      { runId: 'r1', promotions: [{ promotionId: 'nobody', generation: 1 }] },
      newCall(),
    );
    expect(reply).toEqual({ retryAfterMs: expect.any(Number) });
  });
});

test('a job’s run is ended once, and keeps its first result', async () => {
  await copy();
  await closeJobStep(world, { runId: 'r1', result: { outcome: 'completed', digest: 'sha256:a' } });
  await closeJobStep(world, { runId: 'r1', result: { outcome: 'failed', code: 'X' } });
  const run = await runOf(world, 'r1');
  expect(run).toMatchObject({ state: 'ended', finishedAt: expect.any(String) });
  expect(run.result).toEqual({ outcome: 'completed', digest: 'sha256:a' });
});
