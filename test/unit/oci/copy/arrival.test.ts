import { describe, expect, test } from '@jest/globals';
import { missingAt } from '../../../support/missing-at.js';
import { compareGraphs, copyGraph, isNothingMissing, planGraph, verifyArrival } from 'acr-promoter/oci';
import { MemoryRepository } from '../../../support/memory-repository.js';
import { putImage, putIndex, putRealGraph, putReferrer } from '../../../support/graphs.js';

const PAUSES = [0, 1, 1];

async function fiveReferrers() {
  const source = new MemoryRepository('source/app');
  const destination = new MemoryRepository('destination/app');
  const image = await putImage(source, ['a']);
  const referrers = [];
  for (let index = 0; index < 5; index += 1) referrers.push(await putReferrer(source, image, `${index}`));
  const plan = await planGraph(source, image, { recursive: true });
  return { source, destination, image, referrers, plan };
}

describe('verifyArrival', () => {
  test('pushes nothing after a complete copy', async () => {
    const { source, destination, plan } = await fiveReferrers();
    await copyGraph(plan, source, destination);
    destination.calls.length = 0;
    const report = await verifyArrival(plan, destination, { source });
    expect(report).toEqual({ manifests: 6, listed: 5, restored: [] });
    expect(destination.count('pushManifest')).toBe(0);
    expect(destination.count('listReferrers')).toBe(1);
  });

  test('pushes lost referrers again, one after the other', async () => {
    const { source, destination, image, plan } = await fiveReferrers();
    destination.loseReferrers = 3;
    await copyGraph(plan, source, destination);
    expect(await destination.listReferrers(image.digest)).toHaveLength(2);
    let under = 0;
    let most = 0;
    const push = destination.pushManifest.bind(destination);
    destination.pushManifest = async (...args) => {
      under += 1;
      most = Math.max(most, under);
      const pushed = await push(...args);
      under -= 1;
      return pushed;
    };
    const report = await verifyArrival(plan, destination, { source, pausesMs: PAUSES });
    expect(report.restored).toHaveLength(3);
    expect(await destination.listReferrers(image.digest)).toHaveLength(5);
    expect(most).toBe(1);
  });

  test('repeats repairs while the destination loses content, as often as there are pauses', async () => {
    const { source, destination, image, plan } = await fiveReferrers();
    destination.loseReferrers = 5;
    await copyGraph(plan, source, destination);
    destination.loseReferrers = 7;
    await verifyArrival(plan, destination, { source, pausesMs: PAUSES });
    expect(await destination.listReferrers(image.digest)).toHaveLength(5);
  });

  test('fails and names the referrers that the destination never lists', async () => {
    const { source, destination, image, referrers, plan } = await fiveReferrers();
    const lost = referrers.slice(1, 3).map(({ digest }) => digest);
    for (const digest of lost) destination.unlisted.add(digest);
    await copyGraph(plan, source, destination);
    await expect(verifyArrival(plan, destination, { source, pausesMs: PAUSES })).rejects.toMatchObject({
      code: 'REFERRER_LOST',
      transient: false,
      details: {
        destination: 'destination/app',
        lost: expect.arrayContaining(lost.map((referrer) => ({ subject: image.digest, referrer }))),
      },
    });
  });

  test('copies missing manifests again', async () => {
    const { source, destination, image, referrers, plan } = await fiveReferrers();
    await copyGraph(plan, source, destination);
    destination.manifests.delete(image.digest);
    destination.manifests.delete(referrers[0]?.digest ?? '');
    destination.blobs.clear();
    await verifyArrival(plan, destination, { source, pausesMs: PAUSES });
    expect(destination.manifests.size).toBe(6);
    expect(isNothingMissing(await missingAt(plan, destination))).toBe(true);
  });

  test.each(['a referrer', 'a listing', 'a subject', 'a tag'])(
    'checks only what was missing (%s) and its dependents again',
    async (what) => {
      const { source, destination, image, referrers } = await fiveReferrers();
      const [lost = image] = referrers;
      for (let index = 0; index < 50; index += 1) await putReferrer(source, image, `more ${index}`);
      const tag = `${image.digest.replace(':', '-')}.sig`;
      await putImage(source, ['signature'], tag);
      const plan = await planGraph(source, image, { recursive: true });
      await copyGraph(plan, source, destination);
      destination.calls.length = 0;
      await verifyArrival(plan, destination, { source });
      const asked = destination.calls.length;
      const lose = (): void => {
        if (what === 'a referrer') destination.manifests.delete(lost.digest);
        if (what === 'a listing') destination.unlisted.add(lost.digest);
        if (what === 'a subject') destination.manifests.delete(image.digest);
        if (what === 'a tag') destination.tags.delete(tag);
      };
      // It is fetched again after the repair.
      lose();
      let rounds = 0;
      const after = async (): Promise<MemoryRepository> => {
        rounds += 1;
        if (rounds === 1) lose();
        else destination.unlisted.clear();
        return destination;
      };
      destination.calls.length = 0;
      await verifyArrival(plan, destination, { source, pausesMs: PAUSES, after });
      expect(rounds).toBe(2);
      expect(destination.calls.length - asked).toBeLessThan(25);
      expect(isNothingMissing(await missingAt(plan, destination))).toBe(true);
    },
  );

  test('checks the whole list of a subject after a repair, because a repair may remove other entries', async () => {
    const { source, destination, referrers, plan } = await fiveReferrers();
    const [lost, other] = referrers.map(({ digest }) => digest);
    await copyGraph(plan, source, destination);
    destination.unlisted.add(lost ?? '');
    let rounds = 0;
    const after = async (): Promise<MemoryRepository> => {
      rounds += 1;
      destination.unlisted.clear();
      if (rounds === 1) destination.unlisted.add(other ?? '');
      return destination;
    };
    await verifyArrival(plan, destination, { source, pausesMs: PAUSES, after });
    expect(rounds).toBe(2);
  });

  test('copies missing children together with a missing index', async () => {
    const source = new MemoryRepository();
    const destination = new MemoryRepository();
    const { root, all } = await putRealGraph(source);
    const plan = await planGraph(source, root, { recursive: true });
    await copyGraph(plan, source, destination);
    destination.manifests.delete(root.digest);
    const [child = ''] = all.map(({ digest }) => digest);
    const onAsked = (done: number, total: number): void => {
      if (done === total) destination.manifests.delete(child);
    };
    await verifyArrival(plan, destination, { source, pausesMs: PAUSES, onAsked });
    expect(destination.manifests.has(child)).toBe(true);
    expect(destination.manifests.has(root.digest)).toBe(true);
  });

  test('fails if the destination keeps nothing, after checking each repair', async () => {
    const { source, destination, image, referrers, plan } = await fiveReferrers();
    await copyGraph(plan, source, destination);
    const gone = referrers[0]?.digest ?? '';
    const push = destination.pushManifest.bind(destination);
    let swallowed = 0;
    destination.manifests.delete(gone);
    destination.pushManifest = async (...args) => {
      const pushed = await push(...args);
      if (pushed.digest === gone && swallowed < 5) {
        swallowed += 1;
        destination.manifests.delete(gone);
      }
      return pushed;
    };
    await expect(verifyArrival(plan, destination, { source, pausesMs: [0, 1] })).rejects.toMatchObject({
      code: 'MANIFEST_LOST',
      details: { destination: 'destination/app', lost: [gone] },
    });
    await verifyArrival(plan, destination, { source, pausesMs: [0, 1, 1] });
    expect(await destination.listReferrers(image.digest)).toHaveLength(5);
  });

  test('a digest tag that disappears is an error', async () => {
    const source = new MemoryRepository();
    const destination = new MemoryRepository();
    const image = await putImage(source, ['a']);
    const tag = `${image.digest.replace(':', '-')}.sig`;
    await putImage(source, ['signature'], tag);
    const plan = await planGraph(source, image, { recursive: true });
    const push = destination.pushManifest.bind(destination);
    destination.pushManifest = async (...args) => {
      const pushed = await push(...args);
      destination.tags.clear();
      return pushed;
    };
    await copyGraph(plan, source, destination);
    await expect(verifyArrival(plan, destination, { source, pausesMs: PAUSES })).rejects.toMatchObject({
      code: 'TAG_LOST',
      details: { lost: [tag] },
    });
  });

  test('checks the referrers of children and of referrers', async () => {
    const source = new MemoryRepository();
    const destination = new MemoryRepository();
    const { root } = await putRealGraph(source);
    const plan = await planGraph(source, root, { recursive: true });
    destination.loseReferrers = 4;
    await copyGraph(plan, source, destination);
    const report = await verifyArrival(plan, destination, { source, pausesMs: PAUSES });
    expect(report.restored).toHaveLength(4);
    expect(isNothingMissing(await missingAt(plan, destination))).toBe(true);
  });

  test('an abort ends a pause at once', async () => {
    const { source, destination, plan } = await fiveReferrers();
    for (const { descriptor } of plan.manifests) destination.unlisted.add(descriptor.digest);
    await copyGraph(plan, source, destination);
    const stop = new AbortController();
    const push = destination.pushManifest.bind(destination);
    let pushed = 0;
    destination.pushManifest = async (...args) => {
      pushed += 1;
      if (pushed === 5) stop.abort(new Error('stopped'));
      return push(...args);
    };
    const options = { source, signal: stop.signal, pausesMs: [60_000] };
    await expect(verifyArrival(plan, destination, options)).rejects.toThrow();
    expect(pushed).toBe(5);
  });
});

