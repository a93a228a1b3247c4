import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { lockFile } from '../../../../src/cli/locks/lock-file.js';
import { createLockFileLease } from '../../../../src/cli/locks/lock-file-lease.js';

const LOADER = new URL('../../../support/typescript-loader.mjs', import.meta.url).href;
const CHILD = join(import.meta.dirname, 'lock-file-lease.child.ts');
const children: ChildProcess[] = [];
let folder = '';

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lock-file-lease-'));
});
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  await rm(folder, { recursive: true, force: true });
});

function start(...args: string[]): { child: ChildProcess; lines: Interface; ended: Promise<unknown> } {
  const child = spawn(process.execPath, ['--no-warnings', '--import', LOADER, CHILD, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  if (child.stdout === null) throw new Error('no output');
  return { child, lines: createInterface({ input: child.stdout }), ended: once(child, 'exit') };
}

const locksFolder = (): string => join(folder, 'locks');

describe('within one process', () => {
  test('one holder at a time has the lease, and it can be taken again', async () => {
    const lease = createLockFileLease(locksFolder());
    const first = await lease.acquire('a subject');
    expect(first?.heldUntilMs).toBeGreaterThan(Date.now());
    expect(await lease.acquire('a subject')).toBeUndefined();
    const other = await lease.acquire('another subject');
    expect(other).toBeDefined();
    await first?.release();
    await first?.release();
    const second = await createLockFileLease(locksFolder()).acquire('a subject');
    expect(second).toBeDefined();
    expect(await lease.acquire('a subject', { waitMs: 100 })).toBeUndefined();
    await Promise.all([second?.release(), other?.release()]);
  });

  test('thirty waiters get the lease, one after the other', async () => {
    const lease = createLockFileLease(locksFolder());
    let holders = 0;
    let most = 0;
    await Promise.all(
      Array.from({ length: 30 }, async () => {
        const held = await lease.acquire('wanted', { waitMs: 60_000 });
        holders += 1;
        most = Math.max(most, holders);
        await new Promise((resolve) => setImmediate(resolve));
        holders -= 1;
        await held?.release();
        expect(held).toBeDefined();
      }),
    );
    expect(most).toBe(1);
  });

  test('the signal ends the wait', async () => {
    const lease = createLockFileLease(locksFolder());
    const held = await lease.acquire('busy');
    const stopping = new AbortController();
    const waiting = lease.acquire('busy', { waitMs: 60_000, signal: stopping.signal });
    setTimeout(() => stopping.abort(), 20);
    await expect(waiting).rejects.toMatchObject({ name: 'AbortError' });
    await held?.release();
  });
});

describe('among processes', () => {
  test('no work under the lease is lost', async () => {
    const counter = join(folder, 'counter');
    await writeFile(counter, '0');
    const all = [1, 2, 3].map(() => start('count', locksFolder(), 'counted', counter, '25').ended);
    expect(await Promise.all(all)).toEqual([1, 2, 3].map(() => [0, null]));
    expect(await readFile(counter, 'utf8')).toBe('75');
  }, 60_000);

  test('a killed holder loses the lease at once', async () => {
    const { child, lines, ended } = start('hold', locksFolder(), 'killed');
    expect(await once(lines, 'line')).toEqual(['held']);
    const lease = createLockFileLease(locksFolder());
    expect(await lease.acquire('killed')).toBeUndefined();
    child.kill('SIGKILL');
    await ended;
    expect(await lease.acquire('killed')).toBeDefined();
  });

  test('a stopped holder keeps the lease, and works on with it', async () => {
    const { child, lines, ended } = start('hold', locksFolder(), 'stopped');
    expect(await once(lines, 'line')).toEqual(['held']);
    child.kill('SIGSTOP');
    const lease = createLockFileLease(locksFolder());
    expect(await lease.acquire('stopped', { waitMs: 200 })).toBeUndefined();
    child.kill('SIGCONT');
    expect(await lease.acquire('stopped')).toBeUndefined();
    child.kill('SIGTERM');
    await ended;
    expect(await lease.acquire('stopped')).toBeDefined();
  });
});

describe('the folder', () => {
  test('holds one empty file for each lease that is held, and one for all', async () => {
    const lease = createLockFileLease(locksFolder());
    const held = [await lease.acquire('old'), await lease.acquire('new')];
    expect(await lease.acquire('old')).toBeUndefined();
    const names = await readdir(locksFolder());
    expect(names).toHaveLength(3);
    for (const name of names) expect((await stat(join(locksFolder(), name))).size).toBe(0);
    for (const each of held) await each?.release();
    expect(await readdir(locksFolder())).toEqual(['guard']);
  });

  test('while another process opens or removes a file, none is opened or removed', async () => {
    const lease = createLockFileLease(locksFolder());
    const held = await lease.acquire('a');
    const files = await readdir(locksFolder());
    const release = await lockFile(join(locksFolder(), 'guard'));
    expect(await lease.acquire('b')).toBeUndefined();
    await held?.release();
    expect(await readdir(locksFolder())).toEqual(files);
    release?.();
    await (await lease.acquire('a'))?.release();
    expect(await readdir(locksFolder())).toEqual(['guard']);
  });

  test('a lease that is released twice does not remove the file of its next holder', async () => {
    const lease = createLockFileLease(locksFolder());
    const first = await lease.acquire('a');
    await first?.release();
    const second = await lease.acquire('a');
    await first?.release();
    expect(await lease.acquire('a')).toBeUndefined();
    await second?.release();
  });

  test('a folder that others can write, or a link, is refused', async () => {
    await createLockFileLease(locksFolder()).acquire('first');
    await chmod(locksFolder(), 0o777);
    const refused = { code: 'LOCK_FOLDER_UNUSABLE' };
    await expect(createLockFileLease(locksFolder()).acquire('second')).rejects.toMatchObject(refused);
    await symlink(folder, join(folder, 'link'));
    await expect(createLockFileLease(join(folder, 'link')).acquire('third')).rejects.toMatchObject(refused);
    await writeFile(join(folder, 'file'), '');
    await expect(createLockFileLease(join(folder, 'file')).acquire('fourth')).rejects.toMatchObject(refused);
  });
});
