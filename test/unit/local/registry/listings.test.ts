import { describe, expect, test } from '@jest/globals';
import {
  cleanUpAfterEach,
  IMAGE,
  INDEX,
  putImage,
  type Send,
  sender,
  sha256,
  start,
} from '../../../support/registry-harness.js';

cleanUpAfterEach();

/** Follows `Link` to the end. @returns the body of each page */
async function pages<T>(send: Send, path: string): Promise<T[]> {
  const bodies: T[] = [];
  for (let next: string | undefined = path; next !== undefined;) {
    const answer = await send('GET', next);
    expect(answer.status).toBe(200);
    bodies.push(JSON.parse(answer.text) as T);
    next = /<([^>]+)>; rel="next"/.exec(answer.headers.get('link') ?? '')?.[1];
    expect(bodies.length).toBeLessThan(50);
  }
  return bodies;
}

describe('listings', () => {
  test('tags are listed in lexical order, page by page', async () => {
    const send = sender(await start());
    for (const tag of ['b', 'a', 'C', 'd', '10', '9']) await putImage(send, 'a', tag);
    const all = ['10', '9', 'C', 'a', 'b', 'd'];
    expect(await pages(send, '/v2/a/tags/list')).toEqual([{ name: 'a', tags: all }]);
    const two = await pages<{ tags: string[] }>(send, '/v2/a/tags/list?n=2');
    expect(two.map(({ tags }) => tags)).toEqual([all.slice(0, 2), all.slice(2, 4), all.slice(4)]);
    expect(await pages(send, '/v2/a/tags/list?last=a&n=5')).toEqual([{ name: 'a', tags: ['b', 'd'] }]);
    expect(await pages(send, '/v2/a/tags/list?n=0')).toEqual([{ name: 'a', tags: [] }]);
    expect((await send('GET', '/v2/a/tags/list?n=-1')).code).toBe('PAGINATION_NUMBER_INVALID');
    expect((await send('GET', '/v2/none/tags/list')).code).toBe('NAME_UNKNOWN');
  });

  test('the catalog is listed page by page', async () => {
    const send = sender(await start());
    for (const name of ['b/x', 'a', 'c']) await putImage(send, name, 'v1');
    expect(await pages(send, '/v2/_catalog')).toEqual([{ repositories: ['a', 'b/x', 'c'] }]);
    const answer = await send('GET', '/v2/_catalog?n=2');
    expect(answer.headers.get('link')).toBe('</v2/_catalog?last=b%2Fx&n=2&orderby=>; rel="next"');
    expect((await pages(send, '/v2/_catalog?n=2')).length).toBe(2);
  });

  test('referrers have a filter and pages, also for a subject that does not exist', async () => {
    const send = sender(await start({ quirks: { pageEntries: 3 } }));
    const { digest, text } = await putImage(send, 'a', 'v1');
    const subject = { mediaType: IMAGE, digest, size: text.length };
    const artifacts: string[] = [];
    for (let index = 0; index < 7; index += 1) {
      const artifactType = index % 2 === 0 ? 'application/spdx+json' : 'a/b';
      const annotations = { number: String(index) };
      artifacts.push((await putImage(send, 'a', 'digest', { subject, artifactType, annotations })).digest);
    }
    interface Page {
      mediaType: string;
      manifests: { digest: string; artifactType: string; annotations: Record<string, string> }[];
    }
    const all = await pages<Page>(send, `/v2/a/referrers/${digest}`);
    expect(all.map(({ manifests }) => manifests.length)).toEqual([3, 3, 1]);
    expect(all.flatMap(({ manifests }) => manifests.map((entry) => entry.digest))).toEqual(artifacts);
    expect(all[0]?.manifests[1]).toMatchObject({ mediaType: IMAGE, artifactType: 'a/b', annotations: { number: '1' } });
    const filtered = `/v2/a/referrers/${digest}?artifactType=application/spdx%2Bjson`;
    const spdx = await pages<Page>(send, filtered);
    expect(spdx.map(({ manifests }) => manifests.length)).toEqual([3, 1]);
    const answer = await send('GET', filtered);
    expect(answer.headers.get('oci-filters-applied')).toBe('artifactType');
    expect(answer.headers.get('content-type')).toBe(INDEX);
    expect(await pages(send, `/v2/a/referrers/${sha256('none')}`)).toEqual([
      { schemaVersion: 2, mediaType: INDEX, manifests: [] },
    ]);
    expect((await send('GET', '/v2/a/referrers/sha256:bad')).code).toBe('DIGEST_INVALID');
  });

  test("an image's config media type replaces a missing artifact type", async () => {
    const send = sender(await start());
    const { digest, text } = await putImage(send, 'a', 'v1');
    await putImage(send, 'a', 'digest', { subject: { mediaType: IMAGE, digest, size: text.length } });
    const listed = JSON.parse((await send('GET', `/v2/a/referrers/${digest}`)).text) as { manifests: unknown[] };
    expect(listed.manifests).toMatchObject([{ artifactType: 'application/vnd.oci.image.config.v1+json' }]);
  });

  test("ACR's tag list has digests and is sorted by name or time", async () => {
    const registry = await start();
    const send = sender(registry);
    const digests = new Map<string, string>();
    for (const tag of ['m', 'z', 'a']) {
      digests.set(tag, (await putImage(send, 'x/y', tag, { annotations: { tag } })).digest);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    interface Page {
      registry: string;
      imageName: string;
      tags: { name: string; digest: string; createdTime: string; lastUpdateTime: string }[];
    }
    const names = async (query: string) =>
      (await pages<Page>(send, `/acr/v1/x/y/_tags${query}`)).map(({ tags }) => tags.map(({ name }) => name));
    expect(await names('')).toEqual([['a', 'm', 'z']]);
    expect(await names('?n=2&orderby=timedesc')).toEqual([['a', 'z'], ['m']]);
    expect(await names('?n=1&orderby=timeasc')).toEqual([['m'], ['z'], ['a']]);
    const [page] = await pages<Page>(send, '/acr/v1/x/y/_tags');
    expect([page?.registry, page?.imageName]).toEqual([registry.name, 'x/y']);
    expect(page?.tags[0]).toMatchObject({ name: 'a', digest: digests.get('a'), signed: false });
    const created = page?.tags[0]?.createdTime;
    await putImage(send, 'x/y', 'a', { annotations: { moved: 'yes' } });
    const [after] = await pages<Page>(send, '/acr/v1/x/y/_tags');
    expect(after?.tags[0]?.createdTime).toBe(created);
    expect(after?.tags[0]?.lastUpdateTime).not.toBe(created);
  });

  interface Manifests {
    manifests: {
      digest: string;
      tags?: string[];
      createdTime: string;
      lastUpdateTime: string;
      references?: unknown[];
      changeableAttributes: Record<string, boolean>;
    }[];
  }
  const pause = async (): Promise<unknown> => await new Promise((resolve) => setTimeout(resolve, 5));

  test("ACR's manifest list is sorted by digest or time and includes untagged manifests and children of an index", async () => {
    const send = sender(await start());
    const { digest, text } = await putImage(send, 'a', 'v1');
    await pause();
    const subject = { mediaType: IMAGE, digest, size: text.length };
    const referrer = await putImage(send, 'a', 'digest', { subject, artifactType: 'a/b' });
    await pause();
    const platform = { architecture: 'arm64', os: 'linux' };
    const body = JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests: [{ ...subject, platform }] });
    await send('PUT', '/v2/a/manifests/all', { headers: { 'content-type': INDEX }, body });
    const index = sha256(body);
    const list = async (query: string) =>
      (await pages<Manifests>(send, `/acr/v1/a/_manifests${query}`)).map(({ manifests }) =>
        manifests.map((manifest) => manifest.digest),
      );
    const byTime = [digest, referrer.digest, index];
    expect(await list('')).toEqual([[...byTime].sort()]);
    expect(await list('?orderby=timeasc&n=2')).toEqual([byTime.slice(0, 2), byTime.slice(2)]);
    expect(await list('?orderby=timedesc&n=1')).toEqual(byTime.toReversed().map((each) => [each]));
    expect((await send('GET', '/acr/v1/a/_manifests?orderby=name')).status).toBe(400);
    expect((await send('GET', '/acr/v1/none/_manifests')).code).toBe('NAME_UNKNOWN');
    const [page] = await pages<Manifests>(send, '/acr/v1/a/_manifests?orderby=timeasc');
    expect(page?.manifests).toMatchObject([
      { mediaType: IMAGE, configMediaType: 'application/vnd.oci.image.config.v1+json', imageSize: 7, tags: ['v1'] },
      { mediaType: IMAGE, configMediaType: 'application/vnd.oci.image.config.v1+json' },
      { mediaType: INDEX, tags: ['all'], references: [{ digest, ...platform }] },
    ]);
    expect(page?.manifests[1]).not.toHaveProperty('tags');
  });

  test('a new tag for a manifest changes only the tag’s time', async () => {
    const send = sender(await start());
    const { text } = await putImage(send, 'a', 'v1');
    const times = async (): Promise<unknown> => {
      const [page] = await pages<Manifests>(send, '/acr/v1/a/_manifests');
      return page?.manifests.map(({ createdTime, lastUpdateTime }) => [createdTime, lastUpdateTime]);
    };
    const before = await times();
    await pause();
    await send('PUT', '/v2/a/manifests/v2', { headers: { 'content-type': IMAGE }, body: text });
    expect(await times()).toEqual(before);
    const [tags] = await pages<{ tags: { name: string }[] }>(send, '/acr/v1/a/_tags?orderby=timedesc&n=1');
    expect(tags).toMatchObject({ tags: [{ name: 'v2' }] });
  });

  test('the tags of one digest are listed page by page', async () => {
    const send = sender(await start());
    const { digest } = await putImage(send, 'a', 'v1');
    await putImage(send, 'a', 'other', { annotations: { other: 'yes' } });
    for (const tag of ['v2', 'v3']) await putImage(send, 'a', tag);
    const found = await pages<{ tags: { name: string }[] }>(send, `/acr/v1/a/_tags?digest=${digest}&n=2`);
    expect(found.map(({ tags }) => tags.map(({ name }) => name))).toEqual([['v1', 'v2'], ['v3']]);
  });

  test('a registry without ACR lists answers 404', async () => {
    const send = sender(await start({ quirks: { noAcrLists: true } }));
    await putImage(send, 'a', 'v1');
    for (const list of ['_tags', '_manifests']) {
      expect(await send('GET', `/acr/v1/a/${list}`)).toMatchObject({ status: 404, code: undefined });
    }
  });
});
