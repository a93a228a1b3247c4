import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { QueueServiceClient } from '@azure/storage-queue';
import { expect } from '@jest/globals';
import { startRegistry } from '../../local/registry/server.js';
import { createRegistries, packArtifact, pushPacked, type Digest } from '../../src/oci/index.js';
import { createSelfSignedCertificate } from '../support/self-signed.js';
import { startAzurite } from '../support/azurite.js';
import { freePort } from '../support/free-port.js';
import { until, type Promotion } from '../support/stack/everything.js';

/** An app under the local host. */
interface Served {
  functions: string[];
  get(path: string, key?: string): Promise<{ status: number; body: unknown }>;
  stop(): Promise<void>;
}

/** Starts the app in a folder, with these settings and no others. */
export async function serve(
  app: string,
  dataDir: string,
  port: number,
  settings: Record<string, string>,
): Promise<Served> {
  const args = ['--app', app, '--port', `${port}`, '--data-dir', dataDir, '--visibility-ms', '3000', '--keys'];
  const host: ChildProcess = spawn(process.execPath, ['--no-warnings', 'dist/local/host/main.js', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'], ...settings },
  });
  if (host.stdout === null || host.stderr === null) throw new Error('no output');
  let log = '';
  host.stderr.setEncoding('utf8').on('data', (text: string) => (log += text));
  const ended = once(host, 'exit');
  const lines = createInterface({ input: host.stdout });
  const [line] = await Promise.race([once(lines, 'line'), ended]);
  const { ready, functions } = JSON.parse(String(line)) as { ready: boolean; functions: string[] };
  if (!ready) throw new Error(`the host did not start:\n${String(line)}\n${log}`);
  return {
    functions,
    async get(path, key) {
      const headers = key === undefined ? {} : { 'x-functions-key': key };
      const response = await fetch(`http://localhost:${port}/${path}`, { headers });
      const text = await response.text();
      return { status: response.status, body: text === '' ? undefined : (JSON.parse(text) as unknown) };
    },
    async stop() {
      host.kill('SIGTERM');
      await ended;
    },
  };
}

/** How long the app has with wrong settings: its queues are looked at twice a second. */
const BROKEN_MS = 8_000;

/**
 * Lets the app have right settings, wrong ones, and right ones again, and expects that nothing that came meanwhile is lost: messages
 * of the queues, an event by webhook, an orchestration that waits. @param folder for what it keeps
 */
