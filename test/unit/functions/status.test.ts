import { HttpRequest, InvocationContext, type HttpResponseInit } from '@azure/functions';
import { describe, expect, jest, test } from '@jest/globals';
import { TransportError } from '../../../src/oci/index.js';
import { fixedSigner, loadPemSigner, type SignerSource } from '../../../src/signing/index.js';
import { createSelfSignedCertificate } from '../../support/self-signed.js';
import { runningStatus, type RunningStatusPorts } from '../../../src/functions/http/running-status.js';
import { memoryRunStore } from '../../support/memory-ports.js';
import { registerOnly } from '../../support/registered.js';
import { registerHealth } from '../../../src/functions/http/health.js';
import { registerBroken } from '../../../src/functions/register-broken.js';

const identity = { version: '1.2.3', settings: ['PROMOTION_RULES', 'SIGNING_KEY'] };
const context = new InvocationContext({ functionName: 'http', logHandler: () => {} });

describe('an app that cannot work', () => {
  const problems = [
    { code: 'SETTINGS_INVALID', setting: 'PROMOTION_SCHEDULE', message: '"x" is no schedule', remedy: 'Correct it.' },
    { code: 'SIGNING_KEY_UNREADABLE', setting: 'SIGNING_KEY', message: 'a.pem cannot be read' },
  ];
  const app = registerOnly(() => registerBroken(identity, problems));
  const get = async (name: string): Promise<HttpResponseInit> => {
    const request = new HttpRequest({ method: 'GET', url: 'http://localhost/api/x' });
    return (await app.functions.get(name)?.handler(request, context)) as HttpResponseInit;
  };

  test('registers health and status, and no trigger', () => {
    expect([...app.functions.keys()].sort()).toEqual(['health', 'status']);
    expect(app.activities.size + app.orchestrations.size).toBe(0);
    expect(app.functions.get('health')).toMatchObject({ authLevel: 'anonymous', methods: ['GET'] });
    expect(app.functions.get('status')).toMatchObject({ authLevel: 'function', methods: ['GET'] });
  });

  test('health gives a code and names of settings, and nothing else', async () => {
    expect(await get('health')).toEqual({
      status: 503,
      jsonBody: { status: 'unavailable', code: 'SETTINGS_INVALID', settings: ['PROMOTION_SCHEDULE', 'SIGNING_KEY'] },
    });
  });

  test('status lists all problems', async () => {
    expect(await get('status')).toEqual({ jsonBody: { ok: false, ...identity, problems, warnings: [] } });
  });
});

