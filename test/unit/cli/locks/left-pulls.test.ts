import { expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createFolderSink } from 'acr-promoter/oras';
import { claimStage } from '../../../../src/cli/locks/left-pulls.js';
import { thisHolder, type LockHolder } from '../../../../src/cli/locks/lock-holder.js';
import { withFolder } from '../../../support/artifacts.js';

test('a pull removes what ended pulls have left, and nothing of a process that may live', async () => {
  await withFolder(async (folder) => {
    const leave = async (name: string, owner: Partial<LockHolder> | undefined): Promise<void> => {
      await mkdir(join(folder, name));
      await writeFile(join(folder, name, '0'), 'half');
      if (owner === undefined) return;
      await writeFile(join(folder, name, 'owner'), JSON.stringify({ ...(await thisHolder()), ...owner }));
    };
    const ended = { pid: spawnSync(process.execPath, ['--version']).pid, startedAt: '1' };
    await leave('.pull-ended1', ended);
    await leave('.pull-living', {});
    await leave('.pull-nobody', undefined);
    await leave('.pull-farawy', { ...ended, place: 'another machine' });
    await leave('mine', ended);
    await leave('.pull-notours', ended);
    const staged = await createFolderSink(folder, { onStage: claimStage }).begin();
    await staged.file(
      'a',
      (async function* () {
        yield Buffer.from('whole');
      })(),
    );
    await staged.commit();
    expect((await readdir(folder)).toSorted()).toEqual([
      '.pull-farawy',
      '.pull-living',
      '.pull-nobody',
      '.pull-notours',
      'a',
      'mine',
    ]);
  });
});

test('staged content that cannot be claimed is removed', async () => {
  await withFolder(async (folder) => {
    const sink = createFolderSink(join(folder, 'out'), { onStage: () => Promise.reject(new Error('full')) });
    await expect(sink.begin()).rejects.toThrow('full');
    expect(await readdir(folder)).toEqual([]);
  });
});
