import { describe, expect, jest, test } from '@jest/globals';
import { parseQuirks } from '../../../../local/registry/quirks.js';
import {
  atEnd,
  cleanUpAfterEach,
  IMAGE,
  locationOf,
  putBlob,
  putImage,
  sender,
  sha256,
  start,
  temporaryFolder,
} from '../../../support/registry-harness.js';

cleanUpAfterEach();

describe('quirks', () => {
  test('lateReadsMs delays pushes and deletions in all reads, except for what existed at the start', async () => {
    const dataDir = await temporaryFolder();
    const registry = await start({ dataDir });
    const old = await putImage(sender(registry), 'a', 'v1');
    await registry.close();
    const lateReadsMs = 3_600_000;
    const waiting: (() => void)[] = [];
    const { setTimeout: real } = globalThis;
    const timers = jest.spyOn(globalThis, 'setTimeout').mockImplementation((work, ms) => {
      if (ms !== lateReadsMs) return real(work, ms);
      waiting.push(work);
      return real(() => undefined, 0);
    });
    atEnd(async () => timers.mockRestore());
    const hourPasses = (): void => waiting.splice(0).forEach((work) => work());
    const send = sender(await start({ dataDir, quirks: { lateReadsMs } }));
    const subject = { mediaType: IMAGE, digest: old.digest, size: old.text.length };
    const moved = await putImage(send, 'a', 'v1', { subject });
    await putImage(send, 'a', 'v2');
    const seen = async (): Promise<unknown> => {
      const head = await send('HEAD', '/v2/a/manifests/v1');
      const { tags } = JSON.parse((await send('GET', '/v2/a/tags/list')).text) as { tags: string[] };
      const list = JSON.parse((await send('GET', '/acr/v1/a/_manifests')).text) as { manifests: unknown[] };
      const referrers = JSON.parse((await send('GET', `/v2/a/referrers/${old.digest}`)).text) as {
        manifests: unknown[];
      };
      const byDigest = await send('GET', `/v2/a/manifests/${moved.digest}`);
      const digest = head.headers.get('docker-content-digest');
      return [digest, byDigest.status, tags, list.manifests.length, referrers.manifests.length];
    };
    expect(await seen()).toEqual([old.digest, 404, ['v1'], 1, 0]);
    hourPasses();
    expect(await seen()).toEqual([moved.digest, 200, ['v1', 'v2'], 2, 1]);
    await send('DELETE', '/v2/a/manifests/v2');
    expect((await send('HEAD', '/v2/a/manifests/v2')).status).toBe(200);
    hourPasses();
    expect((await send('HEAD', '/v2/a/manifests/v2')).status).toBe(404);
  });

  test('loseEvents sends no event', async () => {
    const registry = await start({ eventsUrl: 'http://127.0.0.1:1/hook', quirks: { loseEvents: true } });
    await putImage(sender(registry), 'a', 'v1');
    expect(registry.waitingEvents).toBe(0);
  });

  test('absoluteLocations makes Locations absolute', async () => {
    const registry = await start({ quirks: { absoluteLocations: true } });
    const opened = await sender(registry)('POST', '/v2/a/blobs/uploads/');
    expect(locationOf(opened).startsWith(`${registry.url}/v2/a/blobs/uploads/`)).toBe(true);
  });

  test('maxMonolithicBytes answers 413 to a large PUT and accepts chunks', async () => {
    const send = sender(await start({ quirks: { maxMonolithicBytes: 5 } }));
    const opened = await send('POST', '/v2/a/blobs/uploads/');
    const parameter = `digest=${sha256('hello world')}`;
    expect((await send('PUT', locationOf(opened, parameter), { body: 'hello world' })).status).toBe(413);
    expect((await send('POST', `/v2/a/blobs/uploads/?${parameter}`, { body: 'hello world' })).status).toBe(413);
    const first = await send('PATCH', locationOf(opened), { body: 'hello ' });
    expect((await send('PUT', locationOf(first, parameter), { body: 'world' })).status).toBe(201);
  });

  test('refuseChunkedTransfer refuses a PATCH of unknown length', async () => {
    const send = sender(await start({ quirks: { refuseChunkedTransfer: true } }));
    const opened = await send('POST', '/v2/a/blobs/uploads/');
    const body = new Blob(['hello']).stream();
    expect((await send('PATCH', locationOf(opened), { body })).code).toBe('CONTENT_LENGTH_INVALID');
    expect((await send('PATCH', locationOf(opened), { body: 'hello' })).status).toBe(202);
  });

  test('loseEveryNthUpload loses every nth upload in the middle', async () => {
    const send = sender(await start({ quirks: { loseEveryNthUpload: 2 } }));
    const opened = await send('POST', '/v2/a/blobs/uploads/');
    const first = await send('PATCH', locationOf(opened), { body: 'hello' });
    expect((await send('PATCH', locationOf(first), { body: ' world' })).code).toBe('BLOB_UPLOAD_UNKNOWN');
    expect((await send('PUT', locationOf(first, `digest=${sha256('hello')}`))).code).toBe('BLOB_UPLOAD_UNKNOWN');
  });

  test('throttleEveryNth answers 429 with Retry-After every nth time', async () => {
    const nth = sender(await start({ quirks: { throttleEveryNth: 3, retryAfterSeconds: 7 } }));
    const answers = [await nth('GET', '/v2/'), await nth('GET', '/v2/'), await nth('GET', '/v2/')];
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 429]);
    expect([answers[2]?.headers.get('retry-after'), answers[2]?.code]).toEqual(['7', 'TOOMANYREQUESTS']);
  });

  test('redirectBlobs serves blobs from another host that refuses credentials', async () => {
    const registry = await start({ quirks: { redirectBlobs: true } });
    const send = sender(registry);
    const { digest } = await putBlob(send, 'a', '0123456789');
    const redirected = await send('GET', `/v2/a/blobs/${digest}`);
    expect(redirected.status).toBe(307);
    const target = locationOf(redirected);
    expect(new URL(target).hostname).not.toBe(new URL(registry.url).hostname);
    expect(await (await fetch(target)).text()).toBe('0123456789');
    const ranged = await fetch(target, { headers: { range: 'bytes=2-4' } });
    expect([ranged.status, await ranged.text()]).toEqual([206, '234']);
    expect(registry.blobHostAuthorized).toBe(0);
    expect((await fetch(target, { headers: { authorization: 'Bearer x' } })).status).toBe(400);
    expect(registry.blobHostAuthorized).toBe(1);
    expect(registry.log.at(-1)).toMatchObject({ path: `/blobs/${digest}`, status: 400, token: 'other' });
    expect((await fetch(target.replace('sig=', 'sig=A'))).status).toBe(403);
    expect((await send('HEAD', `/v2/a/blobs/${digest}`)).status).toBe(200);
  });

  test('noReferrersApi removes the referrers API', async () => {
    const send = sender(await start({ quirks: { noReferrersApi: true } }));
    const { digest, text } = await putImage(send, 'a', 'v1');
    const more = { subject: { mediaType: IMAGE, digest, size: text.length } };
    const { answer } = await putImage(send, 'a', 'digest', more);
    expect(answer.headers.get('oci-subject')).toBeNull();
    expect((await send('GET', `/v2/a/referrers/${digest}`)).status).toBe(404);
    const half = sender(await start({ quirks: { noReferrersApi: true, subjectHeaderWithoutApi: true } }));
    const pushed = await putImage(half, 'a', 'digest', more);
    expect(pushed.answer.headers.get('oci-subject')).toBe(digest);
  });

  test('referrersWithoutArtifactType leaves out artifact types', async () => {
    const send = sender(await start({ quirks: { referrersWithoutArtifactType: true } }));
    const { digest, text } = await putImage(send, 'a', 'v1');
    const subject = { mediaType: IMAGE, digest, size: text.length };
    await putImage(send, 'a', 'digest', { subject, artifactType: 'a/b' });
    const answer = await send('GET', `/v2/a/referrers/${digest}`);
    expect(answer.text).not.toContain('artifactType');
    expect(answer.text).toContain('"size"');
  });

  test('are parsed from text, and an unknown one is an error', () => {
    expect(parseQuirks(['redirectBlobs', 'pageEntries=20'])).toEqual({ redirectBlobs: true, pageEntries: 20 });
    for (const text of ['nothing', 'redirectBlobs=1', 'pageEntries', 'pageEntries=x', 'toString']) {
      expect(() => parseQuirks([text])).toThrow(expect.objectContaining({ code: 'QUIRK_INVALID' }));
    }
  });
});
