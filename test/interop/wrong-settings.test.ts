import { afterAll, beforeAll, test } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expectNothingLostOverWrongSettings } from './wrong-settings.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'acr-promoter-settings-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test('wrong settings: health and status say so, nothing is consumed, and with right ones all goes on', async () => {
  await expectNothingLostOverWrongSettings(resolve('.'), folder);
}, 240_000);
