import { describe, expect, test } from '@jest/globals';
import { cleanUpAfterEach, putImage, type Send, sender, start } from '../../../support/registry-harness.js';

cleanUpAfterEach();

const LOCKED = { status: 405, code: 'REGISTRY_DISALLOWED_OPERATION' };
const lock = (send: Send, path: string, writeEnabled: boolean) =>
  send('PATCH', `/acr/v1/${path}`, { body: JSON.stringify({ writeEnabled }) });

describe('locks, as ACR has them', () => {
  test('a locked tag stays, while the repository accepts other tags and the same content by digest', async () => {
    const send = sender(await start());
    const { digest } = await putImage(send, 'a', 'v1');
    expect((await lock(send, 'a/_tags/v1', false)).status).toBe(200);
    const text = (await send('GET', '/v2/a/manifests/v1')).text;
    const put = (reference: string) =>
      send('PUT', `/v2/a/manifests/${reference}`, {
        body: text,
        headers: { 'content-type': 'application/vnd.oci.image.manifest.v1+json' },
      });
    expect(await put('v1')).toMatchObject(LOCKED);
    expect((await put('v2')).status).toBe(201);
    expect((await put(digest)).status).toBe(201);
    expect(await send('DELETE', '/v2/a/manifests/v1')).toMatchObject(LOCKED);
    expect(await send('DELETE', `/v2/a/manifests/${digest}`)).toMatchObject(LOCKED);
    const { tags } = JSON.parse((await send('GET', '/acr/v1/a/_tags')).text) as { tags: unknown[] };
    expect(tags).toMatchObject([
      { name: 'v1', changeableAttributes: { writeEnabled: false, deleteEnabled: true, readEnabled: true } },
      { name: 'v2', changeableAttributes: { writeEnabled: true } },
    ]);
    await lock(send, 'a/_tags/v1', true);
    expect((await put('v1')).status).toBe(201);
  });

  test('a locked repository accepts neither manifests nor blobs, another repository does', async () => {
    const registry = await start();
    const send = sender(registry);
    const { digest } = await putImage(send, 'a', 'v1');
    await lock(send, 'a', false);
    expect(await send('POST', '/v2/a/blobs/uploads/')).toMatchObject(LOCKED);
    expect(await send('PUT', `/v2/a/manifests/${digest}`, { body: '{}' })).toMatchObject(LOCKED);
    expect(await send('DELETE', `/v2/a/manifests/${digest}`)).toMatchObject(LOCKED);
    expect((await send('GET', '/v2/a/manifests/v1')).status).toBe(200);
    expect((await putImage(send, 'b', 'v1')).digest).toBeDefined();
    expect(JSON.parse((await send('GET', '/acr/v1/a')).text)).toMatchObject({
      imageName: 'a',
      changeableAttributes: { writeEnabled: false },
    });
  });

  test('a missing tag or repository cannot be locked, and the body must be JSON', async () => {
    const send = sender(await start());
    expect(await lock(send, 'none', false)).toMatchObject({ status: 404, code: 'NAME_UNKNOWN' });
    await putImage(send, 'a', 'v1');
    expect(await lock(send, 'a/_tags/v2', false)).toMatchObject({ status: 404, code: 'TAG_UNKNOWN' });
    expect((await send('PATCH', '/acr/v1/a', { body: 'no' })).status).toBe(400);
  });
});
