import { expect, test } from '@jest/globals';
import { once } from 'node:events';
import { spawn } from 'node:child_process';
import { mkdir, readdir, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { createFolderSink } from 'acr-promoter/oras';
import { claimStage } from '../../../../src/cli/locks/left-pulls.js';
import { withFolder } from '../../../support/artifacts.js';

const LOADER = new URL('../../../support/typescript-loader.mjs', import.meta.url).href;
const CHILD = join(import.meta.dirname, 'left-pulls.child.ts');
const OWNER = `owner-${hostname()}`;
const LONG_AGO = new Date(Date.now() - 60_000);

test('a pull removes what killed pulls have left, and nothing of a process that may live', async () => {
  await withFolder(async (folder) => {
    const leave = async (name: string, owner?: string): Promise<void> => {
      await mkdir(join(folder, name));
      await writeFile(join(folder, name, '0'), 'half');
      if (owner === undefined) return;
      await writeFile(join(folder, name, owner), '');
      await utimes(join(folder, name, owner), LONG_AGO, LONG_AGO);
    };
    await leave('.pull-killed');
    const child = spawn(process.execPath, ['--no-warnings', '--import', LOADER, CHILD, join(folder, '.pull-killed')], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    await utimes(join(folder, '.pull-killed', OWNER), LONG_AGO, LONG_AGO);
    await leave('.pull-living', OWNER);
    const release = await claimStage(join(folder, '.pull-living'));
    await leave('.pull-begins', OWNER);
    const soon = new Date(Date.now() + 3_600_000);
    await utimes(join(folder, '.pull-begins', OWNER), soon, soon);
    await leave('.pull-nobody');
    await leave('.pull-farawy', 'owner-another machine');
    await leave('mine', OWNER);
    await leave('.pull-notours', OWNER);
    const pull = async (): Promise<string[]> => {
      const staged = await createFolderSink(folder, { onStage: claimStage }).begin();
      await staged.file(
        'a',
        (async function* () {
          yield Buffer.from('whole');
        })(),
      );
      await staged.commit();
      return (await readdir(folder)).toSorted();
    };
    const kept = ['.pull-begins', '.pull-farawy', '.pull-living', '.pull-nobody', '.pull-notours', 'a', 'mine'];
    expect(await pull()).toEqual([...kept, '.pull-killed'].toSorted());
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(await pull()).toEqual(kept);
    release();
    expect(await pull()).toEqual(kept.filter((name) => name !== '.pull-living'));
  });
});

test('staged content that cannot be claimed is removed', async () => {
  await withFolder(async (folder) => {
    const sink = createFolderSink(join(folder, 'out'), { onStage: () => Promise.reject(new Error('full')) });
    await expect(sink.begin()).rejects.toThrow('full');
    expect(await readdir(folder)).toEqual([]);
  });
});
