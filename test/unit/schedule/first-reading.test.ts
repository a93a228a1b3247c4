import { beforeEach, describe, expect, test } from '@jest/globals';
import { TransportError, digestOf } from '../../../src/oci/index.js';
import { walkScheduleStep, SCAN_MS, type Walked } from '../../../src/schedule/walk-schedule.js';
import { rule } from '../../support/rules.fixture.js';
import { pushImage } from '../../support/images.js';
import { REGISTRY, newCall, newWorld, rowOf, type World } from '../../support/world.js';
import { BASELINE_TAGS, BASELINE_PART_TAGS } from '../../../src/schedule/first-reading.js';

/** A rule's first reading of its source, where that is more than one stretch, one round or one host can do. */

let world: World;
/** How often each tag was listed, by `repository:tag`. */
let listed: Map<string, number>;
/** What happens at each tag that is listed. */
let atEach: (name: string) => void;
/** When tags were written, where the registry tells. */
let updatedAt: Map<string, string>;

beforeEach(() => {
  world = newWorld(rule({ name: 'first', existing: 'ignore' }));
  listed = new Map();
  updatedAt = new Map();
  atEach = () => {};
  const { repository } = world.listing;
  world.listing.repository = (registry, repositoryName) => {
    const inner = repository(registry, repositoryName);
    return {
      ...inner,
      async *listTagDetails(options) {
        for await (const details of inner.listTagDetails(options)) {
          const name = `${repositoryName}:${details.name}`;
          listed.set(name, (listed.get(name) ?? 0) + 1);
          atEach(name);
          const at = updatedAt.get(name);
          yield { ...details, ...(at !== undefined && { updatedAt: at }) };
        }
      },
    };
  };
});

/** An image, and as many tags that lead to it. */
async function fill(repository: string, count: number): Promise<void> {
  const held = world.registries.repository(REGISTRY, repository);
  const { digest } = await pushImage(held, { tag: 'v0', content: repository });
  for (let index = 0; index < count; index += 1) held.tags.set(`v${String(index).padStart(6, '0')}`, digest);
  held.tags.delete('v0');
}
const move = (repository: string, tag: string) =>
  pushImage(world.registries.repository(REGISTRY, repository), { tag, content: `moved ${repository}:${tag}` });

const walk = (cursor: string | null, started = 0): Promise<Walked> =>
  walkScheduleStep(world, { cursor, started }, newCall());
/** One tick, as the orchestration does; one whose stretch fails is over. */
async function tick(): Promise<Walked[]> {
  const all: Walked[] = [];
  let cursor: string | null = null;
  let started = 0;
  for (let stretch = 0; stretch < 60; stretch += 1) {
    let walked: Walked;
    try {
      walked = await walk(cursor, started);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      return all;
    }
    all.push(walked);
    ({ cursor, started } = walked);
    if (cursor === null) break;
  }
  return all;
}
async function started(): Promise<string[]> {
  const rows = await Promise.all(
    world.engine.starts.map(({ input }) => rowOf(world, (input as { promotionId: string }).promotionId)),
  );
  return rows.map(({ source }) => `${source.repository}:${source.tag}`).sort();
}
/** The tags that were there at first, as they are kept, by document. */
function kept(): Record<string, string>[] {
  return [...world.documents.kept]
    .filter(([name]) => /^documents\/baselines\/first-[0-9a-f]{16}\/parts\/\d+\.json$/.test(name))
    .map(([, bytes]) => (JSON.parse(Buffer.from(bytes).toString('utf8')) as { tags: Record<string, string> }).tags);
}
/** So slow that a stretch ends after so many tags. */
function slow(tagsOfAStretch: number): void {
  atEach = () => {
    world.nowMs += SCAN_MS / tagsOfAStretch;
  };
}

