import { describe, expect, test } from '@jest/globals';
import {
  cleanUpAfterEach,
  IMAGE,
  INDEX,
  putBlob,
  putImage,
  sender,
  sha256,
  sha512,
  start,
} from '../../../support/registry-harness.js';

cleanUpAfterEach();

const subjectOf = (digest: string, text: string) => ({
  subject: { mediaType: IMAGE, digest, size: Buffer.byteLength(text) },
});

describe('blobs', () => {
  test('a range is returned, or refused if it is outside of the blob', async () => {
    const send = sender(await start());
    const { digest } = await putBlob(send, 'a', '0123456789');
    const range = async (value: string) =>
      await send('GET', `/v2/a/blobs/${digest}`, { headers: { range: `bytes=${value}` } });
    for (const [value, text, contentRange] of [
      ['2-4', '234', 'bytes 2-4/10'],
      ['7-', '789', 'bytes 7-9/10'],
      ['-3', '789', 'bytes 7-9/10'],
      ['8-99', '89', 'bytes 8-9/10'],
    ] as const) {
      const answer = await range(value);
      expect([answer.status, answer.text, answer.headers.get('content-range')]).toEqual([206, text, contentRange]);
    }
    expect((await range('10-12')).status).toBe(416);
    expect((await range('0-1,3-4')).status).toBe(200);
  });

  test('missing blobs and invalid digests have their own error codes', async () => {
    const send = sender(await start());
    expect((await send('GET', `/v2/a/blobs/${sha256('x')}`)).code).toBe('BLOB_UNKNOWN');
    expect((await send('GET', '/v2/a/blobs/sha256:abc')).code).toBe('DIGEST_INVALID');
    expect((await send('DELETE', `/v2/a/blobs/${sha256('x')}`)).code).toBe('BLOB_UNKNOWN');
    expect((await send('GET', `/v2/UPPER/blobs/${sha256('x')}`)).code).toBe('NAME_INVALID');
    expect((await send('GET', '/v2/a/nothing/here')).code).toBe('NOT_FOUND');
    expect((await send('PATCH', `/v2/a/blobs/${sha256('x')}`)).code).toBe('UNSUPPORTED');
  });
});

