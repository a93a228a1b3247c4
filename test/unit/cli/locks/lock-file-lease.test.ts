import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { spawn, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { chmod, copyFile, mkdir, mkdtemp, readdir, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { LockFile } from '../../../../src/cli/locks/lock-file.js';
import { createLockFileLease } from '../../../../src/cli/locks/lock-file-lease.js';

const LOADER = new URL('../../../support/typescript-loader.mjs', import.meta.url).href;
const CHILD = join(import.meta.dirname, 'lock-file-lease.child.ts');
const KEY = 'a'.repeat(40);
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

/** The files of a lock, as another process would have left them. */
async function pathOf(name: string): Promise<string> {
  const key = createHash('sha256').update(name).digest('hex').slice(0, 40);
  const [file, ...more] = (await readdir(locksFolder())).filter((each) => each.startsWith(key));
  expect(more).toEqual([]);
  expect(file).toBeDefined();
  return join(locksFolder(), file ?? '');
}

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
    // However often it was taken, one file stays.
    await pathOf('wanted');
  });

  test('a late process that makes and removes a higher number does not end the lease', async () => {
    const lock = new LockFile(locksFolder(), KEY, 20_000);
    await mkdir(locksFolder(), { mode: 0o700 });
    const number = (await lock.take()) ?? 0;
    const late = join(locksFolder(), `${KEY}.${number + 1_000}`);
    await copyFile(join(locksFolder(), `${KEY}.${number}`), late);
    const renewed = lock.renew(number);
    await rm(late);
    expect(await renewed).toBe(true);
    await writeFile(late, '');
    await lock.release(number);
    await rm(late);
    expect(await new LockFile(locksFolder(), KEY, 20_000).take()).toBeDefined();
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

  test('a holder whose file was removed loses the lease', async () => {
    const held = await createLockFileLease(locksFolder(), { staleMs: 200 }).acquire('gone');
    if (held === undefined) throw new Error('not held');
    await rm(await pathOf('gone'));
    if (!held.signal.aborted) await once(held.signal, 'abort');
    expect(held.signal.reason).toMatchObject({ code: 'LEASE_LOST' });
    expect(held.heldUntilMs).toBe(0);
    await held.release();
  });
});

describe('the former holder', () => {
  async function leave(name: string, change: (holder: Record<string, unknown>) => string, agoMs = 0): Promise<void> {
    await createLockFileLease(locksFolder()).acquire(name);
    const path = await pathOf(name);
    await writeFile(path, change(JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>));
    const at = new Date(Date.now() - agoMs);
    await utimes(path, at, at);
  }

  test.each<[string, (holder: Record<string, unknown>) => string, number, boolean]>([
    ['runs', (holder) => JSON.stringify(holder), 0, false],
    ['runs, and has not renewed it for long', (holder) => JSON.stringify(holder), 21_000, true],
    ['has ended', (holder) => JSON.stringify({ ...holder, pid: 2 ** 22 + 1 }), 0, true],
    [
      'ran elsewhere, where nobody can look',
      (holder) => JSON.stringify({ ...holder, pid: 2 ** 22 + 1, place: 'x' }),
      0,
      false,
    ],
    ['is writing its file', () => '', 0, false],
    ['was killed while it wrote its file', () => '{"pid"', 21_000, true],
  ])('%s', async (_, change, agoMs, free) => {
    await leave('left', change, agoMs);
    const held = await createLockFileLease(locksFolder()).acquire('left');
    expect(held !== undefined).toBe(free);
    await held?.release();
  });

  const onLinux = process.platform === 'linux' ? test : test.skip;
  onLinux('has ended, and another process has its id', async () => {
    await leave('left', (holder) => JSON.stringify({ ...holder, startedAt: '1' }));
    expect(await createLockFileLease(locksFolder()).acquire('left')).toBeDefined();
  });
});

describe('among processes', () => {
  test('no work under the lease is lost', async () => {
    const counter = join(folder, 'counter');
    await writeFile(counter, '0');
    const all = [1, 2, 3].map(() => start('count', locksFolder(), 'counted', '20000', counter, '25').ended);
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

  test('a hanging holder loses the lease after a while, and learns it when it wakes up', async () => {
    const { child, lines } = start('hold', locksFolder(), 'hung', '2000');
    expect(await once(lines, 'line')).toEqual(['held']);
    child.kill('SIGSTOP');
    const lease = createLockFileLease(locksFolder());
    expect(await lease.acquire('hung')).toBeUndefined();
    const longAgo = new Date(Date.now() - 60_000);
    await utimes(await pathOf('hung'), longAgo, longAgo);
    const held = await lease.acquire('hung');
    expect(held).toBeDefined();
    const told = once(lines, 'line');
    child.kill('SIGCONT');
    expect(await told).toEqual(['lost']);
    expect(held?.signal.aborted).toBe(false);
    await held?.release();
  });
});

describe('the folder', () => {
  test('holds no unused locks', async () => {
    await (await createLockFileLease(locksFolder()).acquire('old'))?.release();
    await (await createLockFileLease(locksFolder()).acquire('recent'))?.release();
    const yesterday = new Date(Date.now() - 24 * 60 * 60 * 1000);
    await utimes(await pathOf('old'), yesterday, yesterday);
    await createLockFileLease(locksFolder()).acquire('new');
    expect(await readdir(locksFolder())).toHaveLength(2);
    await pathOf('recent');
    await pathOf('new');
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