describe('an app that works', () => {
  const ports: RunningStatusPorts = {
    identity,
    registries: [{ host: 'a.azurecr.io', signIn: 'identity' }],
    rules: { loaded: async () => ({ count: 2, since: '2026-11-30T00:00:00.000Z' }) },
    queues: { length: async (queue) => (queue === 'registry-events' ? 3 : 0) },
    signing: undefined,
    paused: false,
    now: () => new Date('2026-11-30T12:00:00Z'),
    store: memoryRunStore(),
  };

  test('status has the lengths of the queues, and the age of the rules', async () => {
    expect(await runningStatus(ports)).toEqual({
      ok: true,
      ...identity,
      problems: [],
      warnings: [],
      paused: false,
      registries: ports.registries,
      rules: { count: 2, since: '2026-11-30T00:00:00.000Z' },
      backlog: { 'registry-events': 3, jobs: 0 },
      poison: { 'registry-events-poison': 0, 'jobs-poison': 0 },
    });
  });

  test('status has the time of the last tick', async () => {
    const store = memoryRunStore();
    const row = { next: 'a', at: '2026-11-30T11:59:00Z', tickedAt: '2026-11-30T11:58:20Z', state: { started: 0 } };
    await store.putNote('clock', JSON.stringify(row), undefined);
    expect(await runningStatus({ ...ports, store })).toMatchObject({
      ok: true,
      lastTick: { at: '2026-11-30T11:58:20Z', ageSeconds: 100 },
    });
  });

  test('poison messages are a warning', async () => {
    const queues = { length: async (queue: string) => (queue === 'jobs-poison' ? 1 : 0) };
    expect(await runningStatus({ ...ports, queues })).toMatchObject({
      ok: true,
      warnings: [{ code: 'MESSAGES_POISONED', message: 'jobs-poison holds 1 message that could not be handled' }],
    });
  });

  test('storage that does not answer is one problem, unreadable rules are another', async () => {
    const broken = {
      ...ports,
      queues: { length: async () => Promise.reject(new TransportError('STORAGE_UNAVAILABLE', 'no answer')) },
      rules: { loaded: async () => Promise.reject(new TransportError('RULES_UNREADABLE', 'not there')) },
    };
    const status = await runningStatus(broken);
    expect(status).toMatchObject({ ok: false, backlog: {}, poison: {} });
    expect(status.problems.map(({ code }) => code).sort()).toEqual(['RULES_UNREADABLE', 'STORAGE_UNAVAILABLE']);
    expect(JSON.parse(JSON.stringify(status))).not.toHaveProperty('rules');
  });

  test('status names the signing key and the end of its certificate, and warns a month ahead', async () => {
    const made = createSelfSignedCertificate({ commonName: 'release', notBefore: new Date('2026-11-30'), days: 20 });
    const signer = loadPemSigner({ keyPem: made.keyPem, certificateChainPem: made.certificatePem, keyId: 'key.pem' });
    const status = await runningStatus({ ...ports, signing: fixedSigner(signer) });
    expect(status).toMatchObject({
      ok: true,
      signing: { key: 'key.pem', algorithm: 'ES256', subject: 'CN=release', notAfter: '2026-12-20T00:00:00.000Z' },
      warnings: [{ code: 'SIGNING_CERTIFICATE_ENDS_SOON' }],
    });
    expect(JSON.stringify(status)).not.toContain('PRIVATE');
  });

  test('an unreadable key is a problem, and the rest is answered', async () => {
    const signing: SignerSource = {
      current: () => Promise.reject(new TransportError('KEY_VAULT_UNAVAILABLE', 'down')),
    };
    const status = await runningStatus({ ...ports, signing });
    expect(status).toMatchObject({ ok: false, problems: [{ code: 'KEY_VAULT_UNAVAILABLE' }], rules: { count: 2 } });
    expect(status.signing).toBeUndefined();
  });
});

describe('health of an app that works', () => {
  const health = (tickedAt?: () => Promise<string | undefined>): (() => Promise<HttpResponseInit>) => {
    const app = registerOnly(() => registerHealth([], tickedAt));
    const request = new HttpRequest({ method: 'GET', url: 'http://localhost/api/health' });
    return async () => (await app.functions.get('health')?.handler(request, context)) as HttpResponseInit;
  };

  test('has the age of the last tick, and nothing else', async () => {
    const ask = health(async () => new Date(Date.now() - 42_000).toISOString());
    const { jsonBody, status } = await ask();
    expect(status).toBeUndefined();
    expect(jsonBody).toEqual({ status: 'ok', tickAgeSeconds: expect.any(Number) });
    expect([42, 43]).toContain((jsonBody as { tickAgeSeconds: number }).tickAgeSeconds);
  });

  test('has no age before the first tick, or if it cannot be read in time', async () => {
    const answers: (() => Promise<string | undefined>)[] = [
      async () => undefined,
      () => Promise.reject(new Error('down')),
      () => new Promise<never>(() => undefined),
    ];
    const { setTimeout: wait } = globalThis;
    const timers = jest
      .spyOn(globalThis, 'setTimeout')
      .mockImplementation((end, ms = 0) => wait(end, ms === 2_000 ? 20 : ms));
    for (const tickedAt of answers) expect(await health(tickedAt)()).toEqual({ jsonBody: { status: 'ok' } });
    timers.mockRestore();
  });

  test('reads the table once for all who ask within ten seconds', async () => {
    let reads = 0;
    const ask = health(async () => {
      reads += 1;
      return new Date().toISOString();
    });
    await Promise.all(Array.from({ length: 50 }, ask));
    expect(reads).toBe(1);
  });
});