describe('manifests', () => {
  test('are returned unchanged by tag and by digest, sha256 and sha512', async () => {
    const send = sender(await start());
    const { digest, text, answer } = await putImage(send, 'samples/app', 'v1');
    expect([answer.status, answer.headers.get('docker-content-digest')]).toEqual([201, digest]);
    expect(answer.headers.get('location')).toBe(`/v2/samples/app/manifests/${digest}`);
    for (const reference of ['v1', digest]) {
      const got = await send('GET', `/v2/samples/app/manifests/${reference}`);
      expect([got.status, got.text, got.headers.get('content-type')]).toEqual([200, text, IMAGE]);
      const head = await send('HEAD', `/v2/samples/app/manifests/${reference}`);
      expect([head.text, head.headers.get('content-length')]).toEqual(['', String(text.length)]);
    }
    const put = await send('PUT', `/v2/samples/app/manifests/${sha512(text)}`, {
      headers: { 'content-type': IMAGE },
      body: text,
    });
    expect([put.status, put.headers.get('docker-content-digest')]).toEqual([201, sha512(text)]);
  });

  test('every kind of manifest is accepted, even the retired artifact manifest, except schema 1', async () => {
    const send = sender(await start());
    const { digest, text } = await putImage(send, 'a', 'v1');
    const blob = await putBlob(send, 'a', 'sbom');
    const child = { mediaType: IMAGE, digest, size: text.length };
    const put = async (mediaType: string, manifest: Record<string, unknown>) =>
      await send('PUT', '/v2/a/manifests/other', {
        headers: { 'content-type': mediaType },
        body: JSON.stringify({ mediaType, ...manifest }),
      });
    const docker = 'application/vnd.docker.distribution.manifest';
    expect((await put(INDEX, { schemaVersion: 2, manifests: [child] })).status).toBe(201);
    expect((await put(`${docker}.list.v2+json`, { schemaVersion: 2, manifests: [child] })).status).toBe(201);
    expect((await put(`${docker}.v2+json`, { schemaVersion: 2, config: blob, layers: [blob] })).status).toBe(201);
    const artifact = 'application/vnd.oci.artifact.manifest.v1+json';
    expect((await put(artifact, { artifactType: 'a/b', blobs: [blob], subject: child })).status).toBe(201);
    const got = await send('GET', '/v2/a/manifests/other', { headers: { accept: artifact } });
    expect(got.headers.get('content-type')).toBe(artifact);
    expect((await put(`${docker}.v1+json`, { schemaVersion: 1 })).code).toBe('MANIFEST_INVALID');
    expect((await put('text/plain', { schemaVersion: 2, manifests: [] })).code).toBe('MANIFEST_INVALID');
  });

  test('an invalid manifest is refused with a code', async () => {
    const send = sender(await start());
    const put = async (reference: string, body: string) =>
      await send('PUT', `/v2/a/manifests/${reference}`, { headers: { 'content-type': IMAGE }, body });
    expect((await put('v1', 'not json')).code).toBe('MANIFEST_INVALID');
    expect((await put('.bad', '{}')).code).toBe('TAG_INVALID');
    expect((await put('sha256:bad', '{}')).code).toBe('DIGEST_INVALID');
    expect((await put(sha256('x'), '{}')).code).toBe('DIGEST_INVALID');
    const large = await put('v1', ' '.repeat(4 * 1024 * 1024 + 1));
    expect([large.status, large.code]).toEqual([413, 'MANIFEST_INVALID']);
    expect((await send('GET', '/v2/a/manifests/v1')).code).toBe('NAME_UNKNOWN');
  });

  test('a manifest whose content is missing is refused, except with `sparse`', async () => {
    const missing = { mediaType: 'a/b', digest: sha256('missing'), size: 7 };
    const body = JSON.stringify({ schemaVersion: 2, mediaType: IMAGE, config: missing, layers: [] });
    const put = { headers: { 'content-type': IMAGE }, body };
    expect((await sender(await start())('PUT', '/v2/a/manifests/v1', put)).code).toBe('MANIFEST_BLOB_UNKNOWN');
    expect((await sender(await start({ sparse: true }))('PUT', '/v2/a/manifests/v1', put)).status).toBe(201);
    const foreign = { ...missing, urls: ['https://example.com/layer'] };
    const elsewhere = JSON.stringify({ schemaVersion: 2, mediaType: IMAGE, config: foreign, layers: [foreign] });
    expect((await sender(await start())('PUT', '/v2/a/manifests/v1', { ...put, body: elsewhere })).status).toBe(201);
  });

  test('a client gets only media types that it accepts', async () => {
    const send = sender(await start());
    await putImage(send, 'a', 'v1');
    const get = async (accept: string) => (await send('GET', '/v2/a/manifests/v1', { headers: { accept } })).status;
    expect([await get(INDEX), await get(`${INDEX}, ${IMAGE}`), await get('*/*')]).toEqual([404, 200, 200]);
  });

  test('deleting a digest deletes its tags and referrers, deleting a tag only the tag', async () => {
    const send = sender(await start());
    const image = await putImage(send, 'a', 'v1');
    await putImage(send, 'a', 'v2');
    const sbom = await putImage(send, 'a', 'sbom', subjectOf(image.digest, image.text));
    const signature = await putImage(send, 'a', 'digest', subjectOf(sbom.digest, sbom.text));
    expect(sbom.answer.headers.get('oci-subject')).toBe(image.digest);
    expect((await send('DELETE', '/v2/a/manifests/v2')).status).toBe(202);
    expect((await send('HEAD', `/v2/a/manifests/${image.digest}`)).status).toBe(200);
    expect((await send('DELETE', `/v2/a/manifests/${image.digest}`)).status).toBe(202);
    for (const reference of ['v1', 'sbom', image.digest, sbom.digest, signature.digest]) {
      expect((await send('HEAD', `/v2/a/manifests/${reference}`)).status).toBe(404);
    }
    expect((await send('DELETE', `/v2/a/manifests/${image.digest}`)).code).toBe('MANIFEST_UNKNOWN');
  });
});
