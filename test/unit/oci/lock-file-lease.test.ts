import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLockFileLease, type HeldLease } from 'acr-promoter/oci';

let root = '';
let counter = 0;
const folder = (): string => join(root, `${(counter += 1)}`);
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'locks-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

async function take(path: string, name = 'a', options = {}): Promise<HeldLease> {
  const held = await createLockFileLease(path, options).acquire(name, { waitMs: 5000 });
  if (!held) throw new Error('not acquired');
  return held;
}

test('one holds it at a time; names don’t touch one another', async () => {
  const path = folder();
  const lease = createLockFileLease(path);
  const held = await take(path, 'subject/a:b');
  expect(held.heldUntilMs).toBeGreaterThan(Date.now());
  expect(await lease.acquire('subject/a:b')).toBeUndefined();
  await (await take(path, 'subject/other')).release();
  await held.release();
  await (await take(path, 'subject/a:b')).release();
});

test('whoever waits gets it when it is released', async () => {
  const path = folder();
  const first = await take(path);
  const second = createLockFileLease(path).acquire('a', { waitMs: 10_000 });
  await first.release();
  const held = await second;
  expect(held).toBeDefined();
  await held?.release();
});

test('many writers follow one another, and nothing is left behind but one file', async () => {
  const path = folder();
  let inside = 0;
  let most = 0;
  let total = 0;
  const writer = async (): Promise<void> => {
    const held = await createLockFileLease(path).acquire('a', { waitMs: 20_000 });
    if (!held) throw new Error('not acquired');
    inside += 1;
    most = Math.max(most, inside);
    const seen = total;
    await new Promise((resolve) => setImmediate(resolve));
    total = seen + 1;
    inside -= 1;
    await held.release();
  };
  await Promise.all(Array.from({ length: 12 }, writer));
  expect(most).toBe(1);
  expect(total).toBe(12);
  expect(await readdir(path)).toHaveLength(1);
});

test('a holder whose process has ended has lost it', async () => {
  const path = folder();
  await (await take(path)).release();
  const [name = ''] = await readdir(path);
  // No process has this number.
  await writeFile(join(path, name), '2147483646 x');
  await (await take(path)).release();
});

test('a holder that renews nothing any more has lost it, and learns of it', async () => {
  const path = folder();
  const options = { staleMs: 200 };
  const first = await take(path, 'a', options);
  const [name = ''] = await readdir(path);
  // As a machine that slept for an hour would leave it.
  await utimes(join(path, name), new Date(Date.now() - 3_600_000), new Date(Date.now() - 3_600_000));
  const second = await createLockFileLease(path, { staleMs: 100 }).acquire('a');
  expect(second).toBeDefined();
  if (!first.signal.aborted) {
    await new Promise<void>((resolve) => first.signal.addEventListener('abort', () => resolve(), { once: true }));
  }
  expect(first.signal.aborted).toBe(true);
  await first.release();
  expect(await createLockFileLease(path).acquire('a')).toBeUndefined();
  await second?.release();
});

test('waiting ends when told to', async () => {
  const path = folder();
  const held = await take(path);
  const stop = new AbortController();
  const waiting = createLockFileLease(path).acquire('a', { waitMs: 60_000, signal: stop.signal });
  stop.abort(new Error('stopped'));
  await expect(waiting).rejects.toThrow();
  await held.release();
});