describe('a source that is too large for one stretch', () => {
  test('is read on stretch by stretch: each tag once, and then all is left alone', async () => {
    await fill('samples/a', 700);
    await fill('samples/b', 300);
    slow(200);
    await tick();
    // Once for the first reading, and once for the scan that comes after it.
    expect(listed.size).toBe(1_000);
    expect(Math.max(...listed.values())).toBe(2);
    expect(kept().map((tags) => Object.keys(tags).length)).toEqual([200, 200, 200, 200, 200, 0]);
    expect(await started()).toEqual([]);
    await move('samples/a', 'v000650');
    await move('samples/b', 'v000000');
    await tick();
    expect(await started()).toEqual(['samples/a:v000650', 'samples/b:v000000']);
  });

  test('or for one round is gone on with in the next one; the rules after it have their turn', async () => {
    await fill('samples/a', 4_000);
    await fill('other/b', 1);
    world.ruleList = [
      ...world.ruleList,
      rule({
        name: 'second',
        existing: 'promote',
        source: { registry: REGISTRY, repositories: ['other/*'] },
        destination: { reference: `${REGISTRY}/staging/{repository}:{tag}` },
      }),
    ];
    slow(200);
    const first = await tick();
    expect(listed.get('samples/a:v002999')).toBe(1);
    expect(listed.get('samples/a:v003000')).toBeUndefined();
    expect(first.flatMap(({ problems }) => problems)).toEqual([
      'rule first: its source is read for the first time: 3000 tags so far',
    ]);
    expect(await started()).toEqual(['other/b:v000000']);
    await tick();
    expect(listed.get('samples/a:v003999')).toBe(2);
    expect(Math.max(...[...listed].filter(([name]) => name.startsWith('samples/a')).map(([, times]) => times))).toBe(2);
    expect(await started()).toEqual(['other/b:v000000']);
  });

  test('is bounded by tags where time is no bound, in each round and in each document', async () => {
    await fill('samples/a', BASELINE_TAGS + 1_000);
    await tick();
    expect(listed.size).toBe(BASELINE_TAGS);
    await tick();
    expect(listed.size).toBe(BASELINE_TAGS + 1_000);
    const sizes = kept().map((tags) => Object.keys(tags).length);
    expect(Math.max(...sizes)).toBe(BASELINE_PART_TAGS);
    expect(sizes.reduce((a, b) => a + b)).toBe(BASELINE_TAGS + 1_000);
    expect(await started()).toEqual([]);
  });

  test('of many repositories, that hold nothing the rule takes or nothing at all, ends as well', async () => {
    const repositories = Array.from({ length: 20 }, (_, index) => `samples/app${String(index).padStart(2, '0')}`);
    world.ruleList = [rule({ name: 'first', source: { registry: REGISTRY, repositories, tags: ['release-*'] } })];
    for (const repository of repositories.slice(0, 10)) await fill(repository, 150);
    slow(50);
    for (let ticks = 0; ticks < 3; ticks += 1) await tick();
    // It has come to its end, and to the scan that follows.
    expect(listed.size).toBe(1_500);
    expect(Math.min(...listed.values())).toBeGreaterThan(1);
    await pushImage(world.registries.repository(REGISTRY, 'samples/app19'), { tag: 'release-1' });
    await tick();
    expect(await started()).toEqual(['samples/app19:release-1']);
  });
});

