import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { run } from '../../../../src/cli/run.js';
import { parseJob } from '../../../../src/operations/parse-job.js';
import { createMemoryIo } from '../../../support/memory-io.js';

const APP = 'r.io/samples/app:v1';
const PEM = '-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n';

let server: Server;
let url: string;
let bodies: string[] = [];
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'acr-promoter-app-verbs-'));
  await writeFile(join(folder, 'ca.pem'), PEM);
  server = createServer((request, response) => {
    void text(request).then((body) => {
      bodies.push(body);
      response.writeHead(202).end('{"id":"j1","runId":"r1","statusUrl":"/api/runs/r1"}');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  server.closeAllConnections();
  server.close();
  await rm(folder, { recursive: true, force: true });
});
beforeEach(() => {
  bodies = [];
});

async function cli(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  const { io, out, err } = createMemoryIo({ env: { ACR_PROMOTER_APP: url } });
  const code = await run(argv, io);
  return { code, out: out().toString(), err: err() };
}

test.each<[string[], object]>([
  [['promote', '--submit', APP], { operation: 'promote', source: APP }],
  [['promote', '--submit', '--reason', 'ticket 42', APP], { operation: 'promote', source: APP, reason: 'ticket 42' }],
  [
    ['sbom', '--submit', '--platform', 'linux/arm64', APP],
    { operation: 'sbom', reference: APP, platform: 'linux/arm64' },
  ],
  [['sign', '--submit', APP], { operation: 'sign', reference: APP, recursive: false }],
  [['sign', '--submit', '-r', APP], { operation: 'sign', reference: APP, recursive: true }],
  [
    ['verify', '--submit', '--trust-store', 'ca.pem', '--identity', 'x509.subject: C=US', APP],
    {
      operation: 'verify',
      reference: APP,
      signatures: [{ format: 'notary', trustStore: PEM, identities: ['x509.subject: C=US'] }],
    },
  ],
])('%j becomes a job that the app takes', async (argv, job) => {
  const there = argv.map((word) => (word === 'ca.pem' ? join(folder, word) : word));
  expect(await cli(...there)).toEqual({ code: 0, out: 'Submitted j1\nRun r1\n', err: '' });
  expect(bodies.map((body) => JSON.parse(body) as unknown)).toEqual([job]);
  expect(parseJob(JSON.parse(bodies[0] ?? ''), { messageId: 'm' })).toMatchObject(job);
});

test('promote --submit refuses an empty reason', async () => {
  expect(await cli('promote', '--submit', '--reason', '', APP)).toEqual({
    code: 1,
    out: '',
    err: 'Error: invalid argument "" for "--reason" flag (OPTION_INVALID)\nGive a reason, or omit the option.\n',
  });
  expect(bodies).toEqual([]);
});

test('nothing is submitted without a trust store or an app', async () => {
  expect((await cli('verify', '--submit', APP)).err).toContain('"trust-store"');
  const unread = await cli('verify', '--submit', '--trust-store', join(folder, 'none.pem'), APP);
  expect(unread.err).toContain('CA_FILE_UNREADABLE');
  const { io, err } = createMemoryIo({ env: {} });
  expect(await run(['promote', '--submit', APP], io)).toBe(1);
  expect(err()).toContain('APP_MISSING');
  expect(bodies).toEqual([]);
});

test('the app that npm start runs in this folder or above it is found while it lives', async () => {
  const local = join(folder, 'project', '.local');
  const below = join(folder, 'project', 'a', 'b');
  await mkdir(local, { recursive: true });
  await mkdir(below, { recursive: true });
  const submit = async (options: { env?: Record<string, string> } = {}): Promise<string> => {
    const { io, err } = createMemoryIo(options);
    await run(['promote', '--submit', APP], { ...io, folder: below });
    return err();
  };
  expect(await submit()).toContain('APP_MISSING');
  await writeFile(join(local, 'app.json'), JSON.stringify({ url, pid: process.pid }));
  expect(await submit()).toBe('');
  expect(bodies).toHaveLength(1);
  expect(await submit({ env: { ACR_PROMOTER_APP: 'http://127.0.0.1:1' } })).toContain('http://127.0.0.1:1');
  // No process has this id.
  await writeFile(join(local, 'app.json'), JSON.stringify({ url, pid: 2 ** 30 }));
  expect(await submit()).toContain('APP_MISSING');
});

test.each([
  ['sbom', '--wait', APP],
  ['sign', '--app', 'https://app.example.org', APP],
  ['promote', '--timeout', '5', APP],
  ['promote', '--reason', 'ticket 42', APP],
  ['copy', '--wait', APP, 'r.io/other/app:v1'],
])('%s %s: who meant the app is told what is missing, and nothing is done here', async (...argv) => {
  expect(await cli(...argv)).toMatchObject({ code: 1, out: '', err: expect.stringContaining('(SUBMIT_MISSING)') });
  expect(bodies).toEqual([]);
});

test('options for this machine only are refused with --submit', async () => {
  for (const [verb, option] of [
    ['sign', '--signing-key'],
    ['promote', '--rules'],
    ['sbom', '--output'],
  ] as const) {
    expect((await cli(verb, '--submit', option, 'x', APP)).err).toContain(`${option} cannot be used with --submit`);
  }
});

test('the answer is printed in the requested format', async () => {
  const ran = await cli('sbom', '--submit', '--format', 'json', APP);
  expect(JSON.parse(ran.out)).toEqual({ id: 'j1', runId: 'r1', statusUrl: '/api/runs/r1' });
});
