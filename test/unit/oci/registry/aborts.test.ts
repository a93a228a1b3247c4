import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { digestOf, dockerConfigCredentials, OCI_EMPTY, OCI_IMAGE_MANIFEST } from '../../../../src/oci/index.js';
import { failureOf, quickClient } from './clients.js';
import { withFakeRegistry } from './fake-registry.js';
import { scripted } from './scripted-server.js';

const STOPPED = new Error('stopped');

/** Waits a short time for a condition, and fails if it does not become true. */
async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let round = 0; round < 500; round += 1) {
    if (await holds()) return;
    await pause(10);
  }
  throw new Error('it never came');
}

describe('a request for a token', () => {
  test('is aborted when its last waiting caller is aborted', async () => {
    await scripted([], async (server) => {
      let asked = 0;
      let closed = 0;
      const realm = { 'www-authenticate': `Bearer realm="${server.origin}/token",service="r"` };
      server.script(
        { request: 'HEAD /v2/a/manifests/v0', answer: { status: 401, headers: realm } },
        { request: 'HEAD /v2/a/manifests/v1', answer: { status: 401, headers: realm }, maybe: true },
        {
          request: 'GET /token?service=r&scope=repository%3Aa%3Apull',
          answer: (_, response) => {
            asked += 1;
            response.on('close', () => (closed += 1));
          },
        },
      );
      const client = quickClient();
      const repository = client.repository(server.host, 'a');
      const [first, second] = [new AbortController(), new AbortController()];
      const one = failureOf(repository.resolve('v0', { signal: first.signal }));
      const two = failureOf(repository.resolve('v1', { signal: second.signal }));
      await until(() => asked === 1);
      first.abort(STOPPED);
      expect(await one).toBe(STOPPED);
      await pause(30);
      expect(closed).toBe(0);
      second.abort(STOPPED);
      expect(await two).toBe(STOPPED);
      await until(() => closed === 1);
      await client.close();
    });
  });

  test('is sent again after an aborted one', async () => {
    await scripted([], async (server) => {
      let asked = 0;
      const realm = { 'www-authenticate': `Bearer realm="${server.origin}/token"` };
      server.script(
        { request: 'HEAD /v2/a/manifests/v1', answer: { status: 401, headers: realm } },
        { request: 'HEAD /v2/a/manifests/v1', headers: { authorization: 'Bearer t' }, answer: { status: 404 } },
        { request: 'GET /token?scope=repository%3Aa%3Apull', answer: () => void (asked += 1) },
        { request: 'GET /token?scope=repository%3Aa%3Apull', answer: { status: 200, body: { token: 't' } } },
      );
      const client = quickClient();
      const repository = client.repository(server.host, 'a');
      const stopping = new AbortController();
      const one = failureOf(repository.resolve('v1', { signal: stopping.signal }));
      await until(() => asked === 1);
      stopping.abort(STOPPED);
      expect(await one).toBe(STOPPED);
      expect(await failureOf(repository.resolve('v1'))).toMatchObject({ code: 'MANIFEST_UNKNOWN' });
      await client.close();
    });
  });

  test('aborts the lookup of the credential', async () => {
    await scripted([], async (server) => {
      server.script({
        request: 'HEAD /v2/a/manifests/v1',
        answer: { status: 401, headers: { 'www-authenticate': `Bearer realm="${server.origin}/token"` } },
      });
      let told: AbortSignal | undefined;
      const client = quickClient({
        credentials: {
          get: (_, signal) => {
            told = signal;
            return new Promise(() => {});
          },
        },
      });
      const stopping = new AbortController();
      const resolving = failureOf(client.repository(server.host, 'a').resolve('v1', { signal: stopping.signal }));
      await until(() => told !== undefined);
      expect(told?.aborted).toBe(false);
      stopping.abort(STOPPED);
      expect(await resolving).toBe(STOPPED);
      expect(told?.aborted).toBe(true);
      await client.close();
    });
  });
});

