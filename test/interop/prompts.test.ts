import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { startRegistry, type RunningRegistry } from '../../local/registry/server.js';

// The command as a process of its own: its standard streams, and what an interruption does to it.

let folder = '';
let registry: RunningRegistry;
let host = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'prompts-'));
  registry = await startRegistry({
    dataDir: join(folder, 'registry'),
    anonymousPull: true,
    users: [{ name: 'me', password: 'secret' }],
  });
  host = `localhost:${registry.port}`;
});
afterAll(async () => {
  await registry.close();
  await rm(folder, { recursive: true, force: true });
});

function start(...argv: string[]) {
  const child = spawn(process.execPath, [resolve('dist/src/cli/main.js'), ...argv], {
    env: { ...process.env, DOCKER_CONFIG: join(folder, 'docker') },
  });
  const out: Buffer[] = [];
  let err = '';
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => {
    err += chunk.toString();
  });
  child.stdin.on('error', () => undefined);
  const ended = new Promise<{ code: number | null; out: Buffer; err: string }>((done) => {
    child.once('close', (code) => done({ code, out: Buffer.concat(out), err }));
  });
  const printed = async (text: string): Promise<void> => {
    while (!Buffer.concat(out).toString().includes(text)) await new Promise((done) => setTimeout(done, 20));
  };
  return { child, ended, printed };
}

test('login reads user and password from a pipe and ends though the pipe stays open', async () => {
  const { child, ended, printed } = start('login', host);
  await printed('Username: ');
  child.stdin.write('me\n');
  await printed('Password: ');
  child.stdin.write('secret\n');
  const { code, out, err } = await ended;
  expect({ code, out: out.toString(), err }).toEqual({
    code: 0,
    out: 'Username: Password: Login Succeeded\n',
    err: '',
  });
  expect(await readFile(join(folder, 'docker', 'config.json'), 'utf8')).toContain(host);
});

test('login that is interrupted at a prompt exits with 130', async () => {
  const { child, ended, printed } = start('login', host);
  await printed('Username: ');
  child.kill('SIGINT');
  expect(await ended).toMatchObject({ code: 130, err: 'Error: interrupted (INTERRUPTED)\n' });
});

test('a large blob passes through the standard streams byte for byte', async () => {
  const content = randomBytes(20_000_000);
  const reference = `${host}/samples/large@sha256:${createHash('sha256').update(content).digest('hex')}`;
  const pushing = start('blob', 'push', '-u', 'me', '-p', 'secret', '--size', `${content.length}`, reference, '-');
  pushing.child.stdin.end(content);
  expect(await pushing.ended).toMatchObject({
    code: 0,
    err: expect.stringMatching(/^WARNING! Using --password .*\n$/),
  });
  const fetched = await start('blob', 'fetch', '-o', '-', reference).ended;
  expect(fetched).toMatchObject({ code: 0, err: '' });
  expect(fetched.out.equals(content)).toBe(true);
}, 60_000);
