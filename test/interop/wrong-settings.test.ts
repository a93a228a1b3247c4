import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { cp, mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { freePort } from '../support/free-port.js';
import { serve } from './wrong-settings.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'acr-promoter-settings-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

// With wrong settings: package.test.ts.
test('health and status of a package that cannot be loaded say so', async () => {
  const app = join(folder, 'app');
  await cp('dist/src', join(app, 'dist', 'src'), { recursive: true });
  for (const name of ['package.json', 'host.json']) await cp(name, join(app, name));
  await symlink(resolve('node_modules'), join(app, 'node_modules'));
  // As after a deployment that was broken off.
  await rm(join(app, 'dist', 'src', 'rules-source.js'));
  const host = await serve(app, join(folder, 'broken'), await freePort(), {});
  try {
    expect(host.functions.toSorted()).toEqual(['health', 'status']);
    expect(await host.get('api/health')).toEqual({
      status: 503,
      body: { status: 'unavailable', code: 'APP_NOT_LOADED', settings: [] },
    });
    const { master } = JSON.parse(await readFile(join(folder, 'broken', 'keys.json'), 'utf8')) as { master: string };
    expect(await host.get('api/status', master)).toMatchObject({
      status: 200,
      body: { ok: false, problems: [{ code: 'APP_NOT_LOADED', message: expect.stringContaining('rules-source') }] },
    });
  } finally {
    await host.stop();
  }
}, 60_000);
