import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  atEnd,
  cleanUpAfterEach,
  IMAGE,
  locationOf,
  putBlob,
  type Send,
  sender,
  sha256,
  start,
  temporaryFolder,
} from '../../../support/registry-harness.js';
import type { RunningRegistry } from '../../../../local/registry/server.js';

cleanUpAfterEach();

/** The registry as its own process is compiled anew, so that no old build is tested. */
const BUILD = join('out', `registry-process-${process.pid}`);

beforeAll(() => {
  mkdirSync(BUILD, { recursive: true });
  const tsc = ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.json', '--outDir', BUILD, '--incremental', 'false'];
  // Others' unfinished files may have errors: what counts is that ours are written.
  spawnSync(process.execPath, [...tsc, '--declaration', 'false', '--sourceMap', 'false']);
}, 60_000);
afterAll(() => rmSync(BUILD, { recursive: true, force: true }));

async function spawnRegistry(
  ...args: string[]
): Promise<{ child: ChildProcess; registry: RunningRegistry; send: Send }> {
  const main = join(BUILD, 'local/registry/main.js');
  const child = spawn(process.execPath, ['--no-warnings', main, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  atEnd(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
  for await (const line of createInterface({ input: child.stdout })) {
    const registry = JSON.parse(line) as RunningRegistry;
    return { child, registry, send: sender(registry) };
  }
  throw new Error('the registry did not start');
}

describe('the registry as a process', () => {
  test('kill -9 during pushes loses nothing that was acknowledged', async () => {
    const dataDir = await temporaryFolder();
    const { child, send } = await spawnRegistry(
      '--data-dir',
      dataDir,
      '--anonymous',
      '--events-url',
      'http://127.0.0.1:9',
    );
    const blobs: string[] = [];
    const tags = new Map<string, string>();
    const push = async (worker: number): Promise<void> => {
      for (let index = 0; ; index += 1) {
        const text = `${worker} ${index}`;
        const opened = await send('POST', '/v2/app/blobs/uploads/');
        const put = await send('PUT', locationOf(opened, `digest=${sha256(text)}`), { body: text });
        if (put.status === 201) blobs.push(text);
        const layer = { mediaType: 'a/b', digest: sha256(text), size: text.length };
        const manifest = JSON.stringify({ schemaVersion: 2, mediaType: IMAGE, config: layer, layers: [layer] });
        const path = `/v2/app/manifests/t${worker}-${index}`;
        const { status } = await send('PUT', path, { headers: { 'content-type': IMAGE }, body: manifest });
        if (status === 201) tags.set(path, manifest);
        if (tags.size === 60) child.kill('SIGKILL');
      }
    };
    await Promise.all(
      [1, 2, 3, 4].map(async (worker) => {
        await expect(push(worker)).rejects.toThrow();
      }),
    );
    expect(tags.size).toBeGreaterThanOrEqual(60);
    const again = await start({ dataDir, eventsUrl: 'http://127.0.0.1:9' });
    const read = sender(again);
    for (const text of blobs) expect((await read('GET', `/v2/app/blobs/${sha256(text)}`)).text).toBe(text);
    for (const [path, manifest] of tags) expect((await read('GET', path)).text).toBe(manifest);
    expect(again.waitingEvents).toBeGreaterThanOrEqual(tags.size);
  });

  test('a large upload is streamed, SIGTERM ends the process, and one process at a time has the folder', async () => {
    const dataDir = await temporaryFolder();
    const { child, registry, send } = await spawnRegistry(
      '--data-dir',
      dataDir,
      '--users',
      'admin:secret',
      '--anonymous',
    );
    const size = 128 * 1024 * 1024;
    const chunk = new Uint8Array(1024 * 1024).fill(7);
    async function* body(): AsyncGenerator<Uint8Array> {
      for (let sent = 0; sent < size; sent += chunk.length) yield chunk;
    }
    const opened = await send('POST', '/v2/app/blobs/uploads/');
    const patched = await send('PATCH', locationOf(opened), { body: ReadableStream.from(body()) });
    expect(patched.headers.get('range')).toBe(`0-${size - 1}`);
    const put = await send('PUT', locationOf(patched, 'digest=sha256:'.concat('0'.repeat(64))));
    expect(put.code).toBe('DIGEST_INVALID');
    const found = /"found":"(sha256:[0-9a-f]{64})"/.exec(put.text)?.[1] ?? '';
    expect(found).toMatch(/^sha256:/);
    expect(readdirSync(join(dataDir, 'uploads'))).toEqual([]);
    if (process.platform === 'linux') {
      const peak = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${child.pid ?? 0}/status`, 'utf8'))?.[1];
      expect(Number(peak)).toBeLessThan(170 * 1024);
    }
    await expect(start({ dataDir })).rejects.toMatchObject({ code: 'DATA_FOLDER_IN_USE' });
    await expect(start({ port: registry.port })).rejects.toMatchObject({ code: 'PORT_IN_USE' });
    await putBlob(send, 'app', 'kept');
    const exited = once(child, 'exit');
    child.kill('SIGTERM');
    expect(await exited).toEqual([0, null]);
    expect((await sender(await start({ dataDir }))('GET', `/v2/app/blobs/${sha256('kept')}`)).text).toBe('kept');
  }, 60_000);
});