export async function expectNothingLostOverWrongSettings(app: string, folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const azurite = await startAzurite();
  const port = await freePort();
  const eventsUrl = `http://localhost:${port}`;
  const keysFile = join(folder, 'host', 'keys.json');
  const pauses = { eventPausesMs: [500] };
  const quietPort = await freePort();
  const quietHost = `localhost:${quietPort}`;
  const quiet = await startRegistry({
    dataDir: join(folder, 'quiet'),
    port: quietPort,
    name: quietHost,
    anonymous: true,
  });
  const telling: { registry?: Awaited<ReturnType<typeof startRegistry>> } = {};
  const client = createRegistries({ credentials: { get: () => Promise.resolve({ kind: 'anonymous' }) } });
  const hosts: Served[] = [];
  try {
    const connection = azurite.newAccount();
    const queues = QueueServiceClient.fromConnectionString(connection);
    const tellingPort = await freePort();
    const tellingHost = `localhost:${tellingPort}`;
    const { certificatePem, keyPem } = createSelfSignedCertificate({
      commonName: 'them',
      country: 'US',
      state: 'WA',
      organization: 'Test',
      days: 30,
    });
    const rule = (name: string, registry: string, repository: string, more: object = {}): object => ({
      name,
      source: { registry, repositories: [repository], tags: ['v*'] },
      triggers: ['push'],
      destination: { reference: `${quietHost}/staging/{repository}:{tag}` },
      ...more,
    });
    const gate = { verify: { signatures: [{ format: 'notary', trustStore: certificatePem, identities: ['*'] }] } };
    const right = {
      AzureWebJobsStorage: connection,
      ALLOWED_REGISTRIES: `${quietHost},${tellingHost}`,
      SIGNING_KEY: join(folder, 'key.pem'),
      SIGNING_CERTIFICATE_CHAIN: join(folder, 'chain.pem'),
      PROMOTION_SCHEDULE: '*/10 * * * * *',
      PROMOTION_RULES: JSON.stringify({
        rules: [
          rule('quiet', quietHost, 'quiet/*'),
          rule('telling', tellingHost, 'telling/*'),
          rule('gated', quietHost, 'gated/*', gate),
        ],
      }),
    };
    writeFileSync(right.SIGNING_CERTIFICATE_CHAIN, certificatePem);
    const writeKey = (): void => writeFileSync(right.SIGNING_KEY, keyPem);
    writeKey();
    const start = async (settings: Record<string, string>): Promise<Served> => {
      const host = await serve(app, join(folder, 'host'), port, settings);
      hosts.push(host);
      return host;
    };
    const key = async (): Promise<string> =>
      (JSON.parse(await readFile(keysFile, 'utf8')) as { master: string }).master;
    const push = async (host: string, repository: string): Promise<Digest> => {
      const layers = [{ mediaType: 'text/plain', bytes: Buffer.from(repository) }];
      const packed = packArtifact({ artifactType: 'doc/example', layers });
      await pushPacked(client.repository(host, repository), packed, { tag: 'v1' });
      return packed.descriptor.digest;
    };
    const send = (queue: string, message: object): Promise<unknown> =>
      queues.getQueueClient(queue).sendMessage(Buffer.from(JSON.stringify(message)).toString('base64'));
    const event = (repository: string, digest: string): object => ({
      id: repository,
      eventType: 'Microsoft.ContainerRegistry.ImagePushed',
      eventTime: new Date().toISOString(),
      data: { action: 'push', target: { digest, repository, tag: 'v1' }, request: { host: quietHost } },
    });
    const promotionOf = async (host: Served, repository: string): Promise<Promotion | undefined> => {
      const { body } = await host.get('api/promotions', await key());
      return (body as { promotions: Promotion[] }).promotions.find(({ source }) => source.repository === repository);
    };

    // An orchestration that waits for evidence when the settings go wrong.
    const before = await start(right);
    expect(await before.get('api/health')).toMatchObject({ status: 200, body: { status: 'ok' } });
    await send('registry-events', event('gated/app', await push(quietHost, 'gated/app')));
    const waiting = await until('the gated run to wait', async () => {
      const found = await promotionOf(before, 'gated/app');
      return found?.state === 'waiting' ? found : undefined;
    });
    expect((await before.get('api/status')).status).toBe(401);
    expect(await before.get('api/status', await key())).toMatchObject({
      status: 200,
      body: { ok: true, problems: [], rules: { count: 3 }, backlog: { 'registry-events': 0, jobs: 0 } },
    });
    await before.stop();

    // Two settings are wrong, and the key is no key any more.
    writeFileSync(right.SIGNING_KEY, 'what-is-no-key');
    const wrong = { ...right, PROMOTION_PAUSED: 'perhaps', PROMOTION_SCHEDULE: 'sometimes' };
    const broken = await start(wrong);
    expect(broken.functions.toSorted()).toEqual(['health', 'status']);
    telling.registry = await startRegistry({
      dataDir: join(folder, 'telling'),
      port: tellingPort,
      name: tellingHost,
      anonymous: true,
      eventsUrl: `${eventsUrl}/runtime/webhooks/EventGrid?functionName=onRegistryEvent&code=${await key()}`,
      ...pauses,
    });
    const digests = [
      await push(quietHost, 'quiet/app'),
      await push(tellingHost, 'telling/app'),
      await push(quietHost, 'jobs/app'),
    ];
    await send('registry-events', event('quiet/app', digests[0] ?? ''));
    await send('jobs', { id: 'meanwhile', operation: 'resolve', reference: `${quietHost}/jobs/app:v1` });
    await sleep(BROKEN_MS);
    const names = ['PROMOTION_PAUSED', 'PROMOTION_SCHEDULE', 'SIGNING_KEY'];
    const health = await broken.get('api/health');
    expect(health).toEqual({
      status: 503,
      body: { status: 'unavailable', code: 'SETTINGS_INVALID', settings: expect.arrayContaining(names) },
    });
    expect((await broken.get('api/status')).status).toBe(401);
    const { status, body } = await broken.get('api/status', await key());
    expect(status).toBe(200);
    expect((body as { problems: { setting: string }[] }).problems.map(({ setting }) => setting)).toEqual(
      expect.arrayContaining(names),
    );
    expect(JSON.stringify(body)).not.toMatch(/AccountKey|PRIVATE KEY|what-is-no-key/);
    const webhook = await fetch(
      `${eventsUrl}/runtime/webhooks/EventGrid?functionName=onRegistryEvent&code=${await key()}`,
      {
        method: 'POST',
        headers: { 'aeg-event-type': 'Notification' },
        body: '[]',
      },
    );
    // Event Grid gives up on 400, 401, 403 and 413 alone.
    expect(webhook.status).toBe(404);
    expect(await statusVerb(eventsUrl, await key())).toMatchObject({
      code: 1,
      out: expect.stringContaining('Works       no'),
    });
    for (const queue of ['registry-events', 'jobs']) {
      const { peekedMessageItems } = await queues.getQueueClient(queue).peekMessages();
      expect(peekedMessageItems.map(({ dequeueCount }) => dequeueCount)).toEqual([0]);
    }
    await broken.stop();

    // Corrected.
    writeKey();
    const after = await start(right);
    const promoted = async (repository: string): Promise<Promotion> =>
      until(`${repository} to be promoted`, async () => {
        const found = await promotionOf(after, repository);
        return found?.last === undefined || found.runOpen ? undefined : found;
      });
    expect((await promoted('quiet/app')).last).toMatchObject({ outcome: 'promoted', digest: digests[0] });
    expect((await promoted('telling/app')).last).toMatchObject({ outcome: 'promoted', digest: digests[1] });
    const job = await until('the job to end', async () => {
      const { body: run } = (await after.get('api/jobs/meanwhile', await key())) as { body: { result?: object } };
      return run?.result;
    });
    expect(job).toMatchObject({ outcome: 'completed', digest: digests[2] });
    // The same run, which looks now and then, and waits as before.
    const again = await until('the gated run to wait again', async () => {
      const found = await promotionOf(after, 'gated/app');
      return found?.state === 'waiting' ? found : undefined;
    });
    expect(again).toMatchObject({ runId: waiting.runId, runOpen: true });
    const engine = await after.get(`runtime/webhooks/durabletask/instances/${waiting.runId ?? ''}`, await key());
    expect(engine).toMatchObject({ status: 202, body: { runtimeStatus: 'Running' } });
    for (const queue of ['registry-events-poison', 'jobs-poison']) {
      expect((await queues.getQueueClient(queue).peekMessages()).peekedMessageItems).toEqual([]);
    }
    expect(await statusVerb(eventsUrl, await key())).toMatchObject({ code: 0, err: '' });
    await after.stop();
  } finally {
    await Promise.all(hosts.map((host) => host.stop().catch(() => undefined)));
    await client.close();
    await Promise.all([quiet.close(), telling.registry?.close()]);
    await azurite.stop();
  }
}

function statusVerb(url: string, key: string): Promise<{ code: number; out: string; err: string }> {
  return new Promise((resolve) => {
    const env = { ...process.env, ACR_PROMOTER_APP: url, ACR_PROMOTER_KEY: key };
    execFile(process.execPath, ['bin/acr-promoter.mjs', 'status'], { env }, (error, out, err) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, out, err });
    });
  });
}