describe('missingAt', () => {
  test('reports everything for an empty destination and nothing for a complete one', async () => {
    const { source, destination, plan } = await fiveReferrers();
    const missing = await missingAt(plan, destination);
    expect(missing.manifests).toHaveLength(6);
    expect(missing.unlisted).toHaveLength(5);
    await copyGraph(plan, source, destination);
    expect(await missingAt(plan, destination)).toEqual({ manifests: [], unlisted: [], tags: [] });
  });

  test('names missing digest tags', async () => {
    const source = new MemoryRepository();
    const destination = new MemoryRepository();
    const image = await putImage(source, ['a']);
    const tag = `${image.digest.replace(':', '-')}.sig`;
    await putImage(source, ['signature'], tag);
    const plan = await planGraph(source, image, { recursive: true });
    await copyGraph(plan, source, destination);
    destination.tags.clear();
    expect(await missingAt(plan, destination)).toEqual({ manifests: [], unlisted: [], tags: [tag] });
  });
});

describe('compareGraphs', () => {
  test('finds no difference between equal graphs without fetching artifacts or images', async () => {
    const { source, destination, image, plan } = await fiveReferrers();
    await copyGraph(plan, source, destination);
    source.calls.length = 0;
    destination.calls.length = 0;
    const compared = await compareGraphs(source, destination, image, { recursive: true });
    expect(isNothingMissing(compared)).toBe(true);
    expect(compared.manifestCount).toBe(6);
    expect(source.count('fetchManifest')).toBe(1);
    expect(destination.count('resolve')).toBe(6);
    expect(destination.count('listReferrers')).toBe(1);
    expect(destination.count('fetchManifest')).toBe(0);
  });

  test('names the referrers that the source lists itself and the destination has', async () => {
    const { source, destination, image, plan } = await fiveReferrers();
    await copyGraph(plan, source, destination);
    const listed = await source.listReferrers(image.digest);
    await putReferrer(source, image, 'later');
    const compare = async (): Promise<Set<string>> => {
      const { onBothSides } = await compareGraphs(source, destination, image, { recursive: true });
      return new Set(onBothSides.keys());
    };
    expect(await compare()).toEqual(new Set(listed.map(({ digest }) => digest)));
    // Anybody who may push can write this tag, so what is listed need not exist.
    source.tags.set(image.digest.replace(':', '-'), image.digest);
    expect(await compare()).toEqual(new Set());
  });

  test.each(['child', 'referrer of a child', 'referrer of a referrer', 'listing'])(
    'reports a missing %s',
    async (what) => {
      const source = new MemoryRepository();
      const destination = new MemoryRepository();
      const { root, all } = await putRealGraph(source);
      await copyGraph(await planGraph(source, root, { recursive: true }), source, destination);
      const index = ['child', '', '', '', 'listing', 'referrer of a child', 'referrer of a referrer'].indexOf(what);
      const gone = all[index]?.digest ?? '';
      if (what === 'listing') destination.unlisted.add(gone);
      else destination.manifests.delete(gone);
      const compared = await compareGraphs(source, destination, root, { recursive: true });
      expect(compared.manifests.map(({ digest }) => digest)).toEqual(what === 'listing' ? [] : [gone]);
      expect(isNothingMissing(compared)).toBe(false);
    },
  );

  test('reports a referrer that was added at the source', async () => {
    const { source, destination, image, plan } = await fiveReferrers();
    await copyGraph(plan, source, destination);
    const added = await putReferrer(source, image, 'later');
    const compared = await compareGraphs(source, destination, image, { recursive: true });
    expect(compared.manifests.map(({ digest }) => digest)).toEqual([added.digest]);
    expect(compared.unlisted).toEqual([{ subject: image.digest, referrer: added.digest }]);
  });

  test('additional content at the destination is not a difference', async () => {
    const { source, destination, image, plan } = await fiveReferrers();
    await copyGraph(plan, source, destination);
    await putReferrer(destination, image, 'record');
    expect(isNothingMissing(await compareGraphs(source, destination, image, { recursive: true }))).toBe(true);
  });

  test('checks the children of indexes that the destination has', async () => {
    const source = new MemoryRepository();
    const destination = new MemoryRepository();
    destination.sparse = true;
    const image = await putImage(source, ['a']);
    const inner = await putIndex(source, [image]);
    const root = await putIndex(source, [inner]);
    for (const node of [inner, root]) {
      await destination.pushManifest((await source.fetchManifest(node)).bytes, node.mediaType);
    }
    const compared = await compareGraphs(source, destination, root, { recursive: true });
    expect(compared.manifests.map(({ digest }) => digest)).toEqual([image.digest]);
  });
});