describe('a hanging credential helper', () => {
  let folder = '';
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'hangs-'));
    const text = `#!/usr/bin/env node
require('node:fs').writeFileSync(${JSON.stringify(folder)} + '/pid', String(process.pid));
process.on('SIGTERM', () => {});
setInterval(() => {}, 1000);
`;
    await writeFile(join(folder, 'docker-credential-hangs'), text, { mode: 0o755 });
    await writeFile(join(folder, 'config.json'), JSON.stringify({ credsStore: 'hangs' }));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  const pidOf = async (): Promise<number> => Number(await readFile(join(folder, 'pid'), 'utf8').catch(() => ''));
  const isAlive = (pid: number): boolean => {
    try {
      return process.kill(pid, 0);
    } catch {
      return false;
    }
  };

  test('is stopped when its last waiting caller is aborted, and runs again for the next one', async () => {
    const PATH = [folder, dirname(process.execPath)].join(delimiter);
    const credentials = dockerConfigCredentials({ path: join(folder, 'config.json'), environment: { PATH } });
    const [first, second] = [new AbortController(), new AbortController()];
    const one = failureOf(credentials.get('r.example', first.signal));
    const two = failureOf(credentials.get('r.example', second.signal));
    await until(async () => (await pidOf()) > 0);
    const pid = await pidOf();
    first.abort(STOPPED);
    expect(await one).toBe(STOPPED);
    expect(isAlive(pid)).toBe(true);
    second.abort(STOPPED);
    expect(await two).toBe(STOPPED);
    await until(() => !isAlive(pid));
    await writeFile(join(folder, 'config.json'), '{}');
    expect(await credentials.get('r.example')).toEqual({ kind: 'anonymous' });
  });
});

describe('an aborted write of a referrers index', () => {
  const SUBJECT = { mediaType: OCI_IMAGE_MANIFEST, digest: digestOf(Buffer.from('subject')), size: 7 };
  const empty = { mediaType: OCI_EMPTY, digest: digestOf(Buffer.from('{}')), size: 2 };
  const referrer = (artifactType: string): Buffer =>
    Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: OCI_IMAGE_MANIFEST,
        artifactType,
        config: empty,
        layers: [],
        subject: SUBJECT,
      }),
    );

  test('stops waiting for its lease', async () => {
    await withFakeRegistry({}, async ({ host, seen }) => {
      let told: AbortSignal | undefined;
      const client = quickClient({
        referrers: 'tag',
        lease: {
          acquire: async (_, options) => {
            told = options?.signal;
            if (told !== undefined && !told.aborted) await once(told, 'abort');
            throw told?.reason;
          },
        },
      });
      const stopping = new AbortController();
      const pushing = failureOf(
        client.repository(host, 'a').pushManifest(referrer('a/b'), OCI_IMAGE_MANIFEST, { signal: stopping.signal }),
      );
      await until(() => told !== undefined);
      stopping.abort(STOPPED);
      expect(await pushing).toBe(STOPPED);
      expect(told?.aborted).toBe(true);
      expect(seen).toHaveLength(1);
      await client.close();
    });
  });

  test('releases its lease, and the next caller writes', async () => {
    let hanging = true;
    let reads = 0;
    let closed = 0;
    let released = 0;
    await withFakeRegistry(
      {
        intercept: (request, response) => {
          if (!hanging || request.method !== 'GET') return false;
          reads += 1;
          response.on('close', () => (closed += 1));
          return true;
        },
      },
      async ({ host }) => {
        const client = quickClient({
          referrers: 'tag',
          lease: {
            acquire: () =>
              Promise.resolve({
                signal: new AbortController().signal,
                heldUntilMs: Date.now() + 60_000,
                release: () => {
                  released += 1;
                  return Promise.resolve();
                },
              }),
          },
        });
        const repository = client.repository(host, 'a');
        const stopping = new AbortController();
        const pushing = failureOf(
          repository.pushManifest(referrer('a/b'), OCI_IMAGE_MANIFEST, { signal: stopping.signal }),
        );
        await until(() => reads === 1);
        stopping.abort(STOPPED);
        expect(await pushing).toBe(STOPPED);
        await until(() => closed === 1 && released === 1);
        hanging = false;
        await repository.pushManifest(referrer('c/d'), OCI_IMAGE_MANIFEST);
        expect(await repository.listReferrers(SUBJECT.digest)).toMatchObject([{ artifactType: 'c/d' }]);
        await client.close();
      },
    );
  });
});