describe('what is pushed while it is read', () => {
  test('is new, where the registry tells when: also what was pushed before the rule’s turn came, or has moved', async () => {
    for (const name of ['samples/a', 'samples/b']) await fill(name, 300);
    const before = new Date(world.nowMs - 1_000).toISOString();
    for (const name of ['samples/a', 'samples/b'])
      for (const tag of world.registries.repository(REGISTRY, name).tags.keys())
        updatedAt.set(`${name}:${tag}`, before);
    slow(200);
    let pushed = 0;
    const { registry } = world.listing;
    const push = async (repository: string, tag: string): Promise<void> => {
      await move(repository, tag);
      updatedAt.set(`${repository}:${tag}`, new Date(world.nowMs).toISOString());
      pushed += 1;
    };
    world.listing.registry = (name) => {
      const inner = registry(name);
      return {
        ...inner,
        async *listRepositories(options) {
          if (pushed === 0) await push('samples/a', 'v000000');
          yield* inner.listRepositories(options);
        },
      };
    };
    const { cursor } = await walk(null);
    // Behind what is read, and before it; a new one too.
    await push('samples/a', 'v000100');
    await push('samples/b', 'v000200');
    await push('samples/b', 'w1');
    for (let at = cursor, count = 0; at !== null;) ({ cursor: at, started: count } = await walk(at, count));
    expect(await started()).toEqual(['samples/a:v000000', 'samples/a:v000100', 'samples/b:v000200', 'samples/b:w1']);
  });

  test('is new from the tick on that first saw the rule, however late in the round its turn comes', async () => {
    await fill('samples/a', 2);
    await fill('other/b', 1);
    const early = { registry: REGISTRY, repositories: ['other/*'] };
    world.ruleList = [...world.ruleList, rule({ name: 'early', source: early })];
    const { tags } = world.registries.repository(REGISTRY, 'samples/a');
    atEach = (name) => {
      world.nowMs += 1_000;
      if (!name.startsWith('other/b')) return;
      tags.set('v000001', digestOf(Buffer.from('moved')));
      updatedAt.set('samples/a:v000001', new Date(world.nowMs).toISOString());
      world.nowMs += 1_000;
    };
    await tick();
    expect(await started()).toEqual(['samples/a:v000001']);
  });

  test('is new where it is a repository that was not there, whatever the registry tells', async () => {
    await fill('samples/b', 300);
    slow(200);
    const { cursor } = await walk(null);
    for (const name of ['samples/a', 'samples/c']) await fill(name, 1);
    for (let at = cursor, count = 0; at !== null;) ({ cursor: at, started: count } = await walk(at, count));
    expect(await started()).toEqual(['samples/a:v000000', 'samples/c:v000000']);
  });
});

