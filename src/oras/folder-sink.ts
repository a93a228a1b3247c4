import { mkdtemp, rm, rmdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { InputError, makeFolder } from '../oci/index.js';
import type { FileSink, StagedFiles } from './file-sink.js';
import { StagedFolder } from './staged-folder.js';
import { isWithin } from './file-system.js';

export interface FolderSinkOptions {
  /** Takes names that lead out of the folder. By default they are refused. */
  allowOutside?: boolean;
  /** Refuses what is there already instead of replacing it. */
  keepOldFiles?: boolean;
  /** Called with the folder in which a pull stages its files, once it exists. Staged names are numbers. */
  onStage?: (path: string) => Promise<void>;
}

/** Makes a folder. @returns what takes away again, as far as it is empty, what had to be made */
async function makeRemovable(path: string): Promise<() => Promise<void>> {
  const first = await makeFolder(path);
  return async () => {
    if (first === undefined) return;
    for (let at = path; isWithin(first, at); at = dirname(at)) {
      try {
        await rmdir(at);
      } catch {
        // Something else is in it by now: it stays.
        return;
      }
    }
  };
}

/** Files in a folder on disk, which is made where it isn't there. */
export function createFolderSink(folder: string, options: FolderSinkOptions = {}): FileSink {
  const root = resolve(folder);
  const locate = (name: string): string => {
    const path = resolve(root, name);
    if (name.includes('\0')) throw new InputError('PATH_OUTSIDE', `${JSON.stringify(name)} is not a file name`);
    if (options.allowOutside === true || isWithin(root, path)) return path;
    throw new InputError('PATH_OUTSIDE', `${JSON.stringify(name)} leads out of ${root}: path traversal disallowed`, {
      remedy:
        'Pulling files outside of working directory is insecure and blocked by default. If you trust the content producer, use --allow-path-traversal to bypass this check.',
    });
  };
  return {
    locate,
    async begin(): Promise<StagedFiles> {
      const unmake = await makeRemovable(root);
      // On the same file system, so that a file is moved to its name in one step.
      const stage = await mkdtemp(join(root, '.pull-'));
      const cleanUp = async (): Promise<void> => {
        await rm(stage, { recursive: true, force: true });
        await unmake();
      };
      try {
        await options.onStage?.(stage);
      } catch (error) {
        await cleanUp();
        throw error;
      }
      return new StagedFolder({ root, stage, locate, ...options }, cleanUp);
    },
  };
}
