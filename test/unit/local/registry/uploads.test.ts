import { readdirSync, statSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import {
  cleanUpAfterEach,
  locationOf,
  putBlob,
  type Send,
  sender,
  sha256,
  sha512,
  start,
  temporaryFolder,
  until,
} from '../../../support/registry-harness.js';

cleanUpAfterEach();

const open = async (send: Send) => await send('POST', '/v2/samples/app/blobs/uploads/');
const patch = async (send: Send, location: string, range: string, body: string) =>
  await send('PATCH', location, { headers: { 'content-range': range }, body });

describe('uploads', () => {
  test('POST and PUT upload a blob, sha256 or sha512, even an empty one', async () => {
    const send = sender(await start());
    for (const [content, digest] of [
      ['hello', sha256('hello')],
      ['hello', sha512('hello')],
      ['', sha256('')],
    ] as const) {
      const put = await send('PUT', locationOf(await open(send), `digest=${digest}`), { body: content });
      expect([put.status, put.headers.get('docker-content-digest')]).toEqual([201, digest]);
      const got = await send('GET', locationOf(put));
      expect([got.status, got.text, got.headers.get('content-length')]).toEqual([200, content, `${content.length}`]);
    }
  });

  test('POST with a digest uploads the whole blob', async () => {
    const send = sender(await start());
    const answer = await send('POST', `/v2/a/blobs/uploads/?digest=${sha256('hi')}`, { body: 'hi' });
    expect(answer.status).toBe(201);
    expect((await send('GET', `/v2/a/blobs/${sha256('hi')}`)).text).toBe('hi');
  });

  test('chunks are uploaded in order, with their start', async () => {
    const send = sender(await start());
    const opened = await open(send);
    expect([opened.status, opened.headers.get('range')]).toEqual([202, '0-0']);
    const first = await patch(send, locationOf(opened), '0-4', 'hello');
    expect([first.status, first.headers.get('range')]).toEqual([202, '0-4']);
    const late = await patch(send, locationOf(first), '6-9', 'late');
    expect([late.status, late.headers.get('range'), late.code]).toEqual([416, '0-4', 'RANGE_INVALID']);
    const again = await patch(send, locationOf(first), '0-4', 'hello');
    expect(again.status).toBe(416);
    const state = await send('GET', locationOf(again));
    expect([state.status, state.headers.get('range')]).toEqual([204, '0-4']);
    const put = await send('PUT', locationOf(state, `digest=${sha256('hello world')}`), {
      headers: { 'content-range': '5-10' },
      body: ' world',
    });
    expect(put.status).toBe(201);
  });

  test('a chunk that is shorter than its range leaves nothing behind, not even on disk', async () => {
    const dataDir = await temporaryFolder();
    const before = await start({ dataDir });
    const opened = await open(sender(before));
    const short = await patch(sender(before), locationOf(opened), '0-9', 'hello');
    expect([short.status, short.code]).toEqual([400, 'BLOB_UPLOAD_INVALID']);
    expect((await sender(before)('GET', locationOf(opened))).headers.get('range')).toBe('0-0');
    await before.close();
    const send = sender(await start({ dataDir }));
    const state = await send('GET', locationOf(opened));
    const first = await patch(send, locationOf(state), '0-0', 'x');
    expect([first.status, first.headers.get('range')]).toEqual([202, '0-0']);
    expect((await patch(send, locationOf(first), 'bytes 1-4/5', 'hell')).code).toBe('BLOB_UPLOAD_INVALID');
  });

  test('a chunk whose connection breaks leaves nothing behind, and the upload can continue', async () => {
    const registry = await start();
    const send = sender(registry);
    const opened = await open(send);
    const request = httpRequest(new URL(locationOf(opened), registry.url), {
      method: 'PATCH',
      headers: { 'content-length': '1000' },
    });
    request.on('error', () => undefined);
    request.write('the beginning of it');
    const folder = join(registry.logFile, '..', 'uploads');
    await until(() => readdirSync(folder).some((name) => statSync(join(folder, name)).size > 0));
    request.destroy();
    await until(() => registry.log.some(({ status }) => status === 499));
    const state = await send('GET', locationOf(opened));
    const put = await send('PUT', locationOf(state, `digest=${sha256('all of it')}`), { body: 'all of it' });
    expect(put.status).toBe(201);
    expect((await send('GET', locationOf(put))).text).toBe('all of it');
  });

  test('only the newest Location is accepted', async () => {
    const send = sender(await start());
    const opened = await open(send);
    expect(locationOf(opened)).toMatch(/^\/v2\/samples\/app\/blobs\/uploads\/[^?]+\?_nouploadcache=false&_state=/);
    const first = await patch(send, locationOf(opened), '0-4', 'hello');
    const old = await send('PUT', locationOf(opened, `digest=${sha256('hello')}`));
    expect([old.status, old.code]).toEqual([404, 'BLOB_UPLOAD_INVALID']);
    expect((await send('PUT', locationOf(first, `digest=${sha256('hello')}`))).status).toBe(201);
  });

  test('a wrong digest is refused and ends the upload', async () => {
    const send = sender(await start());
    const opened = await open(send);
    const put = await send('PUT', locationOf(opened, `digest=${sha256('other')}`), { body: 'hello' });
    expect([put.status, put.code]).toEqual([400, 'DIGEST_INVALID']);
    expect((await send('GET', locationOf(opened))).code).toBe('BLOB_UPLOAD_UNKNOWN');
    expect((await send('HEAD', `/v2/samples/app/blobs/${sha256('other')}`)).status).toBe(404);
    expect((await send('PUT', locationOf(await open(send), 'digest=md5:abc'), { body: 'x' })).code).toBe(
      'DIGEST_INVALID',
    );
  });

  test('an upload can be cancelled and belongs to one repository', async () => {
    const send = sender(await start());
    const opened = await open(send);
    const elsewhere = locationOf(opened).replace('samples/app', 'samples/other');
    expect((await send('GET', elsewhere)).code).toBe('BLOB_UPLOAD_UNKNOWN');
    expect((await send('DELETE', locationOf(opened))).status).toBe(204);
    expect((await send('DELETE', locationOf(opened))).code).toBe('BLOB_UPLOAD_UNKNOWN');
  });

  test('an upload can continue after a restart', async () => {
    const dataDir = await temporaryFolder();
    const before = await start({ dataDir });
    const opened = await open(sender(before));
    await patch(sender(before), locationOf(opened), '0-4', 'hello');
    await before.close();
    const send = sender(await start({ dataDir }));
    const state = await send('GET', locationOf(opened));
    expect(state.headers.get('range')).toBe('0-4');
    const put = await send('PUT', locationOf(state, `digest=${sha256('hello world')}`), { body: ' world' });
    expect(put.status).toBe(201);
    expect((await send('GET', locationOf(put))).text).toBe('hello world');
  });

  test('a mount links a blob of another repository, named or not; otherwise it opens an upload', async () => {
    const send = sender(await start());
    const { digest } = await putBlob(send, 'source', 'content');
    const mount = async (to: string, query: string) => await send('POST', `/v2/${to}/blobs/uploads/?${query}`);
    expect((await mount('a', `mount=${digest}&from=source`)).status).toBe(201);
    expect((await mount('b', `mount=${digest}`)).status).toBe(201);
    expect((await mount('c', `mount=${digest}&from=nowhere`)).status).toBe(202);
    expect((await mount('d', `mount=${sha256('missing')}`)).status).toBe(202);
    await send('DELETE', `/v2/source/blobs/${digest}`);
    expect((await send('GET', `/v2/a/blobs/${digest}`)).text).toBe('content');
    await send('DELETE', `/v2/a/blobs/${digest}`);
    await send('DELETE', `/v2/b/blobs/${digest}`);
    expect((await mount('e', `mount=${digest}`)).status).toBe(202);
  });

  test('a blob that is uploaded and deleted in parallel is complete or absent', async () => {
    const send = sender(await start());
    const digest = sha256('contended');
    const path = (repository: string) => `/v2/${repository}/blobs/${digest}`;
    await Promise.all(
      Array.from({ length: 40 }, async (_, index) => {
        await putBlob(send, `r${index % 4}`, 'contended');
        if (index % 3 === 0) await send('DELETE', path(`r${(index + 1) % 4}`));
      }),
    );
    for (let index = 0; index < 4; index += 1) {
      const head = await send('HEAD', path(`r${index}`));
      const got = await send('GET', path(`r${index}`));
      expect(got.status).toBe(head.status);
      if (got.status === 200) expect(got.text).toBe('contended');
    }
  });
});