describe('whatever happens to who reads it', () => {
  test('killed at any of its documents, before or after it is written, it goes on: nothing is promoted', async () => {
    for (const after of [false, true]) {
      for (let dies = 1; ; dies += 1) {
        world = newWorld(rule({ name: 'first', existing: 'ignore' }));
        await fill('samples/a', 250);
        await fill('samples/b', 10);
        let count = 0;
        const put = world.documents.put.bind(world.documents);
        const putIfAbsent = world.documents.putIfAbsent.bind(world.documents);
        const mayDie = async <T>(write: () => Promise<T>): Promise<T> => {
          count += 1;
          if (count !== dies) return write();
          if (after) await write();
          throw new TypeError('the process died');
        };
        world.documents.put = (...of) => mayDie(() => put(...of));
        world.documents.putIfAbsent = (...of) => mayDie(() => putIfAbsent(...of));
        const { listing } = world;
        const { repository } = listing;
        listing.repository = (...of) => {
          world.nowMs += SCAN_MS / 2;
          return repository(...of);
        };
        for (let ticks = 0; ticks < 3; ticks += 1) await tick();
        expect(kept().flatMap((tags) => Object.keys(tags))).toHaveLength(260);
        expect(world.engine.starts).toEqual([]);
        await move('samples/b', 'v000009');
        await tick();
        expect(await started()).toEqual(['samples/b:v000009']);
        if (count < dies) break;
      }
    }
  });

  test('two at once: one baseline, and what has moved after it is new', async () => {
    await fill('samples/a', 900);
    slow(150);
    for (let round = 0; round < 3; round += 1) await Promise.all([tick(), tick()]);
    expect(kept().flatMap((tags) => Object.keys(tags))).toHaveLength(900);
    expect(await started()).toEqual([]);
    await move('samples/a', 'v000899');
    await Promise.all([tick(), tick()]);
    expect(await started()).toEqual(['samples/a:v000899']);
  });

  test('one that wakes up late, and says that less is read, costs no tag a second look', async () => {
    await fill('samples/a', 400);
    slow(100);
    const indexes: [string, Uint8Array][] = [];
    const put = world.documents.put.bind(world.documents);
    world.documents.put = async (container, name, bytes) => {
      if (name.endsWith('/index.json')) indexes.push([name, bytes]);
      return put(container, name, bytes);
    };
    await tick();
    const [name, bytes] = indexes[0] ?? ['', new Uint8Array()];
    await put('documents', name, bytes);
    listed.clear();
    await tick();
    expect(Math.max(...listed.values())).toBe(1);
    expect(await started()).toEqual([]);
  });

  test('a registry that breaks off again and again: what was read until then is kept', async () => {
    await fill('samples/a', 1_000);
    let left = 150;
    atEach = (name) => {
      if ((left -= 1) >= 0) return;
      left = 150;
      throw new TransportError('CONNECTION_LOST', `${name}: the connection was lost`);
    };
    for (let ticks = 0; ticks < 8; ticks += 1) {
      const [walked] = await tick();
      expect(walked?.problems.length).toBeLessThanOrEqual(1);
    }
    expect(kept().flatMap((tags) => Object.keys(tags))).toHaveLength(1_000);
    expect(await started()).toEqual([]);
  });

  test('a repository that kills its host is passed over for a round; the rules after it have their turn', async () => {
    await fill('samples/a', 150);
    await fill('samples/poison', 1);
    await fill('other/b', 1);
    world.ruleList = [
      ...world.ruleList,
      rule({ name: 'second', existing: 'promote', source: { registry: REGISTRY, repositories: ['other/*'] } }),
    ];
    let deaths = 0;
    atEach = (name) => {
      if (!name.startsWith('samples/poison')) return;
      deaths += 1;
      throw new TypeError('the process died');
    };
    const attempt = async (): Promise<void> => {
      // What dies keeps nothing of what it has read.
      const putIfAbsent = world.documents.putIfAbsent.bind(world.documents);
      const before = deaths;
      world.documents.putIfAbsent = async (...of) => {
        if (deaths > before) throw new TypeError('the process died');
        return putIfAbsent(...of);
      };
      await tick();
      world.documents.putIfAbsent = putIfAbsent;
    };
    for (let ticks = 0; ticks < 8; ticks += 1) await attempt();
    // Some ticks pass it over.
    expect(deaths).toBeGreaterThan(2);
    expect(deaths).toBeLessThan(8);
    expect(await started()).toEqual(['other/b:v000000']);
    // Bit by bit, what comes before it was read.
    expect(kept().flatMap((tags) => Object.keys(tags))).toHaveLength(150);
  });
});

test('where a part of it is gone, nothing is promoted unasked, and it is said', async () => {
  await fill('samples/a', 3);
  await tick();
  await world.documents.removeAll(
    'documents',
    [...world.documents.kept.keys()].find((name) => name.includes('/parts/'))?.slice('documents/'.length) ?? 'none',
  );
  const [walked] = await tick();
  expect(walked?.problems).toEqual([expect.stringContaining('BASELINE_INCOMPLETE')]);
  expect(await started()).toEqual([]);
});

test('one that an earlier version has read goes on to count', async () => {
  await fill('samples/a', 3);
  await tick();
  const [begun = ''] = [...world.documents.kept.keys()].filter((name) => name.endsWith('/begun.json'));
  const name = begun.slice('documents/'.length, -'/begun.json'.length);
  await world.documents.removeAll('documents', 'baselines/');
  const digest = world.registries.repository(REGISTRY, 'samples/a').tags.get('v000000');
  const whole = { 'samples/a:v000000': digest, 'samples/a:v000001': digestOf(Buffer.from('other')) };
  await world.documents.put('documents', `${name}.json`, Buffer.from(JSON.stringify(whole)));
  await tick();
  expect(await started()).toEqual(['samples/a:v000001', 'samples/a:v000002']);
});
